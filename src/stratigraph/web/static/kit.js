// What the views are built of: elements, questions to the server, pickers that live in the address.

import { scale } from "./draw.js";

// An element with properties and children; text children are text, never HTML.
export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// ---- questions ---------------------------------------------------------------------------------
export function apiPath(view, parameters = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(key, value);
  }
  const text = query.toString();
  return `/api/${view}${text ? `?${text}` : ""}`;
}
export async function ask(view, parameters = {}, signal = undefined) {
  const answer = await fetch(apiPath(view, parameters), { signal });
  const kind = answer.headers.get("content-type") ?? "";
  if (!answer.ok) {
    const said = kind.startsWith("application/json") ? (await answer.json()).error : await answer.text();
    throw new Error(said);
  }
  if (!kind.startsWith("application/octet-stream")) return answer.json();
  const body = await answer.arrayBuffer();
  const length = new DataView(body).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length)));
  return { ...facts, values: new Float32Array(body, 4 + length) };
}

// ---- what the address holds --------------------------------------------------------------------
export const asked = {
  get: (name, other = "") => new URLSearchParams(location.search).get(name) ?? other,
  // A picked value makes a step in the browser's history; a slider's does not.
  set(values, step = true) {
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === "") query.delete(key);
      else query.set(key, value);
    }
    const text = query.toString();
    const path = location.pathname + (text ? `?${text}` : "");
    if (path === location.pathname + location.search) return;
    history[step ? "pushState" : "replaceState"](null, "", path);
  },
};

// Put other children into a node, and the keyboard back to where it was among them.
export function refill(node, ...children) {
  const held = node.contains(document.activeElement) ? document.activeElement.name : null;
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  if (held) node.querySelector(`[name="${CSS.escape(held)}"]`)?.focus();
}

// ---- pickers -----------------------------------------------------------------------------------
// A labelled select whose choice is in the address under `name`.
export function picker(label, name, options, chosen, react) {
  const select = el("select", { name, onchange: () => { asked.set({ [name]: select.value }); react(select.value); } });
  for (const [value, text] of options) select.append(el("option", { value, textContent: text }));
  const values = options.map(([value]) => String(value));
  select.value = values.includes(String(chosen)) ? chosen : values[0] ?? "";
  const node = el("label", {}, label, " ", select);
  node.select = select;
  return node;
}
export const current = (name, options, other) => {
  const held = asked.get(name, other), values = options.map(([value]) => String(value));
  return values.includes(String(held)) ? held : values.includes(String(other)) ? other : values[0] ?? "";
};

// Several of many, with a filter: a summary that opens a list of boxes. `closed` is told when the
// list closes, so that what depends on the choice is not rebuilt under the user's hand.
export function several(label, options, chosen, react, { allWhenNone = "", closed = null } = {}) {
  const picked = new Set(chosen);
  const names = new Map(options);
  const summary = el("summary");
  const say = () => {
    const words = [...picked].map((value) => names.get(value) ?? value);
    const text = !words.length || (allWhenNone && words.length === options.length) ? allWhenNone || "none" : words.length === 1 ? words[0] : `${words.length}: ${words.join("; ")}`;
    summary.textContent = text;
    summary.setAttribute("aria-label", `${label}: ${text}`);
    summary.title = text;
  };
  const boxes = options.map(([value, text]) => {
    const box = el("input", { type: "checkbox", checked: picked.has(value) });
    const item = el("li", {}, el("label", {}, box, text));
    box.addEventListener("change", () => { if (box.checked) picked.add(value); else picked.delete(value); changed(); });
    return { value, text, box, item };
  });
  const inOrder = () => options.map(([value]) => value).filter((value) => picked.has(value));
  const changed = () => { say(); react(inOrder()); };
  const filter = el("input", { type: "search", placeholder: "filter", "aria-label": `filter the list of ${label}`, oninput: () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const one of boxes) one.item.hidden = !words.every((word) => one.text.toLowerCase().includes(word));
  } });
  const shown = () => boxes.filter((one) => !one.item.hidden);
  const put = (on) => () => {
    for (const one of shown()) { one.box.checked = on; if (on) picked.add(one.value); else picked.delete(one.value); }
    changed();
  };
  const details = el("details", { className: "several", onkeydown: (event) => {
    if (event.key === "Escape") { details.open = false; summary.focus(); }
  } }, summary, el("div", {}, filter, " ", el("button", { type: "button", textContent: "all shown", onclick: put(true) }), " ",
    el("button", { type: "button", textContent: "none", onclick: put(false) }), el("ul", {}, ...boxes.map((one) => one.item))));
  details.addEventListener("toggle", () => { if (!details.open && details.isConnected) closed?.(); });
  say();
  return el("div", {}, el("span", { textContent: label }), details);
}

// A list closes when its user points elsewhere.
document.addEventListener("pointerdown", (event) => {
  for (const list of document.querySelectorAll("details.several[open]")) if (!list.contains(event.target)) list.open = false;
});

// ---- files -------------------------------------------------------------------------------------
function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
async function pictured(svg) {
  const [w, h] = ["width", "height"].map((key) => Number(svg.getAttribute(key)));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
  await image.decode();
  const canvas = el("canvas", { width: 2 * w, height: 2 * h });
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * w, 2 * h);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
// Buttons that save a drawing as PNG and SVG, and a link to its numbers as CSV.
export function files(name, drawing, csv) {
  const written = (node) => new Blob([new XMLSerializer().serializeToString(node)], { type: "image/svg+xml" });
  const button = (text, title, made) => el("button", { type: "button", textContent: text, title, onclick: async () => save(await made(await drawing().svg()), `${name}.${text.toLowerCase()}`) });
  return el("div", { className: "files" }, button("PNG", "save the picture", pictured), button("SVG", "save the drawing", written),
    csv ? el("a", { href: csv, download: `${name}.csv`, textContent: "CSV", title: "save the numbers" }) : null);
}

// ---- steps that move ---------------------------------------------------------------------------
// A slider over training with a button that plays it.
export function moving(steps, name, react) {
  const slider = el("input", { type: "range", min: 0, max: Math.max(steps.length - 1, 0), step: 1, "aria-label": "training step", disabled: steps.length < 2 });
  const output = el("output");
  const held = steps.indexOf(Number(asked.get(name, steps.at(-1))));
  slider.value = held < 0 ? steps.length - 1 : held;
  const show = () => {
    if (!node.isConnected) return; // its view was left
    const i = Number(slider.value);
    output.textContent = `step ${steps[i]?.toLocaleString("en-GB") ?? "–"}`;
    slider.setAttribute("aria-valuetext", `step ${steps[i]}`);
    asked.set({ [name]: steps[i] }, false);
    react(i);
  };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶ play"; };
  const play = el("button", { type: "button", textContent: "▶ play", disabled: steps.length < 2, onclick: () => {
    if (timer) { stop(); return; }
    play.textContent = "❚❚ stop";
    timer = setInterval(() => {
      if (!slider.isConnected) { stop(); return; }
      slider.value = (Number(slider.value) + 1) % steps.length;
      show();
    }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1500 : 500);
  } });
  slider.addEventListener("input", show);
  const node = el("div", { className: "moves" }, play, slider, output);
  node.start = show;
  return node;
}

// ---- small things ------------------------------------------------------------------------------
export const told = (error) => el("p", { className: "error", role: "alert", textContent: error.message || String(error) });
export const runOptions = (study) => study.runs.map((run) => [run.id, run.label]);
export const colours = (study, low = 0) => low < 0
  ? scale(study.colours.difference, study.colours.undefined, low, -low) : scale(study.colours.scores, study.colours.undefined);
// The newest of several questions is the one whose answer is drawn.
export function latest() {
  let controller = null;
  return async (work) => {
    controller?.abort();
    const own = controller = new AbortController();
    try { await work(own.signal); } catch (error) { if (!own.signal.aborted) throw error; }
  };
}
export function table(head, rows, { caption, numbers = [] } = {}) {
  const cell = (kind) => (value, i) => {
    const node = value instanceof Node ? el(kind, {}, value) : el(kind, { textContent: value ?? "–" });
    if (numbers.includes(i)) node.className = "number";
    if (kind === "th") node.scope = "col";
    return node;
  };
  return el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": caption ?? "table" }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map(cell("th")))), el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell("td")))))));
}

// Ink for the page and for the report: a heat map on a canvas and charts in SVG.
// Every function draws into a box, follows its width, and can hand out what it drew as a file.
// Names come from study files: text is set as text, and never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const SIZE = 11; // of the labels, in pixels: drawings are laid out anew, never scaled
const FONT = `${SIZE}px system-ui, sans-serif`;

export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
export const whole = (n) => n.toLocaleString("en-GB");
export const count = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
export function score(x, digits = 3) {
  return x === null || Number.isNaN(x) ? "undefined" : x.toFixed(digits).replace("-", "−");
}
export function svgNode(parent, name, attributes = {}, text = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent?.append(node);
  return node;
}

// The inks of the theme in force, so that a downloaded drawing holds them itself.
export function inks(box) {
  const style = getComputedStyle(box);
  const ink = (name, other) => style.getPropertyValue(name).trim() || other;
  return {
    ink: ink("--ink", "#1c2024"), quiet: ink("--quiet", "#5a636b"), line: ink("--line", "#d5dade"),
    paper: ink("--paper", "#ffffff"), mark: ink("--mark", "#d0021b"),
  };
}

// ---- colours -----------------------------------------------------------------------------------
// A scale from evenly spaced stops ("#rrggbb") over [low, high]; anything undefined is its own.
export function scale(stops, undefinedColour, low = 0, high = 1) {
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const [parsed, none] = [stops.map(rgb), rgb(undefinedColour)];
  const steps = 1023;
  const table = new Uint8Array(4 * (steps + 1));
  for (let i = 0; i <= steps; i++) {
    const at = (i / steps) * (parsed.length - 1);
    const k = Math.min(Math.floor(at), parsed.length - 2);
    parsed[k].forEach((c, j) => { table[4 * i + j] = Math.round(c + (at - k) * (parsed[k + 1][j] - c)); });
    table[4 * i + 3] = 255;
  }
  const place = (x) => 4 * Math.round(clamp((x - low) / (high - low), 0, 1) * steps);
  return {
    low, high, stops, undefinedColour,
    fill(values, pixels) {
      for (let i = 0; i < values.length; i++) {
        const x = values[i];
        if (x === null || Number.isNaN(x)) {
          pixels[4 * i] = none[0]; pixels[4 * i + 1] = none[1]; pixels[4 * i + 2] = none[2];
        } else {
          const p = place(x);
          pixels[4 * i] = table[p]; pixels[4 * i + 1] = table[p + 1]; pixels[4 * i + 2] = table[p + 2];
        }
        pixels[4 * i + 3] = 255;
      }
    },
    at(x) {
      if (x === null || Number.isNaN(x)) return undefinedColour;
      const p = place(x);
      return `rgb(${table[p]}, ${table[p + 1]}, ${table[p + 2]})`;
    },
  };
}

export function scaleBar(colours) {
  const bar = document.createElement("div");
  bar.className = "scale";
  const swatches = svgNode(null, "svg", { width: 128, height: 13, "aria-hidden": "true" });
  const steps = 64;
  for (let i = 0; i < steps; i++) {
    const x = colours.low + (colours.high - colours.low) * (i + 0.5) / steps;
    svgNode(swatches, "rect", { x: 2 * i, y: 0, width: 2.5, height: 13, fill: colours.at(x) });
  }
  const none = svgNode(null, "svg", { width: 13, height: 13, "aria-hidden": "true", class: "none" });
  svgNode(none, "rect", { width: 13, height: 13, fill: colours.undefinedColour });
  const digits = Math.abs(colours.high) < 1 ? 2 : 0;
  bar.append(score(colours.low, digits), swatches, score(colours.high, digits), none, "undefined");
  return bar;
}

// Call draw again whenever the box's width or the theme changes: the last draw that it was given.
const followed = new WeakMap(); // box → { draw, width }
const boxes = new Set(); // weak references, for the theme
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const own = followed.get(target);
    if (!own || !target.clientWidth || target.clientWidth === own.width) continue;
    own.width = target.clientWidth;
    own.draw();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const reference of boxes) {
    const box = reference.deref();
    if (!box) boxes.delete(reference);
    else if (box.isConnected) followed.get(box).draw();
  }
});
export function follow(box, draw) {
  const own = followed.get(box);
  if (own) { own.draw = draw; own.width = box.clientWidth; return; }
  followed.set(box, { draw, width: box.clientWidth });
  boxes.add(new WeakRef(box));
  resized.observe(box);
}

// Places that stand together, run after run.
function groupsOf(list) {
  const found = [];
  list.forEach((one, i) => {
    if (!found.length || found.at(-1).group !== one.group) found.push({ group: one.group, from: i, to: i });
    found.at(-1).to = i;
  });
  return found.filter((one) => one.group);
}

// A drawing on paper of its own, with its title above and what its lines are below.
function framed(box, drawn, title, entries = []) {
  const ink = inks(box), [width, height] = ["width", "height"].map((key) => Number(drawn.getAttribute(key)));
  const longest = Math.max(80, ...entries.map(([name]) => name.length * 6.4 + 44));
  const across = Math.max(1, Math.floor((width - 10) / longest)), deep = Math.ceil(entries.length / across) * 16;
  const root = svgNode(null, "svg", { xmlns: SVG, width, height: height + 24 + deep });
  svgNode(root, "rect", { width, height: height + 24 + deep, fill: ink.paper });
  const text = { "font-size": SIZE, "font-family": "sans-serif", fill: ink.ink };
  svgNode(root, "text", { ...text, x: 6, y: 15 }, title);
  const own = svgNode(root, "g", { transform: "translate(0 22)" });
  for (const node of drawn.childNodes) own.append(node.cloneNode(true));
  entries.forEach(([name, colour, dash], i) => {
    const [x, y] = [8 + (i % across) * longest, height + 24 + Math.floor(i / across) * 16];
    svgNode(root, "line", { x1: x, x2: x + 26, y1: y + 6, y2: y + 6, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash ?? "" });
    svgNode(root, "text", { ...text, x: x + 32, y: y + 10 }, name);
  });
  return root;
}

// ---- a heat map --------------------------------------------------------------------------------
// rows, columns: [{name, group}]; frames: one flat array each; scale: as `scale` makes it.
// react.point(row, column | null) when the cursor moves, react.pick(row, column) on a click.
export function heatMap(box, { rows, columns, frames, colours, label, title = "" }, react = {}) {
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "heat map");
  canvas.setAttribute("aria-label", label);
  box.replaceChildren(canvas);
  const cells = new OffscreenCanvas(columns.length, rows.length);
  const pixels = new ImageData(columns.length, rows.length);
  let frame = 0, active = null, shown = null, zoom = 1, origin = [0, 0], place = null, drag = null;
  const LABELLED = 9; // pixels a cell must have for its own label

  const longest = (list) => Math.min(18, Math.max(...list.map((one) => one.name.length), 1));
  const grouped = (list) => list.some((one) => one.group);
  function layout() {
    const deep = grouped(columns) ? 16 : 0, wide = grouped(rows) ? 16 : 0;
    const left = longest(rows) * 6.3 + 10 + wide, below = longest(columns) * 6.3 + 10 + deep;
    const room = Math.max(box.clientWidth - left - 4, 80);
    const side = clamp(room / columns.length, 0.2, 34);
    const across = Math.min(room, side * columns.length);
    const high = Math.min(Math.max(side * rows.length, Math.min(rows.length, 12)), 900);
    place = { left, across, high, below, wide, deep, top: 2 };
    const ratio = devicePixelRatio || 1;
    const [w, h] = [left + across + 4, high + below + 4 + (title ? 18 : 0)];
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
    canvas.dataset.place = [left, place.top, across / columns.length, high / rows.length].join(" "); // where they are, unzoomed
    draw();
  }
  const sizes = () => [zoom * place.across / columns.length, zoom * place.high / rows.length];
  function bound() {
    origin = [clamp(origin[0], place.across * (1 - zoom), 0), clamp(origin[1], place.high * (1 - zoom), 0)];
  }
  function paint() {
    colours.fill(frames[frame], pixels.data);
    cells.getContext("2d").putImageData(pixels, 0, 0);
  }
  function draw(context = canvas.getContext("2d"), ratio = devicePixelRatio || 1) {
    const { left, across, high, top } = place, ink = inks(box), [w, h] = sizes();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = ink.paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.save();
    context.beginPath();
    context.rect(left, top, across, high);
    context.clip();
    context.imageSmoothingEnabled = w < 1 || h < 1; // many cells a pixel are averaged
    context.drawImage(cells, left + origin[0], top + origin[1], zoom * across, zoom * high);
    if (Math.min(w, h) >= 6) { // a hair of paper between cells that can be told apart
      context.strokeStyle = ink.paper;
      context.lineWidth = 0.5;
      context.beginPath();
      for (let c = 1; c < columns.length; c++) {
        const x = left + origin[0] + c * w;
        context.moveTo(x, top); context.lineTo(x, top + high);
      }
      for (let r = 1; r < rows.length; r++) {
        const y = top + origin[1] + r * h;
        context.moveTo(left, y); context.lineTo(left + across, y);
      }
      context.stroke();
    }
    if (active) {
      context.strokeStyle = ink.mark;
      context.lineWidth = 2;
      context.strokeRect(left + origin[0] + active[1] * w, top + origin[1] + active[0] * h, Math.max(w, 3), Math.max(h, 3));
    }
    context.restore();
    names(context, ink, w, h);
  }
  function names(context, ink, w, h) {
    const { left, across, high, below, wide, deep, top } = place;
    context.font = FONT;
    context.textBaseline = "middle";
    context.fillStyle = ink.ink;
    context.textAlign = "right";
    const every = (size) => Math.max(1, Math.ceil(LABELLED / size));
    for (let r = 0, step = every(h); r < rows.length; r += step) {
      const y = top + origin[1] + (r + 0.5) * h;
      if (y > top && y < top + high) context.fillText(cut(rows[r].name, 18), left - 5, y);
    }
    for (let c = 0, step = every(w); c < columns.length; c += step) {
      const x = left + origin[0] + (c + 0.5) * w;
      if (x < left || x > left + across) continue;
      context.save();
      context.translate(x, top + high + 5);
      context.rotate(-Math.PI / 2);
      context.fillText(cut(columns[c].name, 18), 0, 0);
      context.restore();
    }
    // A run's name stands once beside all of its cells.
    context.textAlign = "center";
    for (const one of wide ? groupsOf(rows) : []) {
      const [a, b] = [one.from, one.to + 1].map((i) => clamp(top + origin[1] + i * h, top, top + high));
      if (b - a < 10) continue;
      line(context, ink.quiet, 3, a + 1, 3, b - 1);
      context.save();
      context.translate(11, (a + b) / 2);
      context.rotate(-Math.PI / 2);
      context.fillText(cut(one.group, Math.floor((b - a) / 6)), 0, 0);
      context.restore();
    }
    for (const one of deep ? groupsOf(columns) : []) {
      const [a, b] = [one.from, one.to + 1].map((i) => clamp(left + origin[0] + i * w, left, left + across));
      if (b - a < 10) continue;
      const y = top + high + below - 1;
      line(context, ink.quiet, a + 1, y, b - 1, y);
      context.fillText(cut(one.group, Math.floor((b - a) / 6)), (a + b) / 2, y - 8);
    }
    if (title) context.fillText(typeof title === "function" ? title(frame) : title, left + across / 2, top + high + below + 9);
  }
  function line(context, colour, x1, y1, x2, y2) {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }
  function over(event) {
    const area = canvas.getBoundingClientRect(), [w, h] = sizes();
    const x = event.clientX - area.left - place.left, y = event.clientY - area.top - place.top;
    if (x < 0 || y < 0 || x >= place.across || y >= place.high) return null;
    return [clamp(Math.floor((y - origin[1]) / h), 0, rows.length - 1), clamp(Math.floor((x - origin[0]) / w), 0, columns.length - 1)];
  }
  let asked = false; // however many events come, one drawing a frame
  function soon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }
  function point(cell) {
    if (String(cell) === String(active)) return;
    active = cell;
    soon();
    react.point?.(cell?.[0] ?? null, cell?.[1] ?? null);
  }
  function zoomTo(factor, [x, y] = [place.across / 2, place.high / 2]) {
    const before = zoom;
    zoom = clamp(zoom * factor, 1, Math.max(1, 40 * Math.max(columns.length / place.across, rows.length / place.high)));
    origin = origin.map((o, i) => [x, y][i] - ([x, y][i] - o) * zoom / before);
    bound();
    soon();
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && zoom === 1 && event.deltaY > 0) return; // the page scrolls on
    event.preventDefault();
    const area = canvas.getBoundingClientRect();
    zoomTo(Math.exp(-event.deltaY / 400), [event.clientX - area.left - place.left, event.clientY - area.top - place.top]);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, origin, moved: false };
    if (zoom > 1) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && zoom > 1 && event.buttons) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.moved ||= Math.hypot(dx, dy) > 4;
      if (drag.moved) {
        origin = [drag.origin[0] + dx, drag.origin[1] + dy];
        bound();
        soon();
        return;
      }
    }
    point(over(event));
  });
  canvas.addEventListener("pointerup", (event) => {
    const cell = over(event);
    if (cell && drag && !drag.moved) {
      point(cell);
      react.pick?.(...cell);
    }
    drag = null;
  });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") point(null); });
  canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) point(active ?? [0, 0]); });
  canvas.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (move) {
      const [r, c] = active ?? [0, 0];
      point([clamp(r + move[0], 0, rows.length - 1), clamp(c + move[1], 0, columns.length - 1)]);
    } else if (event.key === "+" || event.key === "=") zoomTo(1.5);
    else if (event.key === "-") zoomTo(1 / 1.5);
    else if (event.key === "0") zoomTo(1e-9);
    else if (event.key === "Enter" && active) react.pick?.(...active);
    else return;
    event.preventDefault();
  });
  shown = {
    canvas,
    zoom: zoomTo,
    value: (r, c) => frames[frame][r * columns.length + c],
    show(i) { frame = i; paint(); soon(); react.point?.(active?.[0] ?? null, active?.[1] ?? null); },
    // The whole map, unzoomed, with its title, names, groups and scale, as one SVG of its own.
    async svg() {
      const { left, across, high, below, top, wide, deep } = place, ink = inks(box), head = 22, foot = 34;
      const [w, h] = [across / columns.length, high / rows.length];
      const [full, tall] = [Math.max(left + across + 4, 330), head + high + below + foot];
      const root = svgNode(null, "svg", { xmlns: SVG, width: full, height: tall });
      svgNode(root, "rect", { width: full, height: tall, fill: ink.paper });
      const text = { "font-size": SIZE, "font-family": "sans-serif", fill: ink.ink };
      const words = typeof title === "function" ? title(frame) : title;
      svgNode(root, "text", { ...text, x: 6, y: 15 }, words ? `${label}; ${words}` : label);
      const group = svgNode(root, "g", { transform: `translate(0 ${head})` });
      if (rows.length * columns.length <= 20_000) {
        for (let r = 0; r < rows.length; r++) for (let c = 0; c < columns.length; c++) {
          svgNode(group, "rect", { x: left + c * w, y: top + r * h, width: w, height: h, fill: colours.at(shown.value(r, c)), class: "cell" });
        }
      } else {
        const blob = await cells.convertToBlob({ type: "image/png" });
        const bytes = new Uint8Array(await blob.arrayBuffer());
        let raw = "";
        for (let i = 0; i < bytes.length; i += 32_768) raw += String.fromCharCode(...bytes.subarray(i, i + 32_768));
        svgNode(group, "image", { x: left, y: top, width: across, height: high, preserveAspectRatio: "none",
          style: "image-rendering: pixelated", href: `data:image/png;base64,${btoa(raw)}` });
      }
      const end = { ...text, "text-anchor": "end" };
      for (let r = 0, k = Math.max(1, Math.ceil(LABELLED / h)); r < rows.length; r += k) {
        svgNode(group, "text", { ...end, x: left - 5, y: top + (r + 0.5) * h + 4 }, cut(rows[r].name, 18));
      }
      for (let c = 0, k = Math.max(1, Math.ceil(LABELLED / w)); c < columns.length; c += k) {
        const [x, y] = [left + (c + 0.5) * w + 4, top + high + 6];
        svgNode(group, "text", { ...end, x, y, transform: `rotate(-90 ${x} ${y})` }, cut(columns[c].name, 18));
      }
      const middle = { ...text, "text-anchor": "middle", fill: ink.quiet };
      for (const one of wide ? groupsOf(rows) : []) {
        const [a, b] = [top + one.from * h, top + (one.to + 1) * h], y = (a + b) / 2;
        if (b - a > 10) svgNode(group, "text", { ...middle, x: 11, y, transform: `rotate(-90 11 ${y})` }, cut(one.group, Math.floor((b - a) / 6)));
      }
      for (const one of deep ? groupsOf(columns) : []) {
        const [a, b] = [left + one.from * w, left + (one.to + 1) * w];
        if (b - a > 10) svgNode(group, "text", { ...middle, x: (a + b) / 2, y: top + high + below - 6 }, cut(one.group, Math.floor((b - a) / 6)));
      }
      const bar = tall - 18;
      const ends = Math.abs(colours.high) < 1 ? 2 : 0;
      for (let i = 0; i < 64; i++) {
        svgNode(root, "rect", { x: 46 + 2 * i, y: bar, width: 2.5, height: 11, fill: colours.at(colours.low + (colours.high - colours.low) * (i + 0.5) / 64) });
      }
      svgNode(root, "text", { ...end, x: 40, y: bar + 10 }, score(colours.low, ends));
      svgNode(root, "text", { ...text, x: 180, y: bar + 10 }, score(colours.high, ends));
      svgNode(root, "rect", { x: 230, y: bar, width: 11, height: 11, fill: colours.undefinedColour });
      svgNode(root, "text", { ...text, x: 247, y: bar + 10 }, "undefined");
      return root;
    },
  };
  paint();
  layout();
  follow(box, layout);
  return shown;
}

// ---- lines -------------------------------------------------------------------------------------
// lines: [{key, name, colour, dash, x, y, low?, high?}]; a gap where y is null.
// options: xLabel, yLabel, log (x as log of 1 + x), range ([low, high] at least), told (what a point says).
export function lineChart(box, live, legend, { lines, xLabel = "training step", yLabel = "", log = true, range = null, told, hidden = new Set(), label }) {
  const svg = svgNode(null, "svg", { tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": label });
  box.replaceChildren(svg);
  const [left0, right, top, bottom] = [46, 14, 8, 40];
  let active = null, drawn = [], over = null, axes = null;
  const seen = () => lines.filter((one) => !hidden.has(one.key) && one.points.length);
  for (const one of lines) {
    one.points = one.x.map((x, i) => ({ i, at: x, v: one.y[i] })).filter((p) => p.v !== null && Number.isFinite(p.v));
  }
  const nearestTo = (list, of) => list.reduce((best, one) => (of(one) < of(best) ? one : best));
  function ticksOf(low, high) {
    const raw = (high - low || 1) / 5, size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= raw);
    const found = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) found.push(v);
    return [found, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
  }
  function layout() {
    svg.replaceChildren();
    const ink = inks(box), width = Math.max(box.clientWidth, 120), height = 320, left = left0 + (yLabel ? 16 : 0);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const used = seen();
    const xs = used.flatMap((one) => one.points.map((p) => p.at));
    const ys = used.flatMap((one) => [...one.points.map((p) => p.v), ...(one.low ?? []), ...(one.high ?? [])])
      .filter((v) => v !== null && Number.isFinite(v));
    if (!xs.length) { live.textContent = lines.length ? "No line is shown." : "There is nothing to draw yet."; return; }
    const ends = (list) => list.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const [x0, x1] = ends(xs);
    let [y0, y1] = ends(range ? [...ys, ...range] : ys);
    if (y0 === y1) [y0, y1] = [y0 - 0.5, y1 + 0.5];
    const bend = log ? (s) => Math.log1p(s) : (s) => s;
    const x = (s) => left + (width - left - right) * (bend(s) - bend(x0)) / (bend(x1) - bend(x0) || 1);
    const y = (v) => top + (height - top - bottom) * (1 - (v - y0) / (y1 - y0));
    axes = { x, y };
    const text = (px, py, words, more = {}) => svgNode(svg, "text", { x: px, y: py, "font-size": SIZE, "font-family": "system-ui, sans-serif", fill: ink.quiet, ...more }, words);
    const [levels, digits] = ticksOf(y0, y1);
    for (const v of levels) {
      svgNode(svg, "line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: ink.line });
      text(left - 6, y(v) + 4, score(v, digits), { "text-anchor": "end" });
    }
    const marks = log ? [x0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, x1].filter((s, i, all) => s >= x0 && s <= x1 && all.lastIndexOf(s) === i) : ticksOf(x0, x1)[0];
    let taken = Infinity; // from the right, so that the last step keeps its label
    for (const s of marks.reverse()) {
      const words = Number.isInteger(s) ? whole(s) : score(s, 2), half = words.length * 3.2 + 4;
      if (x(s) + half > taken) continue;
      taken = x(s) - half;
      svgNode(svg, "line", { x1: x(s), x2: x(s), y1: height - bottom, y2: height - bottom + 4, stroke: ink.quiet });
      text(clamp(x(s), left, width - half), height - bottom + 16, words, { "text-anchor": "middle" });
    }
    text((left + width - right) / 2, height - 5, xLabel + (log ? " (log of 1 + step)" : ""), { "text-anchor": "middle" });
    if (yLabel) text(12, (top + height - bottom) / 2, yLabel, { "text-anchor": "middle", transform: `rotate(-90 12 ${(top + height - bottom) / 2})` });
    over = svgNode(svg, "g", { "pointer-events": "none" });
    drawn = used.map((one) => {
      const group = svgNode(svg, "g", { fill: "none", stroke: one.colour, "stroke-width": 1.6, "data-line": one.key });
      const points = one.points.map((p) => ({ ...p, px: x(p.at), py: y(p.v) }));
      const path = points.map((p, i) => `${i && p.i === points[i - 1].i + 1 ? "L" : "M"}${p.px.toFixed(1)},${p.py.toFixed(1)}`);
      svgNode(group, "path", { d: path.join(""), "stroke-dasharray": one.dash ?? "" });
      if (points.length <= 60) for (const p of points) svgNode(group, "circle", { cx: p.px, cy: p.py, r: 1.7, fill: one.colour, stroke: "none" });
      return { one, group, points };
    });
    if (active && !drawn.some((d) => d.one.key === active.key)) active = null;
    say();
  }
  function say() {
    over?.replaceChildren();
    const own = drawn.find((d) => d.one.key === active?.key);
    for (const { one, group } of drawn) {
      group.setAttribute("opacity", active && one.key !== active.key ? 0.35 : 1);
      group.setAttribute("stroke-width", one.key === active?.key ? 2.6 : 1.6);
    }
    if (!own) { live.textContent = "Point at a line, or use the arrow keys."; return; }
    const { one, points } = own, p = points.find((q) => q.i === active.i) ?? points[0];
    if (one.low && one.high) {
      const edge = (list, from) => from.filter((q) => list[q.i] !== null).map((q) => `${q.px},${axes.y(list[q.i])}`);
      svgNode(over, "polygon", { fill: one.colour, opacity: 0.2, points: [...edge(one.low, points), ...edge(one.high, [...points].reverse())].join(" ") });
    }
    svgNode(over, "circle", { cx: p.px, cy: p.py, r: 5, fill: "none", stroke: inks(box).ink, "stroke-width": 1.5 });
    live.textContent = told ? told(one, p.i) : `${one.name}, step ${whole(p.at)}: ${score(p.v)}`;
  }
  function far(px, py, a, b) {
    const [dx, dy] = [b.px - a.px, b.py - a.py];
    const t = clamp(((px - a.px) * dx + (py - a.py) * dy) / (dx * dx + dy * dy || 1), 0, 1);
    return Math.hypot(a.px + t * dx - px, a.py + t * dy - py);
  }
  function pointed(event) {
    const area = svg.getBoundingClientRect(), [px, py] = [event.clientX - area.left, event.clientY - area.top];
    if (!drawn.length) return;
    const own = nearestTo(drawn, ({ points }) => Math.min(...points.map((p, i) => far(px, py, points[Math.max(i - 1, 0)], p))));
    active = { key: own.one.key, i: nearestTo(own.points, (p) => Math.abs(p.px - px)).i };
    say();
  }
  svg.addEventListener("pointermove", pointed);
  svg.addEventListener("pointerdown", pointed);
  svg.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return; // a lifted finger leaves the answer
    active = null;
    if (drawn.length) say();
  });
  svg.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move || !drawn.length) return;
    event.preventDefault();
    const row = drawn.findIndex((d) => d.one.key === active?.key);
    const own = drawn[row < 0 ? 0 : clamp(row + move[0], 0, drawn.length - 1)];
    const column = own.points.findIndex((p) => p.i === active?.i);
    active = { key: own.one.key, i: own.points[column < 0 ? 0 : clamp(column + move[1], 0, own.points.length - 1)].i };
    say();
  });
  legend?.replaceChildren(...lines.map((one) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!hidden.has(one.key)));
    const swatch = svgNode(button, "svg", { width: 26, height: 8, "aria-hidden": "true" });
    svgNode(swatch, "line", { x1: 0, y1: 4, x2: 26, y2: 4, stroke: one.colour, "stroke-width": 2, "stroke-dasharray": one.dash ?? "" });
    button.append(one.name);
    button.addEventListener("click", () => {
      if (!hidden.delete(one.key)) hidden.add(one.key);
      button.setAttribute("aria-pressed", String(!hidden.has(one.key)));
      layout();
    });
    return button;
  }));
  layout();
  follow(box, layout);
  return { svg: () => framed(box, svg, label, seen().map((one) => [one.name, one.colour, one.dash])) };
}

// ---- tracks on a plane -------------------------------------------------------------------------
// tracks: [{key, name, colour, shape, steps, x, y}], each from its first step (small) to its last.
export function tracks(box, live, { tracks: list, xLabel, yLabel, label, pick }) {
  const svg = svgNode(null, "svg", { tabindex: 0, role: "application", "aria-roledescription": "map", "aria-label": label });
  box.replaceChildren(svg);
  let points = [], active = null, over = null;
  function layout() {
    svg.replaceChildren();
    const ink = inks(box), width = Math.max(box.clientWidth, 120), height = clamp(width * 0.7, 240, 620), edge = 34;
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const ends = (name) => list.flatMap((one) => one[name]).filter((v) => v !== null).reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const [[x0, x1], [y0, y1]] = [ends("x"), ends("y")];
    // One unit is as long across as up: distances are what the map is of.
    const unit = Math.min((width - 2 * edge) / (x1 - x0 || 1), (height - 2 * edge) / (y1 - y0 || 1));
    const x = (v) => width / 2 + unit * (v - (x0 + x1) / 2), y = (v) => height / 2 - unit * (v - (y0 + y1) / 2);
    svgNode(svg, "rect", { x: 0.5, y: 0.5, width: width - 1, height: height - 1, fill: "none", stroke: ink.line });
    const text = { "font-size": SIZE, "font-family": "system-ui, sans-serif", fill: ink.quiet, "text-anchor": "middle" };
    svgNode(svg, "text", { ...text, x: width / 2, y: height - 8 }, xLabel);
    svgNode(svg, "text", { ...text, x: 14, y: height / 2, transform: `rotate(-90 14 ${height / 2})` }, yLabel);
    points = [];
    list.forEach((one, k) => {
      const group = svgNode(svg, "g", { stroke: one.colour, fill: one.colour, "data-line": one.key });
      const own = one.steps.map((step, i) => ({ k, i, step, px: x(one.x[i]), py: y(one.y[i]) }));
      svgNode(group, "path", { d: own.map((p, i) => `${i ? "L" : "M"}${p.px.toFixed(1)},${p.py.toFixed(1)}`).join(""), fill: "none", "stroke-opacity": 0.35 });
      own.forEach((p, i) => svgNode(group, "circle", { cx: p.px, cy: p.py, r: i === own.length - 1 ? 4.5 : 1.4 + 1.6 * i / own.length, "fill-opacity": i === own.length - 1 ? 1 : 0.6, stroke: "none" }));
      points.push(...own);
    });
    over = svgNode(svg, "g", { "pointer-events": "none" });
    say();
  }
  function say() {
    over.replaceChildren();
    if (!active) { live.textContent = "Point at a run, or use the arrow keys: up and down for runs, left and right for steps."; return; }
    const one = list[active.k], p = points.find((q) => q.k === active.k && q.i === active.i);
    const ink = inks(box), own = points.filter((q) => q.k === active.k);
    svgNode(over, "path", { d: own.map((q, i) => `${i ? "L" : "M"}${q.px},${q.py}`).join(""), fill: "none", stroke: one.colour, "stroke-width": 2.5 });
    svgNode(over, "circle", { cx: p.px, cy: p.py, r: 7, fill: "none", stroke: ink.ink, "stroke-width": 1.5 });
    live.textContent = `${one.name}, step ${whole(p.step)}`;
  }
  svg.addEventListener("pointermove", (event) => {
    const area = svg.getBoundingClientRect(), [px, py] = [event.clientX - area.left, event.clientY - area.top];
    const near = points.reduce((best, p) => (Math.hypot(p.px - px, p.py - py) < Math.hypot(best.px - px, best.py - py) ? p : best), points[0]);
    active = near && Math.hypot(near.px - px, near.py - py) < 40 ? near : null;
    say();
  });
  svg.addEventListener("click", () => active && pick?.(list[active.k], active.i));
  svg.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (event.key === "Enter" && active) { pick?.(list[active.k], active.i); return; }
    if (!move) return;
    event.preventDefault();
    const k = active ? clamp(active.k + move[0], 0, list.length - 1) : 0;
    active = { k, i: active ? clamp(active.i + move[1], 0, list[k].steps.length - 1) : list[k].steps.length - 1 };
    say();
  });
  layout();
  follow(box, layout);
  const kinds = [...new Map(list.map((one) => [one.kind, one.colour])).entries()];
  return { svg: () => framed(box, svg, label, kinds.map(([name, colour]) => [name, colour, ""])) };
}

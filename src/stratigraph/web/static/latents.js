// What the latents of a run do: regimes over training, and images that its decoder draws.

import { lineChart, score, whole } from "./draw.js";
import { apiPath, ask, asked, current, el, files, latest, picker, refill, told } from "./kit.js";

const REGIMES = { active: ["#0072B2", ""], mixed: ["#009E73", "9 3 2 3"], passive: ["#D55E00", "6 3"] };
const TIMES = 3; // how large a pixel is drawn
const SPAN = 2.5, REACH = 4;

export async function latents(box, study, shown) {
  const vaes = study.runs.filter((run) => run.gaussian);
  box.append(el("h1", { textContent: "Latents" }));
  if (!vaes.length) { box.append(el("p", { className: "quiet", textContent: "The study has no VAE." })); return; }
  const pickers = el("div", { className: "pickers" }), charts = el("div", { className: "panels" }), images = el("div");
  box.append(pickers, charts, images);
  const options = vaes.map((run) => [run.id, run.label]), ways = study.ways.map((way) => [way, way]);
  const newest = latest();
  async function draw() {
    await newest(async (signal) => {
      const run = vaes.find((one) => one.id === current("run", options, vaes[0].id)), way = current("way", ways, ways[0][0]);
      const steps = run.steps_kept.map((step) => [String(step), whole(step)]), step = current("step", steps, steps.at(-1)?.[0]);
      refill(pickers, ...(ways.length > 1 ? [picker("read", "way", ways, way, draw)] : []), picker("run", "run", options, run.id, draw), steps.length ? picker("images of step", "step", steps, step, draw) : "");
      await Promise.all([regimes(charts, run, way, signal), steps.length && !study.recorded ? decoder(images, run, step, signal) : images.replaceChildren(el("p", { className: "quiet", textContent: study.recorded ? "A recorded run's decoder is not available here, so no images are drawn." : "This run has no snapshot yet." }))]);
    });
  }
  shown.update = async (renewed) => { study = renewed; vaes.splice(0, vaes.length, ...study.runs.filter((run) => run.gaussian)); await draw(); };
  await draw();
}

export async function regimes(area, run, way, signal, charts = ["regimes", "kl", "information"]) {
  try {
    const found = await ask("latents", { run: run.id, way }, signal), csv = apiPath("latents", { run: run.id, way, format: "csv" });
    const made = [];
    const panel = (title, name, options) => {
      const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
      const node = el("section", {}, el("h2", { textContent: title }), drawing, live, legend);
      made.push([node, () => { const chart = lineChart(drawing, live, legend, { label: title, ...options }); node.append(files(name, () => chart, csv)); }]);
    };
    if (charts.includes("regimes")) panel("Latents in each regime", "regimes", {
      yLabel: "latents", range: [0, found.latents.length],
      lines: Object.entries(found.regimes).map(([name, values]) => ({ key: name, name, colour: REGIMES[name][0], dash: REGIMES[name][1], x: found.steps, y: values })),
      told: (one, i) => `${one.name}, step ${whole(found.steps[i])}: ${one.y[i]} of ${found.latents.length} latents` });
    if (charts.includes("kl")) panel("KL divergence of each latent", "latent-kl", {
      yLabel: "nats", range: [0, 0.1],
      lines: found.latents.map((one, k) => ({ key: `z${one.latent}`, name: `z${one.latent}`, colour: REGIMES[one.regimes.at(-1)][0], dash: ["", "6 3", "2 3", "9 3 2 3"][k % 4], x: found.steps, y: one.kl, regimes: one.regimes })),
      told: (one, i) => `${one.name}, step ${whole(found.steps[i])}: ${score(one.y[i], 2)} nats, ${one.regimes[i]}` });
    if (charts.includes("information") && found.latents[0]?.information) panel("Information that each latent carries about the images", "latent-information", {
      yLabel: "nats", range: [0, 0.1],
      lines: found.latents.map((one, k) => ({ key: `z${one.latent}`, name: `z${one.latent}`, colour: REGIMES[one.regimes.at(-1)][0], dash: ["", "6 3", "2 3", "9 3 2 3"][k % 4], x: found.steps, y: one.information })),
      told: (one, i) => `${one.name}, step ${whole(found.steps[i])}: ${score(one.y[i], 2)} nats of the images` });
    area.replaceChildren(...made.map(([node]) => node));
    for (const [, put] of made) put();
  } catch (error) {
    if (signal?.aborted) throw error;
    area.replaceChildren(told(error));
  }
}

// A picture at a whole multiple of its own pixels.
function picture(source, alt) {
  const image = el("img", { className: "pixels", alt });
  image.addEventListener("load", () => { image.width = TIMES * image.naturalWidth; });
  image.src = source;
  return image;
}

async function decoder(area, run, step, signal) {
  let found;
  const probe = () => Math.max(0, Number.parseInt(asked.get("probe", "0"), 10) || 0);
  try {
    found = await ask("posterior", { run: run.id, step, probe: probe() }, signal).catch((error) => { if (signal.aborted || !area.isConnected) throw error; asked.set({ probe: 0 }, false); return ask("posterior", { run: run.id, step, probe: 0 }, signal); });
  } catch (error) { if (signal.aborted) throw error; area.replaceChildren(told(error)); return; }
  const strip = await probesOf(run, found.probes);
  const original = el("canvas", { className: "pixels" }), rebuilt = picture(apiPath("decoded", { run: run.id, step, probe: probe() }), "the probe, reconstructed from its mean"), moved = picture("", "what the decoder makes of the sliders");
  original.setAttribute("role", "img");
  original.setAttribute("aria-label", "the probe");
  const sliders = el("div", { className: "sliders" }), row = el("div", { className: "probes", role: "group", "aria-label": "probes" });
  const z = [], order = () => found.kl.map((kl, i) => [kl, i]).sort((a, b) => b[0] - a[0]).map(([, i]) => i);
  const saved = el("a", { download: "traversal.png", textContent: "PNG" });
  const travel = el("div", { className: "traversal" });
  let busy = false, waiting = false;
  // The newest position is drawn; those that come while one is on its way are skipped.
  async function decode() {
    if (busy) { waiting = true; return; }
    busy = true;
    do {
      waiting = false;
      const image = new Image();
      image.src = apiPath("decoded", { run: run.id, step, z: z.map((v) => v.toFixed(3)).join(",") });
      try { await image.decode(); moved.src = image.src; } catch { /* the last picture stays */ }
    } while (waiting);
    busy = false;
    moved.dataset.z = z.map((v) => v.toFixed(3)).join(",");
  }
  function put() {
    strip.into(original, probe());
    rebuilt.src = apiPath("decoded", { run: run.id, step, probe: probe() });
    found.mean.forEach((v, i) => { z[i] = v; });
    sliders.replaceChildren(...order().map((i) => {
      const output = el("output", { textContent: score(z[i], 2) });
      const slider = el("input", { type: "range", min: -REACH, max: REACH, step: 0.05, value: z[i], "aria-label": `latent ${i}`, oninput: () => { z[i] = Number(slider.value); output.textContent = score(z[i], 2); decode(); } });
      return el("label", {}, `z${i}, ${score(found.kl[i], 2)} nats`, slider, output);
    }));
    const image = picture(apiPath("traversal", { run: run.id, step, probe: probe() }), `each latent moved from −${SPAN} to ${SPAN}`);
    saved.href = apiPath("traversal", { run: run.id, step, probe: probe() });
    travel.replaceChildren(el("ol", {}, ...found.mean.map((_, i) => el("li", { textContent: `z${i}: ${score(found.kl[i], 2)} nats` }))), image);
    decode();
  }
  row.append(...strip.all.map((canvas, i) => el("button", { type: "button", "aria-label": `probe ${i}`, "aria-pressed": String(i === probe()), onclick: async (event) => {
    asked.set({ probe: i });
    for (const other of row.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    const other = await ask("posterior", { run: run.id, step, probe: i });
    if (i !== probe() || !area.isConnected) return; // another was chosen meanwhile
    found = other;
    put();
  } }, canvas)));
  area.replaceChildren(el("h2", { textContent: "A probe, and what the decoder makes of its latents" }), row,
    el("div", { className: "images" }, el("figure", {}, original, el("figcaption", { textContent: "probe" })), el("figure", {}, rebuilt, el("figcaption", { textContent: "reconstruction" })), el("figure", {}, moved, el("figcaption", { textContent: "from the sliders" }))),
    el("p", {}, el("button", { type: "button", textContent: "back to the probe's latents", onclick: put })), sliders,
    el("h2", { textContent: `Each latent from −${SPAN} to ${SPAN}, the others held` }), el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "traversals" }, travel),
    el("div", { className: "files" }, saved));
  put();
}

// The probes, cut out of the one picture that they come in.
export async function probesOf(run, many) {
  const image = new Image();
  image.src = apiPath("probes", { run: run.id });
  await image.decode();
  const side = (image.naturalWidth + 1) / many - 1, high = image.naturalHeight;
  const into = (canvas, i, times = TIMES) => {
    canvas.width = side;
    canvas.height = high;
    canvas.style.width = `${times * side}px`;
    canvas.style.imageRendering = "pixelated";
    canvas.getContext("2d").drawImage(image, i * (side + 1), 0, side, high, 0, 0, side, high);
  };
  const all = Array.from({ length: many }, (_, i) => { const canvas = el("canvas"); into(canvas, i, 1); return canvas; });
  return { all, into };
}

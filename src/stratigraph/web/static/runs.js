// Two runs side by side: how they were made, how they learned, and how alike their layers are.

import { heatMap, lineChart, scaleBar, score, whole } from "./draw.js";
import { apiPath, ask, asked, colours, current, el, files, latest, moving, picker, refill, runOptions, table, told } from "./kit.js";
import { addCertainty } from "./certainty.js";
import { regimes } from "./latents.js";

const SIDES = [["a", "#0072B2"], ["b", "#D55E00"]];
const FACTS = ["data", "architecture", "objective", "strength", "latents", "seed", "state", "step", "loss", "reconstruction", "kl"];

export async function runs(box, study, shown) {
  const pickers = el("div", { className: "pickers" }), area = el("div");
  box.append(el("h1", { textContent: "Two runs" }), pickers, area);
  const options = runOptions(study), ways = study.ways.map((way) => [way, way]);
  const newest = latest(), pointed = latest();
  async function draw() {
    await newest(async (signal) => {
      const of = (name, other) => study.runs.find((run) => run.id === current(name, options, other));
      const a = of("a", options[0][0]), b = of("b", (options[1] ?? options[0])[0]);
      const way = current("way", ways, ways[0][0]), measures = Object.entries(study.measures[way]), measure = current("measure", measures, measures[0]?.[0]);
      refill(pickers, picker("first", "a", options, a.id, draw), picker("second", "b", options, b.id, draw),
        ...(ways.length > 1 ? [picker("read", "way", ways, way, draw)] : []), measures.length ? picker("measure", "measure", measures, measure, draw) : "");
      const maps = el("div"), lines = el("div"), counts = el("div", { className: "panels" });
      area.replaceChildren(facts(a, b), el("h2", { textContent: "Layers against layers" }), maps, el("h2", { textContent: "Loss" }), lines, counts);
      await Promise.all([threeMaps(maps, a, b, way, measure, signal), losses(lines, a, b, signal), latentCounts(counts, [a, b], way, signal)]);
    });
  }
  function facts(a, b) {
    const said = (value) => (typeof value === "number" && !Number.isInteger(value) ? score(value, 2) : value ?? "–");
    const own = (run, name) => (name in run ? run[name] : run.settings[name]);
    const keys = [...new Set([...Object.keys(a.settings), ...Object.keys(b.settings)])];
    // Beside the usual: every setting that tells the two apart.
    const more = keys.filter((name) => !FACTS.includes(name.split(".")[0]) && JSON.stringify(a.settings[name]) !== JSON.stringify(b.settings[name]) || /^(data|objective)\./.test(name) && JSON.stringify(a.settings[name]) !== JSON.stringify(b.settings[name]));
    const rows = [...FACTS, ...more].map((name) => {
      const [one, other] = [said(own(a, name)), said(own(b, name))].map((value) => (typeof value === "object" ? JSON.stringify(value) : value));
      const differs = one !== other;
      return [name, one, other, differs ? el("strong", { textContent: "differs" }) : ""];
    });
    return table(["", "first", "second", ""], rows, { caption: "the two runs" });
  }
  async function threeMaps(part, a, b, way, measure, signal) {
    if (!measure) { part.replaceChildren(el("p", { className: "quiet", textContent: "Nothing was compared yet." })); return; }
    const pairs = [[a, a, "first × first"], [a, b, "first (rows) × second (columns)"], [b, b, "second × second"]];
    const given = pairs.map(([y, x]) => ({ way, measure, y_runs: y.id, x_runs: x.id, y_step: "moving", x_step: "moving" }));
    try {
      const found = await Promise.all(given.map((one) => ask("heat", one, signal)));
      if (!part.isConnected) return; // its view was left
      const palette = colours(study), live = el("p", { className: "live", "aria-live": "polite", textContent: "Point at a cell, or use the arrow keys." });
      const steps = [...new Set(found.flatMap((one) => one.steps))].sort((p, q) => p - q), maps = [];
      const panels = el("div", { className: "panels three" });
      const drawings = found.map((one, k) => {
        const drawing = el("div", { className: "drawing" });
        panels.append(el("section", {}, el("h2", { textContent: pairs[k][2] }), drawing, files(`map-${k + 1}`, () => maps[k], apiPath("heat", { ...given[k], format: "csv" }))));
        return drawing;
      });
      let at = 0, timer = null;
      const slider = moving(steps, "at", (i) => found.forEach((one, k) => {
        at = i;
        const frame = one.steps.indexOf(steps[i]);
        drawings[k].style.opacity = frame < 0 ? 0.25 : 1;
        if (frame >= 0) maps[k].show(frame);
      }));
      part.replaceChildren(slider, panels, scaleBar(palette), live);
      found.forEach((one, k) => {
        const [frames, rows, columns] = one.shape, size = rows * columns;
        const strip = (list) => list.map((place) => ({ ...place, group: "" }));
        maps[k] = heatMap(drawings[k], { rows: strip(one.rows), columns: strip(one.columns), colours: palette, label: pairs[k][2], frames: Array.from({ length: frames }, (_, i) => one.values.subarray(i * size, (i + 1) * size)) },
          { point: (r, c) => {
            clearTimeout(timer);
            if (r === null || !maps[k]) return;
            const [y, x] = pairs[k], step = steps[at];
            live.textContent = `${pairs[k][2]}: ${one.rows[r].name} × ${one.columns[c].name}: ${score(maps[k].value(r, c))}`;
            timer = addCertainty(live, live.textContent, { way, measure, y_run: y.id, y_step: step, y_layer: one.rows[r].layer, x_run: x.id, x_step: step, x_layer: one.columns[c].layer }, pointed);
          } });
      });
      slider.start();
    } catch (error) {
      if (signal.aborted) throw error;
      part.replaceChildren(told(error));
    }
  }
  async function losses(part, a, b, signal) {
    const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
    const ids = [...new Set([a.id, b.id])].join(",");
    const found = await ask("losses", { runs: ids }, signal);
    part.replaceChildren(drawing, live, legend);
    const lines = found.lines.filter((one) => one.loss === "loss").map((one) => ({ key: `${one.run}-${one.split}`, name: `${one.run === a.id ? "first" : "second"}, ${one.split === "validation" ? "held out" : one.split}`,
      colour: SIDES[one.run === a.id ? 0 : 1][1], dash: one.split === "validation" ? "6 3" : "", x: one.steps, y: one.values }));
    const chart = lineChart(drawing, live, legend, { lines, yLabel: study.unit, label: "losses of the two runs", told: (one, i) => `${one.name}, step ${whole(one.x[i])}: ${score(one.y[i], 2)} ${study.unit}` });
    part.append(files("losses", () => chart, apiPath("losses", { runs: ids, format: "csv" })));
  }
  async function latentCounts(part, both, way, signal) {
    const parts = both.map((run, k) => [run, el("div")]);
    part.replaceChildren(...parts.map(([run, node], k) => el("section", {}, el("h2", { textContent: `${k ? "second" : "first"}: ${run.short}` }), node)));
    await Promise.all(parts.map(([run, node]) => regimes(node, run, way, signal, ["regimes"])));
  }
  shown.update = async (renewed) => { study = renewed; await draw(); };
  await draw();
}

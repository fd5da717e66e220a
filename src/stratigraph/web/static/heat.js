// Any representations against any others, at any steps; the difference of two such maps.

import { heatMap, lineChart, scaleBar, score, whole } from "./draw.js";
import { apiPath, ask, asked, colours, current, el, files, latest, moving, picker, refill, runOptions, several, told } from "./kit.js";
import { addCertainty, certainty } from "./certainty.js";

const LINES = ["#0072B2", "#D55E00", "#009E73"];
const REACHES = [["1", "−1 to 1"], ["0.2", "−0.2 to 0.2"]];

export async function heat(box, study, shown) {
  const compared = study.runs.filter((run) => run.steps_kept.length);
  const first = compared.find((run) => run.state === "done") ?? compared[0];
  if (!study.layers.length || !first) {
    box.append(el("h1", { textContent: "Heat map" }), el("p", { className: "quiet", textContent: `${study.stages} This view fills when the study was compared.` }));
    return;
  }
  const pickers = el("div", { className: "pickers" }), area = el("div"), more = el("div", { id: "pair" });
  box.append(el("h1", { textContent: "Heat map" }), pickers, area, more);
  const newest = latest(), pointed = latest();

  // ---- what is asked for -------------------------------------------------------------------------
  const known = new Set(study.runs.map((run) => run.id));
  const runsOf = (name, other) => { const held = asked.get(name).split(",").filter((id) => known.has(id)); return held.length ? held : other; };
  const ways = study.ways.map((way) => [way, way]);
  function choices() {
    const way = current("way", ways, study.ways[0]);
    const measures = Object.entries(study.measures[way]), measure = current("measure", measures, measures[0]?.[0]);
    const y = runsOf("y_runs", [first.id]), x = runsOf("x_runs", y);
    return { way, measures, measure, y, x, minus: asked.get("minus", "none") };
  }
  const stepOptions = (runs) => {
    const steps = [...new Set(runs.flatMap((id) => study.runs.find((run) => run.id === id).steps_kept))].sort((a, b) => a - b);
    return [["moving", "the slider’s"], ["last", "last"], ["first", "first"], ["all", "all"], ...steps.map((step) => [String(step), whole(step)])];
  };
  const layersOf = (axis) => {
    const held = asked.get(`${axis}_layers`).split(",").filter((name) => study.layers.some((layer) => layer.name === name));
    return held.length ? held : null;
  };
  const layerOptions = study.layers.map((layer) => [layer.name, layer.name]);
  function sidePickers(axis, title, runs, step) {
    const chosen = layersOf(axis) || layerOptions.map(([name]) => name);
    const steps = stepOptions(runs);
    return el("fieldset", {}, el("legend", { textContent: title }),
      several("runs", runOptions(study), runs, (picked) => { asked.set({ [`${axis}_runs`]: picked.join(",") }); draw(); }, { closed: () => rebuild() }),
      picker("step", `${axis}_step`, steps, current(`${axis}_step`, steps, step), draw),
      several("layers", layerOptions, chosen, (picked) => { asked.set({ [`${axis}_layers`]: picked.length === layerOptions.length ? "" : picked.join(",") }); draw(); }, { allWhenNone: "all layers" }));
  }
  function minusPickers({ way, measures, measure, y, x, minus }) {
    const kinds = [["none", "nothing"], ["measure", "another measure"], ["runs", "other runs"], ...(study.ways.length > 1 ? [["way", "another way"]] : [])];
    const extra = [];
    if (minus === "measure") {
      const others = measures.filter(([name]) => name !== measure);
      extra.push(picker("measure", "minus_measure", others, current("minus_measure", others, others[0]?.[0]), draw));
    } else if (minus === "way") {
      const others = ways.filter(([name]) => name !== way);
      extra.push(picker("way", "minus_way", others, current("minus_way", others, others[0][0]), () => rebuild()));
      const held = Object.entries(study.measures[others[0][0]]);
      extra.push(picker("measure", "minus_measure", held, current("minus_measure", held, held[0]?.[0]), draw));
    } else if (minus === "runs") {
      for (const [axis, title, other] of [["y", "rows", y], ["x", "columns", x]]) {
        extra.push(several(title, runOptions(study), runsOf(`minus_${axis}_runs`, other), (picked) => { asked.set({ [`minus_${axis}_runs`]: picked.join(",") }); draw(); }));
      }
    }
    if (minus !== "none") extra.push(picker("scale", "reach", REACHES, current("reach", REACHES, "1"), draw));
    return el("fieldset", {}, el("legend", { textContent: "minus" }),
      picker("what", "minus", kinds, minus, () => { asked.set({ minus_measure: "", minus_way: "", minus_y_runs: "", minus_x_runs: "" }, false); rebuild(); }), ...extra);
  }
  function parameters() {
    const { way, measures, measure, y, x, minus } = choices();
    const steps = (axis, runs, other) => current(`${axis}_step`, stepOptions(runs), other);
    const found = { way, measure, y_runs: y.join(","), x_runs: x.join(","), y_step: steps("y", y, "moving"), x_step: steps("x", x, "last"), y_layers: layersOf("y")?.join(","), x_layers: layersOf("x")?.join(",") };
    if (minus === "measure") found.minus_measure = asked.get("minus_measure", measures.find(([name]) => name !== measure)?.[0]);
    if (minus === "way") {
      found.minus_way = asked.get("minus_way", study.ways.find((name) => name !== way));
      found.minus_measure = asked.get("minus_measure", Object.keys(study.measures[found.minus_way])[0]);
    }
    if (minus === "runs") { found.minus_y_runs = runsOf("minus_y_runs", y).join(","); found.minus_x_runs = runsOf("minus_x_runs", x).join(","); }
    return found;
  }
  function rebuild() {
    const held = choices(), measure = picker("measure", "measure", held.measures, held.measure, () => rebuild());
    refill(pickers, ...(ways.length > 1 ? [picker("read", "way", ways, held.way, () => rebuild())] : []), measure,
      sidePickers("y", "rows (down)", held.y, "moving"), sidePickers("x", "columns (across)", held.x, "last"), minusPickers(held));
    draw();
  }

  // ---- the map -----------------------------------------------------------------------------------
  async function draw() {
    await newest(async (signal) => {
      const given = parameters();
      try {
        const found = await ask("heat", given, signal);
        paint(found, given);
      } catch (error) {
        if (signal.aborted) throw error;
        area.replaceChildren(told(error));
        more.replaceChildren();
      }
    });
  }
  function paint(found, given) {
    if (!area.isConnected) return; // its view was left
    const [frames, rows, columns] = found.shape, size = rows * columns;
    const cells = Array.from({ length: frames }, (_, i) => found.values.subarray(i * size, (i + 1) * size));
    const minus = found.minus !== null, palette = colours(study, minus ? -Number(current("reach", REACHES, "1")) : 0);
    const drawing = el("div", { className: "drawing", id: "heat" }), live = el("p", { className: "live", "aria-live": "polite" });
    let at = 0, timer = null, map = null;
    const step = (place, moves) => (moves && found.steps.length ? found.steps[at] : place.step);
    const words = (place, moves) => `${place.group ? `${place.group}, ` : ""}${place.name} (step ${whole(step(place, moves))})`;
    const ends = (r, c) => {
      const [y, x] = [found.rows[r], found.columns[c]];
      return { way: given.way, measure: given.measure, y_run: y.run, y_step: step(y, found.y_moves), y_layer: y.layer, x_run: x.run, x_step: step(x, found.x_moves), x_layer: x.layer };
    };
    function point(r, c) {
      clearTimeout(timer);
      if (r === null) { live.textContent = "Point at a cell, or use the arrow keys; Enter or a click opens the pair. Plus and minus zoom, zero shows all."; return; }
      const text = `${words(found.rows[r], found.y_moves)} × ${words(found.columns[c], found.x_moves)}: ${score(map.value(r, c))}`;
      live.textContent = text;
      if (minus) return;
      timer = addCertainty(live, text, ends(r, c), pointed);
    }
    map = heatMap(drawing, { rows: found.rows, columns: found.columns, frames: cells, colours: palette,
      label: `${found.measure}${minus ? ` minus ${found.minus}` : ""}: ${rows} rows by ${columns} columns` },
      { point: (r, c) => map && point(r, c), pick: (r, c) => { const e = ends(r, c); asked.set({ pair: [e.y_run, e.y_step, e.y_layer, e.x_run, e.x_step, e.x_layer].join(",") }); pair(e); } });
    const slider = found.steps.length ? moving(found.steps, "at", (i) => { at = i; map.show(i); }) : null;
    const zooms = el("div", { className: "files" }, ...[["zoom in", 1.5], ["zoom out", 1 / 1.5], ["all", 1e-9]].map(([text, factor]) => el("button", { type: "button", textContent: text, onclick: () => map.zoom(factor) })));
    const undefinedCells = found.why_undefined ? el("p", { className: "error", textContent: found.why_undefined }) : null;
    area.replaceChildren(...[slider, undefinedCells, drawing, scaleBar(palette), live, el("div", { className: "moves" }, zooms, files("heat-map", () => map, apiPath("heat", { ...given, format: "csv" })))].filter(Boolean));
    area.dataset.cells = String(size);
    slider?.start();
    point(null);
    const held = asked.get("pair").split(",");
    if (held.length === 6 && known.has(held[0]) && known.has(held[3])) pair({ way: given.way, measure: given.measure, y_run: held[0], y_step: held[1], y_layer: held[2], x_run: held[3], x_step: held[4], x_layer: held[5] });
  }
  // ---- a pair over training ----------------------------------------------------------------------
  const pairs = latest();
  async function pair(ends) {
    await pairs(async (signal) => {
      const sides = { way: ends.way, measure: ends.measure, y_run: ends.y_run, y_layer: ends.y_layer, x_run: ends.x_run, x_layer: ends.x_layer };
      const heading = el("h2", { textContent: `${ends.y_layer} × ${ends.x_layer} over training` });
      const name = (id) => study.runs.find((run) => run.id === id).label;
      const sub = el("p", { className: "quiet", textContent: ends.y_run === ends.x_run ? name(ends.y_run) : `rows: ${name(ends.y_run)}; columns: ${name(ends.x_run)}` });
      const said = el("p", { id: "certainty", textContent: "…" });
      const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
      more.replaceChildren(heading, sub, said, drawing, live, legend);
      try {
        const found = await ask("curve", sides, signal);
        const lines = found.lines.map((one, i) => ({ key: one.key, name: one.name, colour: LINES[i], dash: ["", "6 3", "2 3"][i], x: found.steps, y: one.values }));
        const chart = lineChart(drawing, live, legend, { lines, range: [0, 1], label: heading.textContent });
        more.append(files("pair", () => chart, apiPath("curve", { ...sides, format: "csv" })));
        const one = await ask("pair", { ...ends, full: 1 }, signal);
        said.textContent = `${one.measure} at steps ${whole(one.y.step)} and ${whole(one.x.step)}: ${score(one.value)}${certainty(one)}${one.null ? ` (${one.null.how})` : ""}.`;
      } catch (error) {
        if (!signal.aborted) more.replaceChildren(told(error));
      }
    });
  }
  shown.update = async (renewed) => { study = renewed; rebuild(); };
  rebuild();
}

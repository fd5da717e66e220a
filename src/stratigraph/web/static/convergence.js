// Layers approaching their final state: encoder against decoder.

import { lineChart, score, whole, count } from "./draw.js";
import { apiPath, ask, asked, current, el, files, latest, picker, refill, told } from "./kit.js";

const PARTS = { encoder: ["#0072B2", ""], latents: ["#009E73", "9 3 2 3"], mean: ["#009E73", "9 3 2 3"], sample: ["#CC79A7", "2 3"], decoder: ["#D55E00", "6 3"], head: ["#8A6D00", "8 2 2 2"] };

export async function convergence(box, study, shown) {
  const pickers = el("div", { className: "pickers" }), area = el("div"), hidden = new Set();
  box.append(el("h1", { textContent: "Convergence" }),
    el("p", { className: "quiet", textContent: "How alike each layer is to its own final state, over training: means over the runs of a configuration, with their range. Progress is what lies above the untrained network." }), pickers, area);
  const ways = study.ways.map((way) => [way, way]), kinds = [["similarity", "similarity"], ["progress", "progress above untrained"]], shows = [["layers", "every layer"], ["parts", "encoder, latents, decoder"], ["scores", "with disentanglement"]];
  const newest = latest(), draw = () => newest(drawn);
  async function drawn(signal) {
    const way = current("way", ways, ways[0][0]);
    const measures = study.scores[way].map((name) => [name, study.measures[way][name]]);
    const measure = current("measure", measures, measures[0]?.[0]), kind = current("kind", kinds, "similarity"), show = current("show", shows, "layers");
    const given = { way, measure, kind, configuration: asked.get("configuration") };
    let found;
    try {
      found = await ask("convergence", given, signal).catch((error) => { if (!given.configuration || signal.aborted) throw error; given.configuration = ""; return ask("convergence", given, signal); });
    } catch (error) { if (signal.aborted) return; area.replaceChildren(told(error)); return; }
    const every = found.configurations.map((name) => [name, name]);
    refill(pickers, ...(ways.length > 1 ? [picker("read", "way", ways, way, draw)] : []), picker("measure", "measure", measures, measure, draw),
      picker("configuration", "configuration", every, found.configuration, draw), picker("what", "kind", kinds, kind, draw), picker("lines", "show", shows, show, draw));
    const steps = found.steps, at = (name, k) => found[name].slice(k * steps.length, (k + 1) * steps.length);
    const lines = show === "scores"
      ? found.scores.map((one, k) => ({ key: one.line, name: one.name, colour: (PARTS[one.line] ?? ["#777777"])[0], dash: one.kind === "layers" ? PARTS[one.line][1] : ["", "6 3", "2 3", "9 3 2 3"][k % 4], x: steps, y: one.values }))
      : show === "layers"
      ? found.layers.map((layer, k) => ({ key: layer.layer, name: layer.name, colour: layer.colour, dash: layer.dash, x: steps, y: at("mean", k), low: at("low", k), high: at("high", k), seeds: found.across_seeds[k] }))
      : found.parts.map((part) => ({ key: part.part, name: `${part.part} (${count(part.layers, "layer")})`, colour: (PARTS[part.part] ?? ["#777777"])[0], dash: (PARTS[part.part] ?? [0, ""])[1], x: steps, y: part.values }));
    // What the score of a layer stands beside: other seeds at the end, and probes that nothing relates.
    const unrelated = found.null && kind === "similarity" && show !== "scores" ? `; unrelated probes score ${score(found.null.mean)} ± ${score(found.null.sd, 4)}` : "";
    const beside = (one) => ((one.seeds ?? null) === null ? "" : `; in two seeds, at the end, ${score(one.seeds)}`) + unrelated;
    const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
    area.replaceChildren(drawing, live, legend);
    const chart = lineChart(drawing, live, legend, { lines, range: [0, 1], hidden, yLabel: show === "scores" ? "progress, score" : `${found.measure}, ${kind}`, label: `${found.measure} to the final state over training, ${found.configuration}`,
      told: (one, i) => `${one.name}, step ${whole(steps[i])}: ${score(one.y[i])}${one.low ? `, range ${score(one.low[i])} to ${score(one.high[i])} (${count(found.runs, "run")})` : ""}${beside(one)}` });
    area.append(files("convergence", () => chart, apiPath("convergence", { ...given, configuration: found.configuration, format: "csv" })));
  }
  shown.update = async (renewed) => { study = renewed; await draw(); };
  await draw();
}

// The map of models: every run at every step as a point, near those whose layers relate alike.

import { count, score, tracks } from "./draw.js";
import { apiPath, ask, asked, current, el, files, latest, picker, refill, told } from "./kit.js";
import { RUN_COLOURS } from "./overview.js";

// A hue for each objective, from full to pale by strength.
function shades(configurations) {
  const objectives = [...new Set(configurations.map((one) => one.objective))];
  return new Map(configurations.map((one) => {
    const own = configurations.filter((other) => other.objective === one.objective);
    const hex = RUN_COLOURS[objectives.indexOf(one.objective) % RUN_COLOURS.length], pale = Math.round(60 * own.indexOf(one) / Math.max(own.length - 1, 1));
    const mixed = [1, 3, 5].map((i) => Math.round(Number.parseInt(hex.slice(i, i + 2), 16) * (1 - pale / 100) + 0xcc * pale / 100));
    return [one.label, `#${mixed.map((c) => c.toString(16).padStart(2, "0")).join("")}`];
  }));
}

export async function models(box, study, shown) {
  const pickers = el("div", { className: "pickers" }), area = el("div");
  box.append(el("h1", { textContent: "Map of models" }),
    el("p", { className: "quiet", textContent: "Each line is a run from its untrained state (small dots) to its last step (large). Points are close if the layers of the two networks relate to each other in the same way: the two leading principal directions of the layer-by-layer maps." }), pickers, area);
  const ways = study.ways.map((way) => [way, way]);
  const newest = latest(), draw = () => newest(drawn);
  async function drawn(signal) {
    const way = current("way", ways, ways[0][0]);
    const measures = study.scores[way].map((name) => [name, study.measures[way][name]]), measure = current("measure", measures, measures[0]?.[0]);
    const head = [...(ways.length > 1 ? [picker("read", "way", ways, way, draw)] : []), picker("measure", "measure", measures, measure, draw)];
    const given = { way, measure, group: asked.get("group") };
    let found;
    try {
      found = await ask("models", given, signal).catch((error) => { if (!given.group || signal.aborted) throw error; given.group = ""; return ask("models", given, signal); });
    } catch (error) { if (signal.aborted) return; refill(pickers, ...head); area.replaceChildren(told(error)); return; }
    refill(pickers, ...head, picker("data and architecture", "group", found.groups.map((name) => [name, name]), found.group, draw));
    const order = found.configurations.map((one) => one.label), shade = shades(found.configurations), colour = (name) => shade.get(name);
    const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" });
    const legend = el("div", { className: "legend" }), off = new Set();
    let map = null;
    const put = () => {
      const list = found.tracks.filter((one) => !off.has(one.configuration)).map((one) => ({ key: one.run, run: one.run, kind: one.configuration, name: `${one.configuration}, seed ${one.seed}`, colour: colour(one.configuration), steps: one.steps, x: one.x, y: one.y }));
      if (!list.length) { drawing.replaceChildren(); live.textContent = "No run is shown."; return; }
      map = tracks(drawing, live, { tracks: list, label: `map of ${count(list.length, "run")} by ${found.measure}`,
        xLabel: `first direction (${score(100 * found.explained[0], 0)} % of the variance)`, yLabel: `second (${score(100 * found.explained[1], 0)} %)`,
        pick: (one) => { history.pushState(null, "", `/latents?run=${one.run}`); dispatchEvent(new PopStateEvent("popstate")); document.getElementById("view").focus(); } });
    };
    legend.append(...order.map((name) => {
      const button = el("button", { type: "button", "aria-pressed": "true", onclick: () => { if (!off.delete(name)) off.add(name); button.setAttribute("aria-pressed", String(!off.has(name))); put(); } });
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("width", 10); svg.setAttribute("height", 10); svg.setAttribute("aria-hidden", "true");
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      for (const [k, v] of Object.entries({ cx: 5, cy: 5, r: 4.5, fill: colour(name) })) dot.setAttribute(k, v);
      svg.append(dot);
      button.append(svg, name);
      return button;
    }));
    area.replaceChildren(drawing, live, legend);
    put();
    area.append(files("map-of-models", () => map, apiPath("models", { ...given, group: found.group, format: "csv" })));
  }
  shown.update = async (renewed) => { study = renewed; await draw(); };
  await draw();
}

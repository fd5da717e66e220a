// What there is, where it stands, and what was found.

import { count, lineChart, score, svgNode, inks, whole } from "./draw.js";
import { apiPath, ask, asked, current, el, files, latest, picker, refill, several } from "./kit.js";

export async function overview(box, study, shown) {
  const head = el("p", { className: "quiet" }), found = el("div");
  function put() {
    const states = Object.entries(Object.groupBy(study.runs, (run) => run.state)).map(([state, runs]) => `${runs.length} ${state}`);
    head.textContent = `${count(study.runs.length, "run")} (${states.join(", ")}). ${study.stages}`;
    found.replaceChildren(...(study.findings.length ? findings(study) : []));
  }
  put();
  box.append(el("h1", { textContent: study.name }), el("p", { textContent: study.description }), head, found);
  const lines = losses(study);
  box.append(el("h2", { textContent: "Losses" }), lines.node);
  await lines.draw();
  box.append(...runTable(study, shown));
  shown.logged = lines.draw;
  const known = study.runs.length;
  shown.update = async (renewed) => {
    study = renewed;
    if (study.runs.length !== known) return shown.again();
    put();
    await lines.draw();
  };
}

// ---- findings ----------------------------------------------------------------------------------
function findings(study) {
  const rows = study.findings.flatMap((row) => row.estimates.length ? row.estimates.map((one, i) => ({ row, one, first: i === 0, many: row.estimates.length })) : [{ row, one: null, first: true, many: 1 }]);
  const body = rows.map(({ row, one, first, many }) => {
    const cells = [];
    if (first) cells.push(
      el("td", { className: "number", rowSpan: many, textContent: row.claim || "own" }),
      el("td", { rowSpan: many }, row.statement, el("br"), el("span", { className: "quiet", textContent: `Estimated: ${row.contrast}. ${row.why}` }), ...entered(row.entered)),
      el("td", { rowSpan: many }, el("span", { className: `verdict ${row.verdict.split(" ")[0]}`, textContent: row.verdict })));
    cells.push(...(one ? [
      el("td", { textContent: one.measure }), el("td", { className: "number", textContent: one.value }),
      el("td", { className: "number", textContent: one.interval }), el("td", {}, whisker(one)),
      el("td", { className: "number", textContent: `${one.replicates}, ${one.runs}` })] : Array.from({ length: 5 }, () => el("td"))));
    if (first) cells.push(el("td", { className: "number", rowSpan: many, textContent: row.p }));
    return el("tr", {}, ...cells);
  });
  const head = ["claim", "question", "verdict", "measure", "estimate", "95 % interval", "against the value tested", "replicates, runs", "p, corrected"];
  return [
    el("h2", { textContent: "Findings" }),
    el("p", { className: "quiet", textContent: "Each question is a contrast with a 95 % interval over runs and probes, of the runs that learned. The verdict is where the interval by debiased CKA, adjusted for its family of questions, lies: beyond the least effect that matters, wholly within it, or neither." }),
    el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "findings" }, el("table", { id: "findings" }, el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", textContent: text, className: [0, 4, 5, 7, 8].includes(i) ? "number" : "" })))), el("tbody", {}, ...body))),
  ];
}
// The runs and layers that a finding rests on, and why the others are not among them.
function entered(one) {
  if (!one.runs) return [];
  const failed = one.failed ? `; ${one.failed} did not learn` : "";
  const left = one.left_out.map((row) => ` Not entered: ${row.count} (${row.why}): ${row.runs.join(", ")}.`).join("");
  return [el("details", {}, el("summary", { textContent: one.runs + failed }), el("span", { className: "quiet", textContent: `Layers: ${one.layers.join(", ")}.${left}` }))];
}
const plain = (text) => Number(String(text).replace("−", "-"));
// The estimate and its interval on a line from −1 to 1, and a tick at the value tested against.
function whisker(one) {
  const [low, high] = one.interval.split(" to ").map(plain), value = plain(one.value), against = plain(one.null);
  const svg = svgNode(null, "svg", { width: 150, height: 18, role: "img", "aria-label": `${one.value}, from ${one.interval}, against ${one.null}` });
  const ink = inks(document.body), x = (v) => 75 + 72 * Math.min(1, Math.max(-1, v));
  svgNode(svg, "line", { x1: 2, x2: 148, y1: 9, y2: 9, stroke: ink.line });
  svgNode(svg, "line", { x1: x(against), x2: x(against), y1: 1, y2: 17, stroke: ink.quiet, "stroke-dasharray": "2 2" });
  if (Number.isFinite(low) && Number.isFinite(high)) svgNode(svg, "line", { x1: x(low), x2: x(high), y1: 9, y2: 9, stroke: ink.ink, "stroke-width": 3 });
  if (Number.isFinite(value)) svgNode(svg, "circle", { cx: x(value), cy: 9, r: 4, fill: ink.ink });
  return svg;
}

// ---- losses ------------------------------------------------------------------------------------
export const RUN_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00", "#56B4E9", "#777777", "#9C5BD6"];
function losses(study) {
  const node = el("div", { id: "losses" }), newest = latest();
  const known = new Set(study.runs.map((run) => run.id));
  const held = asked.get("runs").split(",").filter((id) => known.has(id));
  let chosen = held.length ? held : study.runs.slice(0, 6).map((run) => run.id);
  const pickers = el("div", { className: "pickers" }), drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
  const csv = el("span"), hidden = new Set();
  let chart = null, offered = "";
  async function draw() {
    await newest(async (signal) => {
      if (!chosen.length) { drawing.replaceChildren(el("p", { className: "quiet", textContent: "No run is chosen." })); legend.replaceChildren(); return; }
      const found = await ask("losses", { runs: chosen.join(",") }, signal);
      const terms = [...new Set(found.lines.map((one) => one.loss))];
      const ours = ["loss", "reconstruction", "kl"], order = [...ours.filter((name) => terms.includes(name)), ...terms.filter((name) => !ours.includes(name))];
      const kinds = order.map((name) => [name, name === "kl" ? "KL divergence" : name]), kind = current("loss", kinds, kinds[0]?.[0]);
      if (offered !== order.join()) { offered = order.join(); refill(pickers, pickers.firstChild, kinds.length ? picker("loss", "loss", kinds, kind, draw) : null); }
      const names = new Map(study.runs.map((run) => [run.id, run.short]));
      const lines = found.lines.filter((one) => one.loss === kind).map((one) => ({
        key: `${one.run}-${one.split}`, name: `${names.get(one.run)}${one.split === "validation" ? ", held out" : ""}`,
        colour: RUN_COLOURS[chosen.indexOf(one.run) % RUN_COLOURS.length], dash: one.split === "validation" ? "6 3" : "", x: one.steps, y: one.values,
      }));
      chart = lineChart(drawing, live, legend, { lines, hidden, yLabel: study.unit, label: `${kind} of the chosen runs over training`,
        told: (one, i) => `${one.name}, step ${whole(one.x[i])}: ${score(one.y[i], 2)} ${study.unit}` });
      csv.replaceChildren(files("losses", () => chart, apiPath("losses", { runs: chosen.join(","), format: "csv" })));
    });
  }
  pickers.append(several("runs", study.runs.map((run) => [run.id, run.label]), chosen, (picked) => { chosen = picked; asked.set({ runs: picked.join(",") }); draw(); }));
  node.append(pickers, drawing, live, legend, csv);
  return { node, draw };
}

// ---- runs --------------------------------------------------------------------------------------
function runTable(study, shown) {
  const rows = new Map();
  const number = (x) => score(x, 2).replace("undefined", "–");
  const body = study.runs.map((run) => {
    const state = el("td"), step = el("td", { className: "number" }), left = el("td", { className: "number" }), kept = el("td", { className: "number" });
    const put = ([name, at, reason, warning, rate, seconds, snapshots]) => {
      state.replaceChildren(el("span", { className: `state ${name}`, textContent: name }), reason ? el("span", { className: "reason", textContent: reason }) : "",
        warning ? el("span", { className: "reason warning", textContent: `warning: ${warning}` }) : "");
      kept.textContent = whole(snapshots);
      step.replaceChildren(el("progress", { max: run.steps, value: at, "aria-label": `step ${at} of ${run.steps}` }), ` ${whole(at)}`);
      left.textContent = rate ? `${rate.toFixed(1)} steps/s, ${seconds > 90 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds)} s`} left` : "";
    };
    put([run.state, run.step, run.reason, run.warning, run.rate, run.left, run.steps_kept.length]);
    rows.set(run.id, put);
    return el("tr", {}, el("td", {}, el("a", { href: `/latents?run=${run.id}`, textContent: run.id })), el("td", { textContent: run.label }), state, step, left, kept,
      ...["loss", "reconstruction", "kl"].map((name) => el("td", { className: "number", textContent: number(run[name]) })));
  });
  shown.states = (found) => { for (const [id, state] of Object.entries(found)) rows.get(id)?.(state); };
  const filter = el("input", { type: "search", placeholder: "filter runs", "aria-label": "filter runs", oninput: () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    body.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
  } });
  const head = ["run", "configuration", "state", "step", "", "snapshots", "loss", "reconstruction", "KL"];
  return [
    el("h2", { textContent: "Runs" }), el("div", { className: "pickers" }, filter),
    el("p", { className: "quiet", textContent: `Losses are ${study.recorded ? "the last that were logged" : "of held-out images at the last step logged, in nats an image"}.` }),
    el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "runs" }, el("table", { id: "runs" }, el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", textContent: text, className: i > 4 || i === 3 ? "number" : "" })))), el("tbody", {}, ...body))),
    el("div", { className: "files" }, el("a", { href: apiPath("overview", { format: "csv" }), download: "runs.csv", textContent: "CSV" })),
  ];
}

// What there is, where it stands, and what was found.

import { count, lineChart, score, whole } from "./draw.js";
import { findings, picture, sentences } from "./findings.js";
import { apiPath, ask, asked, current, el, files, latest, picker, refill, several } from "./kit.js";

export async function overview(box, study, shown) {
  const head = el("p", { className: "quiet" }), answer = el("div", { id: "answer" }), glance = el("div"), found = el("div");
  function put() {
    const states = Object.entries(Object.groupBy(study.runs, (run) => run.state)).map(([state, runs]) => `${runs.length} ${state}`);
    head.textContent = `${count(study.runs.length, "run")} (${states.join(", ")}). ${study.stages}`;
    answer.replaceChildren(...sentences(study));
    found.replaceChildren(...(study.findings.length ? findings(study) : []));
  }
  put();
  box.append(el("h1", { textContent: study.name }), answer, glance, found, el("p", { textContent: study.description }), head);
  const drawn = picture(glance); // it may wait for a matrix: what is known stands beside it
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
    await picture(glance);
    await lines.draw();
  };
  await drawn;
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
    el("p", { className: "quiet", textContent: `Losses are ${study.recorded ? "the last that were logged" : "of held-out images at the last step logged, in nats per image"}.` }),
    el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "runs" }, el("table", { id: "runs" }, el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", textContent: text, className: i > 4 || i === 3 ? "number" : "" })))), el("tbody", {}, ...body))),
    el("div", { className: "files" }, el("a", { href: apiPath("overview", { format: "csv" }), download: "runs.csv", textContent: "CSV" })),
  ];
}

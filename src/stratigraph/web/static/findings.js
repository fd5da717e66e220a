// The study's answer as the report opens with it: its sentences, its one picture, and all findings.

import { inks, lineChart, score, svgNode, whole } from "./draw.js";
import { apiPath, ask, el, files, table, told } from "./kit.js";

const PARTS = { encoder: ["#0072B2", ""], decoder: ["#D55E00", "6 3"], network: ["#5E3C99", ""] };
const KINDS = { similarity: "similarity to the final state", progress: "progress above the untrained network" };
const MARKS = { supported: "●", contradicted: "✕", negligible: "◇", undecided: "□", inconclusive: "□" };
const FAMILIES = { primary: "Main questions, corrected together", secondary: "Further questions, corrected together", measures: "About the measures, on synthetic matrices", own: "Your own questions" };

export const sentences = (study) => study.answer.map((text) => el("p", { className: "answer", textContent: text }));

// Encoder against decoder, raw and above the untrained network; nothing before there is a final state.
export async function picture(box) {
  let found;
  try { found = await ask("glance"); } catch (error) { box.replaceChildren(told(error)); return; }
  if (!found.lines.length) { box.replaceChildren(); return; }
  const panels = Object.entries(KINDS).map(([kind, name]) => {
    const drawing = el("div", { className: "drawing" }), live = el("p", { className: "live", "aria-live": "polite" }), legend = el("div", { className: "legend" });
    const lines = Object.entries(PARTS).flatMap(([part, [colour, dash]]) => found.lines.filter((one) => one.kind === kind && one.part === part).map((one) => ({
      key: part, name: part, colour, dash, x: one.steps, y: one.mean, least: one.low, most: one.high, runs: one.runs })));
    return { kind, name, lines, drawing, live, legend, node: el("div", {}, el("h3", { textContent: name }), drawing, live, legend) };
  });
  box.replaceChildren(el("div", { className: "panels", id: "glance" }, ...panels.map((one) => one.node)),
    el("p", { className: "quiet", textContent: "Mean over the layers of each part and the runs on which claim 1 rests, or all if it rests on none. An untrained encoder is not at 0, so the right panel counts from there." }));
  for (const one of panels) {
    const chart = lineChart(one.drawing, one.live, one.legend, { lines: one.lines, range: [0, 1], yLabel: one.kind === "similarity" ? found.measure : "share of the way", label: `${one.name}, encoder against decoder, by ${found.measure}`,
      told: (line, i) => `${line.name}, step ${whole(line.x[i])}: ${score(line.y[i])}, ${line.runs} runs from ${score(line.least[i])} to ${score(line.most[i])}` });
    one.node.append(files(`answer-${one.kind}`, () => chart, apiPath("glance", { format: "csv" })));
  }
}

const verdict = (row) => el("span", { className: `verdict ${row.verdict.split(" ")[0]}` }, el("span", { "aria-hidden": "true", textContent: MARKS[row.verdict] ? `${MARKS[row.verdict]} ` : "" }), row.verdict);

export function findings(study) {
  const asked = study.findings.filter((row) => row.verdict !== "not asked"), unasked = study.findings.filter((row) => row.verdict === "not asked");
  const head = ["question", "against ← 0 → for the claim", "estimate, 95 % interval", "verdict", "rests on"];
  const groups = Object.entries(FAMILIES).map(([family, title]) => [title, asked.filter((row) => row.family === family)]).filter(([, rows]) => rows.length);
  const bodies = groups.map(([title, rows]) => el("tbody", {}, el("tr", { className: "family" }, el("th", { scope: "rowgroup", colSpan: head.length, textContent: title })), ...rows.map((row) => line(row, study.reach))));
  return [
    el("h2", { textContent: "Findings" }),
    el("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "findings" }, el("table", { id: "findings", className: "forest" },
      el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", textContent: text })))), ...bodies)),
    el("p", { className: "quiet", textContent: "Each estimate is drawn less the value it is tested against, from −" + study.reach + " to " + study.reach + ". Thick: the 95 % interval over runs and probes, of the runs that learned; thin: adjusted for its family of questions, which decides. Beyond the least effect that matters (grey band) a claim is supported or contradicted, wholly within it negligible, undecided otherwise." }),
    unasked.length ? el("details", { id: "not-asked" }, el("summary", { textContent: `${unasked.length} questions were not asked` }),
      table(["claim", "question", "verdict", "why"], unasked.map((row) => [row.claim, row.statement, verdict(row), row.why]), { caption: "not asked", numbers: [0] })) : null,
  ].filter(Boolean);
}

function line(row, reach) {
  const told = row.place.value === undefined ? "none" : `${row.value} (${row.interval})${row.null ? `, against ${row.null}` : ""}`;
  return el("tr", {},
    el("th", { scope: "row" }, el("span", { className: "quiet", textContent: `${row.claim} ` }), el("a", { href: row.view, textContent: row.statement })),
    el("td", { className: "axis" }, row.place.value === undefined ? null : whisker(row, reach)),
    el("td", { className: "told", textContent: told }),
    el("td", {}, verdict(row), row.need ? el("span", { className: "reason", textContent: row.need }) : null),
    el("td", {}, ...entered(row)));
}

// The interval on a line from −reach to reach, the least effect behind it; ends beyond are cut off.
function whisker(row, reach) {
  const { least, low, high, value, outer_low: from, outer_high: to } = row.place;
  const ink = inks(document.body), x = (v) => 100 + 94 * Math.min(1, Math.max(-1, v / reach));
  const said = `estimate ${row.value}, from ${row.interval}${row.null ? `, against ${row.null}` : ""}${least ? `, least effect ±${least}` : ""}`;
  const svg = svgNode(null, "svg", { width: 200, height: 22, role: "img", "aria-label": said });
  if (least) svgNode(svg, "rect", { x: x(-least), width: x(least) - x(-least), height: 22, fill: ink.line });
  svgNode(svg, "line", { x1: 100, x2: 100, y1: 0, y2: 22, stroke: ink.quiet });
  for (const [a, b, width] of [[from, to, 1], [low, high, 3]]) {
    if (a !== null && b !== null) svgNode(svg, "line", { x1: x(a), x2: x(b), y1: 11, y2: 11, stroke: ink.ink, "stroke-width": width });
  }
  const mark = svgNode(svg, "g", { transform: `translate(${x(value)} 11)`, stroke: ink.ink, fill: ink.paper, "stroke-width": 1.6 });
  if (row.verdict === "supported") svgNode(mark, "circle", { r: 4.5, fill: ink.ink });
  else if (row.verdict === "contradicted") svgNode(mark, "path", { d: "M-5-5L5 5M5-5L-5 5", "stroke-width": 3 });
  else if (row.verdict === "negligible") svgNode(mark, "path", { d: "M-6 0L0-6 6 0 0 6Z" });
  else svgNode(mark, "rect", { x: -4.5, y: -4.5, width: 9, height: 9 });
  return svg;
}

// What a finding rests on: runs and layers, its estimates by each measure, and its reasons.
function entered(row) {
  const one = row.entered, failed = one.failed ? `; ${one.failed} did not learn` : "";
  const left = (one.left_out ?? []).map((rest) => ` Not entered: ${rest.count} (${rest.why}): ${rest.runs.join(", ")}.`).join("");
  const estimates = row.estimates.map((own) => ` ${own.measure}: ${own.value} (${own.interval}), ${own.replicates ?? "–"} replicates, ${own.runs ?? "–"} runs${own.of_all ? `; of all runs ${own.of_all}` : ""}.`).join("");
  const layers = one.layers ? ` Layers: ${one.layers.join(", ")}.` : "";
  return [el("details", {}, el("summary", { textContent: one.runs ? one.runs + failed : "its numbers" }),
    el("span", { className: "quiet", textContent: `Estimated: ${row.contrast}. ${row.why} p, corrected: ${row.p}.${estimates}${layers}${left}` }))];
}

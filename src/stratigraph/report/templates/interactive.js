// The report's interactive section, in the ink of draw.js, which stands before it in one script.

const data = JSON.parse(document.getElementById("interactive-data").textContent);
const $ = (id) => document.getElementById(id);
const palette = scale(data.colours, data.undefined);
const held = (list, across) => list.find((one) => one.configuration === across.configuration &&
  one.measure === across.measure && (across.kind === undefined || one.across === (across.kind === "across")));

function fill(select, values, names) {
  select.replaceChildren(...values.map((value, i) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = names[i];
    return option;
  }));
}
function pickers(rows, configuration, measure) {
  const measures = [...new Set(rows.map((one) => one.measure))];
  fill(measure, measures, measures.map((name) => data.measures[name]));
  const names = data.configurations.filter((c) => rows.some((one) => one.configuration === c));
  fill(configuration, names, names);
}

// ---- layers against layers -----------------------------------------------------------------------
function layersAgainstLayers() {
  const [box, live, slider] = [$("heat-box"), $("heat-live"), $("heat-step")];
  const [configuration, measure, kind] = [$("heat-configuration"), $("heat-measure"), $("heat-kind")];
  let shown = null, map = null, step = null;
  const find = (value) => held(data.heat, { configuration: configuration.value, measure: measure.value, kind: value });
  function say(r, c) {
    live.textContent = r === null || !map ? "Point at a cell, or use the arrow keys."
      : `${shown.rows[r]} × ${shown.columns[c]} (final): ${score(map.value(r, c))}`;
  }
  function at() {
    const i = Number(slider.value);
    const pairs = shown.across ? `${count(shown.pairs[i], "pair")} of seeds` : count(shown.pairs[i], "run");
    $("heat-shown").textContent = `step ${whole(shown.steps[i])} (${pairs})`;
    slider.setAttribute("aria-valuetext", `step ${shown.steps[i]}`);
    map.show(i);
  }
  function choose() {
    for (const option of kind.options) option.disabled = !find(option.value);
    if (kind.selectedOptions[0].disabled) kind.value = kind.value === "across" ? "within" : "across";
    shown = find(kind.value) ?? null;
    slider.disabled = !shown || shown.steps.length < 2;
    if (!shown) {
      box.replaceChildren();
      $("heat-shown").textContent = live.textContent = "These were not compared.";
      return;
    }
    // The step stays where it was, or goes to the nearest that is there.
    const near = shown.steps.map((s) => Math.abs(s - (step ?? s)));
    slider.max = shown.steps.length - 1;
    slider.value = step === null ? 0 : near.indexOf(Math.min(...near));
    const size = shown.rows.length * shown.columns.length, names = (list) => list.map((name) => ({ name, group: "" }));
    map = null;
    map = heatMap(box, {
      rows: names(shown.rows), columns: names(shown.columns), colours: palette,
      frames: shown.steps.map((_, i) => shown.values.slice(i * size, (i + 1) * size)),
      label: "Heat map of layers by layers; the arrow keys move between cells",
      title: (i) => `rows: step ${whole(shown.steps[i])}; columns: final step, ${whole(shown.final)}`,
    }, { point: say });
    say(null);
    at();
  }
  slider.addEventListener("input", () => { step = shown.steps[Number(slider.value)]; at(); });
  for (const select of [configuration, measure, kind]) select.addEventListener("change", choose);
  pickers(data.heat, configuration, measure);
  $("heat-scale").replaceChildren(scaleBar(palette));
  choose();
}

// ---- similarity to the final state ---------------------------------------------------------------
function approach() {
  const [configuration, measure] = [$("curve-configuration"), $("curve-measure")];
  const hidden = new Set(); // by layer, so that it holds from one configuration to the next
  function choose() {
    const shown = held(data.curves, { configuration: configuration.value, measure: measure.value });
    const row = (name, k) => shown[name].slice(k * shown.steps.length, (k + 1) * shown.steps.length);
    const lines = (shown?.layers ?? []).map((layer, k) => ({
      key: layer.layer, name: layer.name, colour: layer.colour, dash: layer.dash,
      x: shown.steps, y: row("mean", k), low: row("low", k), high: row("high", k),
    }));
    lineChart($("curve-box"), $("curve-live"), $("curve-legend"), {
      lines, hidden, range: [0, 1],
      label: "Lines over training, one per layer; up and down change the layer, left and right the step",
      told: (one, i) => `${one.name}, step ${whole(one.x[i])}: ${score(one.y[i])}, ` +
        `range ${score(one.low[i])} to ${score(one.high[i])} (${count(shown.runs, "run")})`,
    });
    if (!shown) $("curve-live").textContent = "These were not compared.";
  }
  for (const select of [configuration, measure]) select.addEventListener("change", choose);
  pickers(data.curves, configuration, measure);
  choose();
}

for (const node of document.querySelectorAll(".explore")) node.hidden = false;
if (data.heat.length) layersAgainstLayers(); else $("heat-panel").hidden = true;
if (data.curves.length) approach(); else $("curve-panel").hidden = true;

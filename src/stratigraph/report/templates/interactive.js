// The report's interactive section: a heat map of layers and a chart of lines over training.
// Names come from study files, so text is set as textContent and never parsed as HTML.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("interactive-data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const SIZE = 11; // of the labels, in pixels: drawings are laid out anew, never scaled

  // ---- small tools ---------------------------------------------------------------------------
  function add(parent, name, attributes = {}, text = null) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    parent.append(node);
    return node;
  }
  function label(parent, x, y, text, attributes = {}) {
    return add(parent, "text", { x, y, "font-size": SIZE, fill: "#3c444b", ...attributes }, text);
  }
  function fill(select, values, names) {
    select.replaceChildren(...values.map((value, i) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = names[i];
      return option;
    }));
  }
  const on = (node, events, react) => events.forEach((name) => node.addEventListener(name, react));
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const score = (x) => (x === null ? "undefined" : x.toFixed(3).replace("-", "−"));
  const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const whole = (n) => n.toLocaleString("en-GB");
  const stops = data.colours.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  function colour(x) {
    if (x === null) return data.undefined;
    const at = clamp(x, 0, 1) * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    const mixed = stops[i].map((c, k) => Math.round(c + (at - i) * (stops[i + 1][k] - c)));
    return `rgb(${mixed.join(", ")})`;
  }
  // Draw now, and again whenever the width changes.
  function follow(box, draw) {
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth && box.clientWidth !== width) {
        width = box.clientWidth;
        draw();
      }
    }).observe(box);
  }
  function pickers(rows, configuration, measure) {
    const measures = [...new Set(rows.map((one) => one.measure))];
    fill(measure, measures, measures.map((name) => data.measures[name]));
    const held = data.configurations.filter((c) => rows.some((one) => one.configuration === c));
    fill(configuration, held, held);
  }

  // ---- layers against layers -----------------------------------------------------------------
  function heatMap() {
    const [svg, live, slider] = [$("heat-svg"), $("heat-live"), $("heat-step")];
    const [configuration, measure, kind] = [$("heat-configuration"), $("heat-measure"), $("heat-kind")];
    let shown = null, cells = [], cursor = null, active = null, place = null, title = null, step = null;
    const find = (across) => data.heat.find((one) => one.configuration === configuration.value &&
      one.measure === measure.value && one.across === across);
    const value = (r, c) => {
      const { rows, columns, values } = shown;
      return values[(Number(slider.value) * rows.length + r) * columns.length + c];
    };
    function choose() {
      for (const option of kind.options) option.disabled = !find(option.value === "across");
      if (kind.selectedOptions[0].disabled) kind.value = kind.value === "across" ? "within" : "across";
      shown = find(kind.value === "across") ?? null;
      slider.disabled = !shown || shown.steps.length < 2;
      if (shown) {
        // The step stays where it was, or goes to the nearest that is there.
        const near = shown.steps.map((s) => Math.abs(s - (step ?? s)));
        slider.max = shown.steps.length - 1;
        slider.value = step === null ? 0 : near.indexOf(Math.min(...near));
      }
      active = null;
      layout();
    }
    function layout() {
      svg.replaceChildren();
      if (!shown) {
        $("heat-shown").textContent = live.textContent = "These were not compared.";
        return;
      }
      const { rows, columns } = shown;
      const longest = (names) => Math.min(16, Math.max(...names.map((name) => name.length)));
      const [left, below] = [longest(rows) * 6.4 + 10, longest(columns) * 6.4 + 10];
      const side = clamp(($("heat-box").clientWidth - left - 2) / columns.length, 6, 34);
      const [width, height] = [left + side * columns.length + 2, side * rows.length + below + 18];
      svg.setAttribute("width", width);
      svg.setAttribute("height", height);
      place = { left, side };
      cells = rows.map((_, r) => columns.map((__, c) => add(svg, "rect", {
        x: left + c * side, y: 1 + r * side, width: side - 0.5, height: side - 0.5,
        "data-row": r, "data-column": c,
      })));
      rows.forEach((name, r) => label(svg, left - 5, (r + 0.5) * side + 5, cut(name, 16),
        { "text-anchor": "end" }));
      columns.forEach((name, c) => {
        const [x, y] = [left + (c + 0.5) * side + 4, rows.length * side + 6];
        label(svg, x, y, cut(name, 16), { "text-anchor": "end", transform: `rotate(-90 ${x} ${y})` });
      });
      title = label(svg, left + side * columns.length / 2, height - 4, "", { "text-anchor": "middle" });
      cursor = add(svg, "rect", { width: side, height: side, fill: "none", stroke: "#d0021b",
        "stroke-width": 2, visibility: "hidden", "pointer-events": "none" });
      paint();
    }
    function paint() {
      const i = Number(slider.value);
      const pairs = shown.across ? count(shown.pairs[i], "pair") + " of seeds" : count(shown.pairs[i], "run");
      $("heat-shown").textContent = `step ${whole(shown.steps[i])} (${pairs})`;
      title.textContent = `rows: step ${whole(shown.steps[i])}; columns: final step, ${whole(shown.final)}`;
      slider.setAttribute("aria-valuetext", `step ${shown.steps[i]}`);
      cells.forEach((row, r) => row.forEach((cell, c) => cell.setAttribute("fill", colour(value(r, c)))));
      say();
    }
    function say() {
      if (active) {
        const [r, c] = active;
        cursor.setAttribute("x", place.left + c * place.side - 0.25);
        cursor.setAttribute("y", 0.75 + r * place.side);
        live.textContent = `${shown.rows[r]} × ${shown.columns[c]} (final): ${score(value(r, c))}`;
      } else live.textContent = "Point at a cell, or use the arrow keys.";
      cursor.setAttribute("visibility", active ? "visible" : "hidden");
    }
    on(svg, ["pointermove", "pointerdown"], (event) => {
      const { row, column } = event.target.dataset;
      if (row === undefined) return;
      active = [Number(row), Number(column)];
      say();
    });
    svg.addEventListener("focus", () => {
      if (shown && svg.matches(":focus-visible")) { active ??= [0, 0]; say(); }
    });
    svg.addEventListener("keydown", (event) => {
      const move = ARROWS[event.key];
      if (!move || !shown) return;
      event.preventDefault();
      const [r, c] = active ?? [0, 0];
      active = [clamp(r + move[0], 0, shown.rows.length - 1), clamp(c + move[1], 0, shown.columns.length - 1)];
      say();
    });
    slider.addEventListener("input", () => { step = shown.steps[Number(slider.value)]; paint(); });
    for (const select of [configuration, measure, kind]) on(select, ["change"], choose);
    $("heat-scale").style.background = `linear-gradient(to right, ${data.colours.join(", ")})`;
    $("heat-undefined").style.background = data.undefined;
    pickers(data.heat, configuration, measure);
    choose();
    follow($("heat-box"), layout);
  }

  // ---- similarity to the final state ---------------------------------------------------------
  function lineChart() {
    const [svg, live, legend] = [$("curve-svg"), $("curve-live"), $("curve-legend")];
    const [configuration, measure] = [$("curve-configuration"), $("curve-measure")];
    const hidden = new Set(); // by layer, so that it holds from one configuration to the next
    let shown = null, lines = [], over = null, active = null, axes = null;
    const at = (name, layer, i) => shown[name][layer * shown.steps.length + i];
    function choose() {
      shown = data.curves.find((one) => one.configuration === configuration.value &&
        one.measure === measure.value) ?? null;
      active = null;
      layout();
      legend.replaceChildren(...(shown ? shown.layers.map(entry) : []));
    }
    function entry(layer, index) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(layer.layer)));
      const swatch = add(button, "svg", { width: 26, height: 8, "aria-hidden": "true" });
      add(swatch, "line", { x1: 0, y1: 4, x2: 26, y2: 4, stroke: layer.colour, "stroke-width": 2,
        "stroke-dasharray": layer.dash });
      button.append(layer.name);
      button.addEventListener("click", () => {
        if (!hidden.delete(layer.layer)) hidden.add(layer.layer);
        button.setAttribute("aria-pressed", String(!hidden.has(layer.layer)));
        if (active?.[0] === index) active = null;
        layout();
      });
      return button;
    }
    function layout() {
      svg.replaceChildren();
      lines = [];
      live.textContent = "These were not compared.";
      if (!shown) return;
      const { steps, layers } = shown;
      const [width, height] = [$("curve-box").clientWidth, 320];
      const [left, right, top, bottom] = [34, 14, 8, 40];
      svg.setAttribute("width", width);
      svg.setAttribute("height", height);
      const low = Math.min(0, ...[...shown.mean, ...shown.low].filter((x) => x !== null));
      const base = Math.floor(low * 10) / 10;
      const [first, last] = [Math.log1p(steps[0]), Math.log1p(steps.at(-1))];
      const x = (s) => left + (width - left - right) * (Math.log1p(s) - first) / (last - first || 1);
      const y = (v) => top + (height - top - bottom) * (1 - v) / (1 - base);
      axes = { x, y };
      for (let v = Math.ceil(base * 5) / 5; v < 1.01; v += 0.2) {
        add(svg, "line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: "#e4e8ea" });
        label(svg, left - 6, y(v) + 4, score(v).slice(0, v < -0.01 ? 4 : 3), { "text-anchor": "end" });
      }
      let taken = Infinity; // from the right, so that the last step keeps its label
      const ticks = [steps[0], 1, 10, 100, 1e3, 1e4, 1e5, 1e6, steps.at(-1)]
        .filter((s, i, all) => s >= steps[0] && s <= steps.at(-1) && all.lastIndexOf(s) === i);
      for (const s of ticks.reverse()) {
        const half = whole(s).length * 3.2 + 4;
        if (x(s) + half > taken) continue;
        taken = x(s) - half;
        add(svg, "line", { x1: x(s), x2: x(s), y1: height - bottom, y2: height - bottom + 4, stroke: "#5a636b" });
        label(svg, Math.min(x(s), width - half), height - bottom + 16, whole(s), { "text-anchor": "middle" });
      }
      label(svg, (left + width - right) / 2, height - 5, "training step (log of 1 + step)", { "text-anchor": "middle" });
      over = add(svg, "g", { "pointer-events": "none" });
      layers.forEach((layer, k) => {
        if (hidden.has(layer.layer)) return;
        const points = steps.map((s, i) => ({ i, x: x(s), v: at("mean", k, i) }))
          .map((p) => (p.v === null ? null : { ...p, y: y(p.v) }));
        // A gap where a score is undefined; a dot at every snapshot, so that lone ones are seen.
        const path = points.map((p, i) => p && `${i && points[i - 1] ? "L" : "M"}${p.x},${p.y}`);
        const group = add(svg, "g", { fill: "none", stroke: layer.colour, "stroke-width": 1.6,
          "data-layer": layer.layer });
        add(group, "path", { d: path.filter(Boolean).join(""), "stroke-dasharray": layer.dash });
        for (const p of points) {
          if (p) add(group, "circle", { cx: p.x, cy: p.y, r: 1.7, fill: layer.colour, stroke: "none" });
        }
        lines.push({ k, group, points: points.filter(Boolean) });
      });
      say();
    }
    function say() {
      over.replaceChildren();
      for (const { k, group } of lines) {
        group.setAttribute("opacity", active && active[0] !== k ? 0.35 : 1);
        group.setAttribute("stroke-width", active?.[0] === k ? 2.6 : 1.6);
      }
      if (!active) {
        live.textContent = lines.length ? "Point at a line, or use the arrow keys." : "No layer is shown.";
        return;
      }
      const [k, i] = active;
      const own = lines.find((line) => line.k === k).points;
      const edge = (name, list) => list.map((p) => `${p.x},${axes.y(at(name, k, p.i))}`);
      add(over, "polygon", { fill: shown.layers[k].colour, opacity: 0.2,
        points: [...edge("low", own), ...edge("high", [...own].reverse())].join(" ") });
      const point = own.find((p) => p.i === i);
      add(over, "circle", { cx: point.x, cy: point.y, r: 5, fill: "none", stroke: "#1c2024", "stroke-width": 1.5 });
      live.textContent = `${shown.layers[k].name}, step ${whole(shown.steps[i])}: ${score(at("mean", k, i))}, ` +
        `range ${score(at("low", k, i))} to ${score(at("high", k, i))} (${count(shown.runs, "run")})`;
    }
    function distance(px, py, a, b) {
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const t = clamp(((px - a.x) * dx + (py - a.y) * dy) / (dx * dx + dy * dy || 1), 0, 1);
      return Math.hypot(a.x + t * dx - px, a.y + t * dy - py);
    }
    const nearest = (list, of) => list.reduce((best, one) => (of(one) < of(best) ? one : best));
    on(svg, ["pointermove", "pointerdown"], (event) => {
      const box = svg.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      const drawn = lines.filter((line) => line.points.length);
      if (!drawn.length) return;
      const line = nearest(drawn, ({ points }) => Math.min(
        ...points.map((p, i) => distance(px, py, points[Math.max(i - 1, 0)], p))));
      active = [line.k, nearest(line.points, (p) => Math.abs(p.x - px)).i];
      say();
    });
    svg.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "mouse" || !shown) return; // a lifted finger leaves the answer
      active = null;
      say();
    });
    svg.addEventListener("keydown", (event) => {
      const move = ARROWS[event.key];
      const drawn = lines.filter((line) => line.points.length);
      if (!move || !drawn.length) return;
      event.preventDefault();
      const row = drawn.findIndex((line) => line.k === active?.[0]);
      const line = drawn[row < 0 ? 0 : clamp(row + move[0], 0, drawn.length - 1)];
      const column = line.points.findIndex((p) => p.i === active?.[1]);
      active = [line.k, line.points[column < 0 ? 0 : clamp(column + move[1], 0, line.points.length - 1)].i];
      say();
    });
    for (const select of [configuration, measure]) on(select, ["change"], choose);
    pickers(data.curves, configuration, measure);
    choose();
    follow($("curve-box"), layout);
  }

  for (const node of document.querySelectorAll(".explore")) node.hidden = false;
  if (data.heat.length) heatMap(); else $("heat-panel").hidden = true;
  if (data.curves.length) lineChart(); else $("curve-panel").hidden = true;
})();

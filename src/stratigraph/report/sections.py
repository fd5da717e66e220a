"""The report's sections: which figures answer which question, in the order of a reader.

What is said of them stands in ``templates/prose.html``, by the kind of figure.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stratigraph.evidence.claims.shared_features import sharing
from stratigraph.latents.scores import SCORES
from stratigraph.report import figures as ink, heat_data as heat, learning_data as learning
from stratigraph.report.across_data import across_data
from stratigraph.report.data import THRESHOLD, ReportData, slug
from stratigraph.report.drawing import Sketch
from stratigraph.report.findings import finding_rows, reach_of, runs_of_answer
from stratigraph.report.gain_data import gains
from stratigraph.report.image_data import SPAN, Images, reconstructions, samples, traversal
from stratigraph.report.map_data import map_of_models
from stratigraph.report.power import power_curves
from stratigraph.report.probe_data import chance_tables, probe_tables
from stratigraph.study import probe_images

__all__ = ["SECTIONS", "sections"]

MOST_BETWEEN = 6
SHOWN_IMAGES = 10
TRAVERSAL_PROBES = 200
ESTIMATORS = {
    "two_nn": "two nearest neighbours",
    "levina_bickel": "maximum likelihood, 20 neighbours",
}


def sections(data: ReportData) -> dict[str, list[Sketch]]:
    """Every section that has something to show: its numbers, and what will draw them.

    Figures whose names are alike as files get names of their own, or one would be lost.
    """
    found: dict[str, list[Sketch]] = {}
    seen: Counter[str] = Counter()
    for name, make in SECTIONS.items():
        for sketch in make(data):
            seen[sketch.name] += 1
            count = seen[sketch.name]
            own = sketch.name if count == 1 else f"{sketch.name}-{count}"
            sketch = dataclasses.replace(sketch, name=own, kind=sketch.kind or sketch.name)
            found.setdefault(name, []).append(sketch)
    return found


def _answer(data: ReportData) -> Iterator[Sketch]:
    table = learning.parts(data.first, runs_of_answer(data.findings))
    facts = {"measure": ink.measure_name(data.first.measure), "runs": int(table["runs"].max())}
    for name, narrow in (("answer", False), ("answer-narrow", True)):
        draw = partial(ink.draw_answer, table, data.first.measure, narrow=narrow)
        yield Sketch(name, draw, "answer", facts)


def _findings(data: ReportData) -> Iterator[Sketch]:
    rows = [row for row in finding_rows(data.findings) if row["place"]]
    if rows:
        yield Sketch("findings", partial(ink.draw_findings, rows, reach_of(rows)))


def _power(data: ReportData) -> Iterator[Sketch]:
    # Findings of format 1 kept less of their spread.
    known = data.findings and all("level" in row for row in data.findings)
    curves = power_curves(data.study) if known else None
    if curves is not None and len(curves.columns):
        yield Sketch("power", partial(ink.draw_power, curves))


def _probes(data: ReportData) -> Iterator[Sketch]:
    tables = probe_tables(data)
    if len(tables["turned"]) or len(tables["agreement"]):
        facts = {"turned": tables["turned"].to_dict("records")}
        yield Sketch("probes", partial(ink.draw_probes, tables), facts=facts)


def _chance(data: ReportData) -> Iterator[Sketch]:
    found = chance_tables(data)
    if found:
        draw = partial(ink.draw_chance, {name: one.layers for name, one in found.items()})
        names = {name: ink.measure_name(name) for name in found}
        yield Sketch("chance", draw, facts={"chance": found, "names": names})


def _convergence(data: ReportData) -> Iterator[Sketch]:
    more = {name: learning.parts(one) for name, one in data.scored.items() if one is not data.first}
    if more:  # the first is the answer's
        title = "Mean over layers of each part, all runs"
        yield Sketch("parts", partial(ink.draw_parts, more, title, THRESHOLD))
    tables = {name: learning.curves(data, scored) for name, scored in data.scored.items()}
    labels: dict[tuple[str, str, str], list[str]] = {}
    for c in data.configurations:
        labels.setdefault((c.objective, c.data, c.architecture), []).append(c.label)
    several = len({architecture for _, _, architecture in labels}) > 1
    for (objective, source, architecture), own in labels.items():
        title = f"{objective} on {source}"
        title += f", {architecture.replace('_', ' ')}" if several else ""
        name = f"convergence-{slug(title.replace(' on ', '-', 1))}"
        yield Sketch(
            name, partial(ink.draw_convergence, tables, own, title, THRESHOLD), "convergence"
        )


def _settled(data: ReportData) -> Iterator[Sketch]:
    if data.evidence is None:
        return
    for measure in data.evidence.side_by_side:
        table = learning.find_settling(data, data.evidence, measure)
        if len(table):
            draw = partial(ink.draw_settled, table, measure)
            yield Sketch(f"settled-{measure}", draw, "settled")


def _layer_pairs(data: ReportData) -> Iterator[Sketch]:
    if data.evidence is None:
        return
    every = {m: learning.layer_pairs(data, data.evidence, m) for m in data.evidence.side_by_side}
    tables = {measure: table for measure, table in every.items() if len(table)}
    for group in dict.fromkeys(g for table in tables.values() for g in table["group"]):
        draw = partial(ink.draw_layer_pairs, tables, group)
        yield Sketch(f"pairs-{slug(group)}", draw, "pairs", {"group": group})
    cka = data.evidence.cka
    table = learning.to_input(data, data.scored[cka])
    if len(table):
        name, limits = ink.measure_name(cka), (-0.05, 1.03)
        title = "Similarity to the input"
        yield Sketch("to-input", partial(ink.draw_layer_lines, table, name, title, limits))


def _heat_maps(data: ReportData) -> Iterator[Sketch]:
    for c in data.configurations:
        steps = heat.panel_steps(c.runs)
        rows = [
            [
                one
                for step in steps
                if (one := heat.heat_map(data.first, c.runs, step, steps[-1], across_seeds=across))
            ]
            for across in (False, True)
        ]
        if any(rows):
            draw = partial(
                ink.draw_heat_maps, list(filter(None, rows)), data.first.measure, c.label
            )
            yield Sketch(f"heat-{c.slug}", draw, "heat", {"label": c.label, "steps": steps})


def _between(data: ReportData, *kinds: str) -> Iterator[Sketch]:
    maps = heat.comparisons(data, data.first, kinds)
    for kind in kinds:
        chosen = [one for one in maps if one.title.startswith(kind)]
        if chosen:
            draw = partial(ink.draw_between, chosen[:MOST_BETWEEN], data.first.measure)
            yield Sketch(f"between-{kind}", draw, "between", {"pairs": chosen[0].heat.pairs})


def _across_data(data: ReportData) -> Iterator[Sketch]:
    table = across_data(data)
    cka = data.study.way.cka
    for architecture, own in table.groupby("architecture", sort=False):
        draw = partial(ink.draw_across_data, own, cka)
        yield Sketch(f"across-data-{slug(str(architecture))}", draw, "across-data")


def _map(data: ReportData) -> Iterator[Sketch]:
    for found in map_of_models(data, data.first):
        draw = partial(ink.draw_model_map, found, data.first.measure)
        yield Sketch(f"map-{slug(found.title)}", draw, "map")


def _latents(data: ReportData) -> Iterator[Sketch]:
    if data.evidence is None:
        return
    table = learning.regimes(data, data.evidence)
    if len(table):
        latents = max(run.config.latents for run in data.study.runs.values())
        yield Sketch("regimes", partial(ink.draw_regimes, table, latents))


def _disentanglement(data: ReportData) -> Iterator[Sketch]:
    table = learning.disentanglement(data)
    if table.empty:
        return
    titles = {k: title for score in SCORES.values() for k, title in score.titles.items()}
    last = table[table["step"] == table.groupby("configuration")["step"].transform("max")]
    facts = {"probes": sorted(set(table["n"])), "scores": list(SCORES.values())}
    yield Sketch("disentanglement", partial(ink.draw_scores, last, titles), facts=facts)
    if table["step"].nunique() > 1:
        steps = table.groupby("score")["step"].nunique()
        several = table[table["score"].isin(steps.index[steps > 1])]
        draw = partial(ink.draw_scores_over_training, several, titles)
        yield Sketch("disentanglement-over-training", draw, facts=facts)


def _gains(data: ReportData) -> Iterator[Sketch]:
    table = gains(data, data.first)
    if len(table):
        facts = {"measure": ink.measure_name(data.first.measure)}
        yield Sketch("gains", partial(ink.draw_gains, table), facts=facts)


def _dimensions(data: ReportData) -> Iterator[Sketch]:
    if data.evidence is None:
        return
    table = learning.dimensions(data, data.evidence)
    for estimator, name in ESTIMATORS.items() if len(table) else ():
        own = table[(table["estimator"] == estimator) & table["mean"].notna()]
        if len(own):
            draw = partial(ink.draw_layer_lines, own, "intrinsic dimension", f"By {name}")
            yield Sketch(f"dimension-{slug(estimator)}", draw, "dimension")


def _measures(_: ReportData) -> Iterator[Sketch]:
    yield Sketch("measures", lambda: ink.draw_measures(sharing()))


def _losses(data: ReportData) -> Iterator[Sketch]:
    table = learning.losses(data)
    if data.study.config.recorded:
        table = table[np.isfinite(table["loss"])]
        draw = partial(ink.draw_losses, table, ("loss",), "loss")
    else:
        table = table[np.isfinite(table["reconstruction"])]
        draw = partial(ink.draw_losses, table)
    if len(table):
        yield Sketch("losses", draw)


def _images(data: ReportData) -> Iterator[Sketch]:
    if data.study.config.recorded or data.study.export is not None:
        return  # neither the networks nor the images are ours, or the weights are elsewhere
    configurations = [c for c in data.configurations if not c.first.config.supervised]
    probes = {c.label: probe_images(c.first.config, data.study.config.probes)
              for c in configurations}  # fmt: skip
    shown = {label: images[:SHOWN_IMAGES] for label, images in probes.items()}
    for source in dict.fromkeys(c.data for c in configurations):
        draw = _decode("decoded from the mean", reconstructions, configurations, source, shown)
        facts = {"count": SHOWN_IMAGES}
        yield Sketch(f"reconstructions-{slug(source)}", draw, "reconstructions", facts)
        if any(c.data == source and c.first.config.gaussian for c in configurations):
            draw = _decode("the same draws of z", samples, configurations, source, SHOWN_IMAGES)
            yield Sketch(f"samples-{slug(source)}", draw, "samples")
        # Codes are learned without a prior to draw from, or latents to move along.
    for c in (one for one in configurations if one.first.config.gaussian):
        images = probes[c.label]
        many = images[:TRAVERSAL_PROBES]
        draw = _decode(f"latent from −{SPAN} to {SPAN}", traversal, c.first, images[:1], many)
        yield Sketch(f"traversal-{c.slug}", draw, "traversal", {"label": c.label, "span": SPAN})


def _decode(note: str, make: Callable[..., Images], *given: Any) -> Callable[[], Figure]:
    """What draws a grid of images: whoever draws it decodes them, so all cores do."""
    return lambda: ink.draw_images(make(*given), note)


SECTIONS: dict[str, Callable[[ReportData], Iterator[Sketch]]] = {
    "answer": _answer,
    "findings-figure": _findings,
    "power": _power,
    "convergence": _convergence,
    "probes": _probes,
    "between-settings": lambda data: _between(data, "strengths", "objectives"),
    "layer-pairs": _layer_pairs,
    "across-data": _across_data,
    "latents": _latents,
    "measures-behave": _measures,
    "between-networks": lambda data: _between(data, "architectures"),
    "chance": _chance,
    "between-classifier": lambda data: _between(data, "classifier"),
    "settled": _settled,
    "heat-maps": _heat_maps,
    "map": _map,
    "disentanglement": _disentanglement,
    "gains": _gains,
    "dimension": _dimensions,
    "losses": _losses,
    "images": _images,
}

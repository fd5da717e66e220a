"""The report's sections: which figures answer which question, in the order of a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from stratigraph.evidence import LEAST_ROOM, Evidence, similarity_to_final
from stratigraph.evidence.claims.shared_features import sharing
from stratigraph.report import (
    figure_data as numbers,
    figures as ink,
    learning_data as learning,
    sections_of_networks as networks,
)
from stratigraph.report.headline import THRESHOLD
from stratigraph.report.section import Material, Section
from stratigraph.study import Study

__all__ = ["sections"]


def sections(study: Study, evidence: Evidence | None, findings: list[dict]) -> Iterator[Section]:
    """Every section that has something to show: numbers, and what will draw them."""
    material = Material(study, evidence, findings)
    kinds: list[Callable[[Material], Section]] = [
        _findings, _convergence, _settled, _layer_pairs, _heat_maps, _between, _map,
        networks.show_latents, networks.show_disentanglement, networks.show_dimensions,
        _measures, networks.show_losses, networks.show_images,
    ]  # fmt: skip
    for make in kinds:
        section = make(material)
        if section.figures:
            yield section


def _findings(of: Material) -> Section:
    section = Section(
        "findings-figure",
        "The findings at a glance",
        "Each question's estimate and 95 % interval, less the value it is tested against. A filled "
        "mark is the CKA (or the only measure), an open one Procrustes similarity.",
    )
    own = [row for row in of.findings if row["way"] == "corrected"]
    if any(row["estimates"] for row in own):
        section.add(
            "findings",
            partial(ink.draw_findings, own),
            "Estimates and 95 % intervals: jackknife over seeds and, for CKA, over probes too. "
            "Cut off beyond ±1.",
        )
    return section


def _convergence(of: Material) -> Section:
    study = of.study
    configurations = numbers.configurations(study)
    tables = {measure: numbers.curves(study, measure) for measure in study.scores()}
    raw = {measure: similarity_to_final(study, measure) for measure in study.scores()}
    section = Section(
        "convergence",
        "Encoder against decoder",
        "How near each layer is to its own final state, within its run, as training goes on. The "
        "first point is the untrained network.",
    )
    section.add(
        "parts",
        partial(ink.draw_parts, raw, "Mean over layers of each part, all runs", THRESHOLD),
        "Mean similarity to the final state over the layers of encoder, latents and decoder; "
        "bands are the extremes over runs. Right: the same as progress above the untrained "
        f"network, over layers with room to move (1 − s₀ ≥ {LEAST_ROOM}), cut off below −1: "
        "with little room, small differences count for much.",
    )
    for objective, data, architecture in dict.fromkeys(
        (c.objective, c.data, c.architecture) for c in configurations
    ):
        labels = [
            c.label
            for c in configurations
            if (c.objective, c.data, c.architecture) == (objective, data, architecture)
        ]
        several = len({c.architecture for c in configurations}) > 1
        suffix = f", {architecture.replace('_', ' ')}" if several else ""
        section.add(
            f"convergence-{numbers.slug(f'{objective}-{data}{suffix}')}",
            partial(
                ink.draw_convergence, tables, labels, f"{objective} on {data}{suffix}", THRESHOLD
            ),
            "Each layer's similarity to its final state (mean over seeds, band: extremes). "
            "Solid blue: encoder, dash-dotted green: mean and log-variance, dotted pink: the "
            "sample (under shared noise, so alike from the start where a latent has "
            "collapsed), dashed orange: decoder; darker is nearer to the input of its part. "
            f"Thin line: {THRESHOLD}.",
        )
    return section


def _settled(of: Material) -> Section:
    section = Section(
        "settled",
        "The order in which layers settle",
        "The area under each layer's curve above, over the logarithm of training: 1 for a layer "
        "that never differs from its final state. Left as it is, right above the untrained "
        "network, for layers that had room to move.",
    )
    if of.evidence is None:
        return section
    for measure in of.evidence.side_by_side:
        table = learning.settled(of.study, of.evidence, measure)
        if len(table):
            section.add(
                f"settled-{measure}",
                partial(ink.draw_settled, table, measure),
                "Mean and 95 % interval over runs. Blue: encoder, green: mean and log-variance, "
                "pink: sample, orange: decoder.",
            )
    return section


def _layer_pairs(of: Material) -> Section:
    section = Section(
        "layer-pairs",
        "Mean, sample and input",
        "The sample of a collapsed latent is noise: its similarity to the mean and to the input "
        "falls with every latent that collapses.",
    )
    if of.evidence is None:
        return section
    tables = {m: learning.layer_pairs(of.study, of.evidence, m) for m in of.evidence.side_by_side}
    tables = {measure: table for measure, table in tables.items() if len(table)}
    for group in dict.fromkeys(g for table in tables.values() for g in table["group"]):
        section.add(
            f"pairs-{numbers.slug(group)}",
            partial(ink.draw_layer_pairs, tables, group),
            f"{group}: similarity of two layers of one run at one step; mean and 95 % interval "
            "over seeds.",
        )
    table = learning.to_input(of.study, of.evidence.cka)
    if len(table):
        section.add(
            "to-input",
            partial(
                ink.draw_layer_lines,
                table,
                ink.measure_name(of.evidence.cka),
                "Similarity to the input",
                (-0.05, 1.03),
            ),
            "Each layer's similarity to the input over training; mean and 95 % interval over runs.",
        )
    return section


def _heat_maps(of: Material) -> Section:
    study = of.study
    section = Section(
        "heat-maps",
        "Layers against layers",
        "Every layer at a step against every layer of the final state. Pairs within a run and "
        "pairs across seeds answer different questions and are never averaged together. Grey "
        "cells are undefined, or were not asked for; a debiased score below 0 is drawn as 0.",
    )
    measure = study.scores()[0]
    for c in numbers.configurations(study):
        steps = numbers.panel_steps(c.runs)
        rows = [
            [
                heat
                for step in steps
                if (heat := numbers.heat_map(study, measure, c.runs, step, steps[-1],
                                             across_seeds=across))
            ]
            for across in (False, True)
        ]  # fmt: skip
        rows = [row for row in rows if row]
        if rows:
            section.add(
                f"heat-{c.slug}",
                partial(ink.draw_heat_maps, rows, measure, c.label),
                f"{c.label}: layers at steps {', '.join(f'{s:,}' for s in steps)} against the "
                "final state. Above: each run with itself; below: runs of different seeds.",
            )
    return section


def _between(of: Material) -> Section:
    section = Section(
        "between",
        "Configurations against each other",
        "Layers of two configurations at their last steps; runs of different seeds throughout, so "
        "that shared initial weights help neither. Networks of different data have no probe in "
        "common and are not compared.",
    )
    measure = of.study.scores()[0]
    maps = learning.comparisons(of.study, measure)
    for kind in ("strengths", "objectives", "architectures", "classifier"):
        chosen = [one for one in maps if one.title.startswith(kind)]
        if chosen:
            section.add(
                f"between-{kind}",
                partial(ink.draw_between, chosen[:6], measure),
                f"Means over {chosen[0].heat.pairs} pairs of runs and more.",
            )
    return section


def _map(of: Material) -> Section:
    section = Section(
        "map",
        "Map of models",
        "Each run at each step by its whole layer × layer matrix, on the two directions in which "
        "these matrices differ most.",
    )
    measure = of.study.scores()[0]
    for found in learning.map_of_models(of.study, measure):
        section.add(
            f"map-{numbers.slug(found.title)}",
            partial(ink.draw_model_map, found, measure),
            "Points grow with training; a line is a run.",
        )
    return section


def _measures(of: Material) -> Section:
    section = Section(
        "measures-behave",
        "How the measures behave",
        "Gaussian matrices of 50 features that share some: with few probes both biased measures "
        "find similarity where there is none. So read the debiased score, or the smaller of two.",
    )
    section.add(
        "measures",
        partial(ink.draw_measures, sharing()),
        "Mean and extremes over draws. Dotted: the share of features that is shared.",
    )
    return section

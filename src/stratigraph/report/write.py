"""The report: every figure as PNG and PDF, and one HTML file that holds them all."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from stratigraph.errors import InputError
from stratigraph.report import figure_data as numbers
from stratigraph.report import figures as ink
from stratigraph.report import tables
from stratigraph.report.headline import THRESHOLD
from stratigraph.snapshots import replace_file, write_text
from stratigraph.study import (
    LEAST_ROOM,
    Study,
    probe_images,
    similarity_to_final,
)

__all__ = ["report_path", "write_report"]

SHOWN_IMAGES = 10
TRAVERSAL_PROBES = 200


@dataclass(frozen=True)
class Drawn:
    """A figure in the report."""

    name: str
    png: str
    width: int
    height: int
    caption: str


@dataclass
class Section:
    """Figures that answer one question."""

    id: str
    title: str
    text: str
    figures: list[Drawn] = field(default_factory=list)


def report_path(study: Study) -> Path:
    """Where a study's report is."""
    return study.path / "report" / "index.html"


def write_report(study: Study) -> Path:
    """Draw every figure of a study and write its report; return the report's path.

    Raises:
        InputError: the study has no matrix of a similarity yet.
        StorageError: the disk would not take it.

    """
    if not study.scores():
        raise InputError(
            f"study {study.config.name} has no similarity matrix to report on; run `stratigraph "
            "compare`, with at least one measure that is 1 for identical representations."
        )
    if not numbers.configurations(study):
        raise InputError(
            f"study {study.config.name} has no run that reached its last step, so nothing has a "
            f"final state to report on; `stratigraph list {study.path}` says why."
        )
    sections = [section for section in _sections(study) if section.figures]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stratigraph.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    html = environment.get_template("report.html").render(
        study=study.config,
        counts=tables.counts(study),
        sections=sections,
        threshold=THRESHOLD,
        least_room=LEAST_ROOM,
        reach=list(tables.reach_rows(study)),
        runs=[tables.run_row(run) for run in study.runs.values()],
        measures=list(tables.measure_rows(study)),
        made=tables.made(study),
    )
    path = report_path(study)
    write_text(path, html)
    return path


def _sections(study: Study) -> Iterator[Section]:
    configurations = numbers.configurations(study)
    tables = {measure: numbers.curves(study, measure) for measure in study.scores()}
    raw = {measure: similarity_to_final(study, measure) for measure in study.scores()}

    section = Section(
        "convergence",
        "Encoder against decoder",
        "How near each layer is to its own final state, within its run, as training goes on. The "
        "first point is the untrained network.",
    )
    section.figures.append(
        _keep(
            study,
            "parts",
            ink.draw_parts(raw, "Mean over layers of each part, all runs", THRESHOLD),
            "Mean similarity to the final state over the layers of encoder, latents and decoder; "
            "bands are the extremes over runs. Right: the same as progress above the untrained "
            f"network, over layers with room to move (1 − s₀ ≥ {LEAST_ROOM}), cut off below −1: "
            "with little room, small differences count for much.",
        )
    )
    for objective in dict.fromkeys((c.objective, c.data) for c in configurations):
        labels = [c.label for c in configurations if (c.objective, c.data) == objective]
        name = numbers.slug("-".join(objective))
        section.figures.append(
            _keep(
                study,
                f"convergence-{name}",
                ink.draw_convergence(
                    tables, labels, f"{objective[0]} on {objective[1]}", THRESHOLD
                ),
                "Each layer's similarity to its final state (mean over seeds, band: extremes). "
                "Solid blue: encoder, dash-dotted green: mean and log-variance, dotted pink: the "
                "sample (under shared noise, so alike from the start where a latent has "
                "collapsed), dashed orange: decoder; darker is nearer to the input of its part. "
                f"Thin line: {THRESHOLD}.",
            )
        )
    yield section

    section = Section(
        "heat-maps",
        "Layers against layers",
        "Every layer at a step against every layer of the final state. Pairs within a run and "
        "pairs across seeds answer different questions and are never averaged together. Grey "
        "cells are undefined, or were not asked for; a debiased score below 0 is drawn as 0.",
    )
    measure = study.scores()[0]
    for c in configurations:
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
            section.figures.append(
                _keep(
                    study,
                    f"heat-{c.slug}",
                    ink.draw_heat_maps(rows, measure, c.label),
                    f"{c.label}: layers at steps {', '.join(f'{s:,}' for s in steps)} against the "
                    "final state. Above: each run with itself; below: runs of different seeds.",
                )
            )
    yield section

    section = Section(
        "losses",
        "Losses",
        "Reconstruction and Kullback-Leibler terms over training, for every run.",
    )
    section.figures.append(
        _keep(
            study,
            "losses",
            ink.draw_losses(numbers.losses(study)),
            "Blue: reconstruction; orange: KL. Lines: training batches; dots: held-out images. The "
            "vertical axis is linear below 1 and logarithmic above.",
        )
    )
    yield section

    section = Section(
        "images",
        "What the networks make",
        "From the first seed of each configuration, at the last step.",
    )
    probes = {c.label: probe_images(c.first.config, study.config.probes) for c in configurations}
    for data in dict.fromkeys(c.data for c in configurations):
        shown = {label: images[:SHOWN_IMAGES] for label, images in probes.items()}
        section.figures.append(
            _keep(
                study,
                f"reconstructions-{numbers.slug(data)}",
                ink.draw_images(
                    numbers.reconstructions(study, data, shown), "decoded from the mean"
                ),
                f"First row: {SHOWN_IMAGES} of the probes. Below: decoded from their means.",
            )
        )
    for c in configurations:
        images = probes[c.label]
        grid = numbers.traversal(c.first, images[:1], images[:TRAVERSAL_PROBES])
        note = f"latent from −{numbers.SPAN} to {numbers.SPAN}"
        section.figures.append(
            _keep(
                study,
                f"traversal-{c.slug}",
                ink.draw_images(grid, note),
                f"{c.label}: each latent moved from −{numbers.SPAN} to {numbers.SPAN} around one "
                "probe's mean, the others held; ordered by their mean KL.",
            )
        )
    yield section


def _keep(study: Study, name: str, figure: Figure, caption: str) -> Drawn:
    """Write a figure as PNG and PDF, and hold its PNG for the report."""
    folder = study.path / "figures"
    buffer = io.BytesIO()
    # No date in either file: the same study draws the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    png = buffer.getvalue()
    replace_file(folder / f"{name}.png", lambda path: path.write_bytes(png))
    replace_file(
        folder / f"{name}.pdf",
        lambda path: figure.savefig(path, format="pdf", metadata={"CreationDate": None}),
    )
    width, height = (round(float(side) * 96) for side in figure.get_size_inches())
    return Drawn(name, base64.b64encode(png).decode(), width, height, caption)

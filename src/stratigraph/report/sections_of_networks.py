"""The report's sections about single networks: latents, dimensions, losses and images."""

from __future__ import annotations

from functools import partial

import numpy as np

from stratigraph.latents.scores import SCORES
from stratigraph.report import figure_data as numbers, figures as ink, learning_data as learning
from stratigraph.report.section import Material, Section
from stratigraph.study import probe_images

__all__ = ["show_dimensions", "show_disentanglement", "show_images", "show_latents", "show_losses"]

SHOWN_IMAGES = 10
TRAVERSAL_PROBES = 200


def show_latents(of: Material) -> Section:
    """How many latents are active, mixed and passive."""
    section = Section(
        "latents",
        "Latents",
        "A latent is passive where it keeps to the prior whatever the input (its variance near 1 "
        "and steady), active where its variance is small and steady, mixed otherwise.",
    )
    if of.evidence is None:
        return section
    table = learning.regimes(of.study, of.evidence)
    if len(table):
        latents = max(run.config.latents for run in of.study.runs.values())
        section.add(
            "regimes",
            partial(ink.draw_regimes, table, latents),
            "Numbers of latents over training; the first point is the untrained network.",
        )
    return section


def show_disentanglement(of: Material) -> Section:
    """Scores of the latents against the data's factors."""
    section = Section(
        "disentanglement",
        "Disentanglement",
        "Whether each factor of variation of the data has a latent of its own, by scores of the "
        "mean of q(z|x) on the probes against their factors; 1 is the most. They answer different "
        "questions, and are 0 of noise only where docs/latents.md says so.",
    )
    table = learning.disentanglement(of.study)
    if table.empty:
        return section
    titles = {k: title for score in SCORES.values() for k, title in score.titles.items()}
    last = table[table["step"] == table.groupby("configuration")["step"].transform("max")]
    probes = " or ".join(f"{count:,}" for count in sorted(set(table["n"])))
    sources = "; ".join(
        f"{score.title}: {score.source} ({_told(score.settings())})" for score in SCORES.values()
    )
    section.add(
        "disentanglement",
        partial(ink.draw_scores, last, titles),
        f"At the last step, estimated from {probes} probes: mean and 95 % interval over seeds. "
        f"Grey: undefined. Sources and settings: {sources}.",
    )
    if table["step"].nunique() > 1:
        quick = [name for name, score in SCORES.items() if score.quick]
        section.add(
            "disentanglement-over-training",
            partial(ink.draw_scores_over_training, table[table["score"].isin(quick)], titles),
            f"The scores that are taken of every snapshot, from {probes} probes; mean and 95 % "
            "interval over seeds, cut off outside of 0 and 1. The first point is the untrained "
            "network.",
        )
    return section


def _told(settings: object) -> str:
    """An estimator's settings in a few words."""
    plain = vars(settings).items()
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in plain)


def show_dimensions(of: Material) -> Section:
    """How many dimensions each layer fills."""
    section = Section(
        "dimension",
        "Intrinsic dimension",
        "How many dimensions each layer's representations of the probes fill locally.",
    )
    if of.evidence is None:
        return section
    table = learning.dimensions(of.study, of.evidence)
    if len(table):
        for estimator, name in (
            ("two_nn", "two nearest neighbours"),
            ("levina_bickel", "maximum likelihood, 20 neighbours"),
        ):
            own = table[(table["estimator"] == estimator) & table["mean"].notna()]
            if len(own):
                section.add(
                    f"dimension-{numbers.slug(estimator)}",
                    partial(ink.draw_layer_lines, own, "intrinsic dimension", f"By {name}"),
                    "Mean and 95 % interval over runs. The probes' own dimension is the input's.",
                )
    return section


def show_losses(of: Material) -> Section:
    """What was minimised."""
    section = Section(
        "losses",
        "Losses",
        "Reconstruction and Kullback-Leibler terms over training, for every run.",
    )
    table = numbers.losses(of.study)
    if of.study.config.recorded:
        section.text = "The loss over training, for every run, in the units that it was logged in."
        table = table[np.isfinite(table["loss"])]
        if len(table):
            section.add(
                "losses",
                partial(ink.draw_losses, table, ("loss",), "loss"),
                "Lines: training batches; dots: what was logged as validation.",
            )
        return section
    table = table[np.isfinite(table["reconstruction"])]
    if len(table):
        section.add(
            "losses",
            partial(ink.draw_losses, table),
            "Blue: reconstruction; orange: KL. Lines: training batches; dots: held-out images. The "
            "vertical axis is linear below 1 and logarithmic above.",
        )
    return section


def show_images(of: Material) -> Section:
    """What the networks make of probes, of the prior and of one latent's moves."""
    study = of.study
    said = "From the first seed of each configuration, at the last step."
    if not all(run.config.gaussian or run.config.supervised for run in study.runs.values()):
        said += (
            " Networks of codes have no prior to draw from and no latent to move along: only what "
            "they reconstruct, from their codes, is shown."
        )
    section = Section("images", "What the networks make", said)
    if study.config.recorded:  # neither the networks nor the images are ours
        return section
    configurations = [c for c in numbers.configurations(study) if not c.first.config.supervised]
    probes = {c.label: probe_images(c.first.config, study.config.probes) for c in configurations}
    for data in dict.fromkeys(c.data for c in configurations):
        shown = {label: images[:SHOWN_IMAGES] for label, images in probes.items()}
        section.add(
            f"reconstructions-{numbers.slug(data)}",
            partial(
                ink.draw_images,
                numbers.reconstructions(study, data, shown),
                "decoded from the mean",
            ),
            f"First row: {SHOWN_IMAGES} of the probes. Below: decoded from their means.",
        )
        if not any(c.data == data and c.first.config.gaussian for c in configurations):
            continue  # codes are learned without a prior to draw from
        section.add(
            f"samples-{numbers.slug(data)}",
            partial(
                ink.draw_images, numbers.samples(study, data, SHOWN_IMAGES), "the same draws of z"
            ),
            "Decoded from the prior.",
        )
    for c in (one for one in configurations if one.first.config.gaussian):
        images = probes[c.label]
        grid = numbers.traversal(c.first, images[:1], images[:TRAVERSAL_PROBES])
        note = f"latent from −{numbers.SPAN} to {numbers.SPAN}"
        section.add(
            f"traversal-{c.slug}",
            partial(ink.draw_images, grid, note),
            f"{c.label}: each latent moved from −{numbers.SPAN} to {numbers.SPAN} around one "
            "probe's mean, the others held; ordered by their mean KL.",
        )
    return section

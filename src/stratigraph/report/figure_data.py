"""The numbers behind every figure: pure functions from a study to arrays and tables.

The figures, the report and the tests share them; nothing here draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from stratigraph.errors import InputError
from stratigraph.evidence import similarity_to_final
from stratigraph.identity import canonical
from stratigraph.models import VAE, QuantisedAutoencoder
from stratigraph.study import Run, Study
from stratigraph.training import RunConfig

__all__ = [
    "Configuration",
    "HeatMap",
    "Images",
    "configurations",
    "curves",
    "heat_map",
    "losses",
    "panel_steps",
    "reconstructed",
    "reconstructions",
    "samples",
    "slug",
    "to_image",
    "traversal",
]

SPAN = 2.5  # a traversal covers the middle 99 % of the prior


@dataclass(frozen=True)
class Configuration:
    """The runs that differ by their seed alone, of which at least one has a snapshot."""

    label: str
    slug: str
    objective: str
    strength: float | None
    data: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that stands for it where only one can be shown."""
        return self.runs[0]

    @property
    def architecture(self) -> str:
        """The networks' architecture in a few words."""
        return self.first.config.architecture_name


def configurations(study: Study) -> list[Configuration]:
    """The compared configurations with a final state, seeds joined, in the order of the file."""
    groups: dict[str, list[Run]] = {}
    # A study that has grown since it was compared holds runs that no matrix knows of yet.
    compared = set(study.labels(study.scores()[0])["run"])
    for run_id in study.complete():
        if run_id not in compared:
            continue
        run = study.runs[run_id]
        groups.setdefault(canonical({**run.config.to_dict(), "seed": 0}), []).append(run)
    tables = [runs[0].config.to_dict() for runs in groups.values()]
    varies = {
        key
        for key in ("data", "architecture", "latents", "reconstruction", "initialisation")
        if any(table[key] != tables[0][key] for table in tables)
    }
    parameters: dict[tuple[str, str], set[Any]] = {}
    for table in tables:
        for key, value in table["objective"].items():
            parameters.setdefault((table["objective"]["name"], key), set()).add(value)
    # An objective's strength is always said, its other parameters where they tell runs apart.
    varies |= {f"{name}.{key}" for (name, key), values in parameters.items() if len(values) > 1}
    found: list[Configuration] = []
    for runs in groups.values():
        label = _label(runs[0].config, varies)
        if any(label == other.label for other in found):  # they differ in a rarer setting
            label = f"{label} ({runs[0].run_id[:4]})"
        config = runs[0].config
        found.append(
            Configuration(
                label, slug(label), config.objective["name"], config.strength,
                " ".join(_words(config.data)), tuple(runs),
            )
        )  # fmt: skip
    return found


def slug(text: str) -> str:
    """A text as a file's name: letters and digits joined by single dashes."""
    return re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")


def _words(values: Mapping[str, Any]) -> list[str]:
    """``{name: sprites, size: 32}`` as ``sprites``, ``size 32``."""
    return [str(v) if k == "name" else f"{k} {v}" for k, v in values.items()]


def _label(config: RunConfig, varies: set[str]) -> str:
    objective = config.objective
    words = [objective["name"]]
    words += [
        f"{key} = {value:g}" if isinstance(value, int | float) else f"{key} = {value}"
        for key, value in objective.items()
        if key == config.strength_name or f"{objective['name']}.{key}" in varies
    ]
    if "data" in varies:
        words.append(" ".join(_words(config.data)))
    if "latents" in varies:
        words.append(f"{config.latents} latents")
    if "architecture" in varies:
        words.append(config.architecture_name)
    for key in ("reconstruction", "initialisation"):
        if key in varies:
            words.append(getattr(config, key))
    if config.freezing is not None:
        words.append("freezing")
    return ", ".join(words)


@dataclass(frozen=True)
class HeatMap:
    """Layers at one step (rows) against layers at another (columns); NaN where undefined.

    ``values`` is the mean over ``pairs`` pairs of runs: of each run with itself (within), or of
    runs that differ by their seed (across). The two are never mixed.
    """

    rows: list[str]
    columns: list[str]
    values: np.ndarray
    row_step: int
    column_step: int
    pairs: int
    across_seeds: bool


def heat_map(
    study: Study,
    measure: str,
    runs: tuple[Run, ...],
    row_step: int,
    column_step: int,
    *,
    across_seeds: bool,
) -> HeatMap | None:
    """The mean layer × layer map between two steps; None where no pair of runs was compared."""
    matrix = study.similarity(measure).values
    labels = study.labels(measure)
    two = labels[labels["step"].isin([row_step, column_step])]
    places: dict[tuple[str, int], list[int]] = {}
    for row, run, step in zip(two.index, two["run"], two["step"], strict=True):
        places.setdefault((run, step), []).append(row)
    maps = []
    rows = columns = None
    for a in runs:
        for b in runs:
            if (a is b) == across_seeds:
                continue
            i, j = places.get((a.run_id, row_step)), places.get((b.run_id, column_step))
            if i is None or j is None:
                continue
            if rows is None:
                rows, columns = labels["layer"][i].tolist(), labels["layer"][j].tolist()
            maps.append(np.asarray(matrix[np.ix_(i, j)]))
    if not maps or rows is None or columns is None:
        return None
    stack = np.stack(maps)
    seen = np.isfinite(stack).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(seen > 0, np.nansum(stack, axis=0) / np.maximum(seen, 1), np.nan)
    if not np.isfinite(mean).any():
        return None
    # Across seeds (a, b) and (b, a) are one pair of runs.
    pairs = len(maps) // 2 if across_seeds else len(maps)
    return HeatMap(rows, columns, mean, row_step, column_step, pairs, across_seeds)


def panel_steps(runs: tuple[Run, ...]) -> list[int]:
    """The first, a middle and the last step that the runs share."""
    shared = sorted(set.intersection(*(set(run.steps) for run in runs)))
    if len(shared) <= 3:
        return shared
    return [shared[0], shared[len(shared) // 2], shared[-1]]


def curves(study: Study, measure: str, kind: str = "similarity") -> pd.DataFrame:
    """Similarity to the final state by configuration, layer and step: mean and extremes over runs.

    With ``kind`` ``progress``, what of it is above the untrained network.

    Columns: configuration, layer, part, step, mean, low, high, runs, untrained.
    """
    trajectories = similarity_to_final(study, measure)
    of_run = {run.run_id: c.label for c in configurations(study) for run in c.runs}
    trajectories["configuration"] = trajectories["run"].map(of_run)
    grouped = trajectories.groupby(["configuration", "layer", "part", "step"], sort=False)
    return grouped.agg(
        mean=(kind, "mean"),
        low=(kind, "min"),
        high=(kind, "max"),
        runs=(kind, "count"),
        untrained=("untrained", "mean"),
    ).reset_index()


def losses(study: Study) -> pd.DataFrame:
    """Every run's logged terms: configuration, run, seed, step, split, loss, reconstruction, kl."""
    tables = [
        run.metrics.assign(configuration=c.label, run=run.run_id, seed=run.config.seed)
        for c in configurations(study)
        for run in c.runs
    ]
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Images:
    """A grid of images in [0, 1]: (rows, columns, h, w, c), and what each row is."""

    images: np.ndarray
    labels: list[str]
    title: str


def _vae(run: Run) -> VAE:
    model = run.model().eval()
    if not isinstance(model, VAE):
        kind = "classifier" if run.config.supervised else "network of codes"
        raise InputError(
            f"run {run.run_id} is a {kind}, which has no Gaussian latents to draw from; give a VAE."
        )
    return model


@torch.inference_mode()
def reconstructed(run: Run, images: torch.Tensor) -> np.ndarray:
    """What a run's network makes of images (b, c, h, w): decoded from the mean, or the codes."""
    model = run.model().eval()
    if isinstance(model, VAE):
        output = model.decode(model.encode(images)[0])
    elif isinstance(model, QuantisedAutoencoder):
        output = model(images).output
    else:
        raise InputError(f"run {run.run_id} is a classifier, which draws no images; give a VAE.")
    return to_image(output, run.config.reconstruction)


def to_image(output: torch.Tensor, reconstruction: str) -> np.ndarray:
    """The decoder's output (b, c, h, w) as images in [0, 1], (b, h, w, c)."""
    shown = output.sigmoid() if reconstruction == "bernoulli" else output.clamp(0, 1)
    return shown.permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def reconstructions(study: Study, data: str, probes: dict[str, Any]) -> Images:
    """Probes, and what each configuration's first run makes of them, without noise.

    Args:
        study: a trained study.
        data: the data set shown, as `Configuration.data` says it.
        probes: configuration label → images (b, c, h, w) in [0, 1].

    """
    rows: list[np.ndarray] = []
    labels: list[str] = []
    for c in configurations(study):
        if c.data != data or c.first.config.supervised:
            continue
        images = probes[c.label]
        if not rows:
            rows.append(images.permute(0, 2, 3, 1).numpy())
            labels.append("probes")
        rows.append(reconstructed(c.first, images))
        labels.append(c.label)
    return Images(np.stack(rows), labels, f"Reconstructions of probes: {data}")


@torch.inference_mode()
def samples(study: Study, data: str, count: int) -> Images:
    """What each configuration's first run makes of the same draws from the prior.

    Raises:
        InputError: no configuration of the data has a Gaussian prior.

    """
    rows, labels = [], []
    for c in configurations(study):
        if c.data != data or not c.first.config.gaussian:
            continue
        z = torch.randn(c.first.config.latents, count, generator=torch.Generator().manual_seed(0)).T
        model = _vae(c.first)
        rows.append(to_image(model.decode(z), c.first.config.reconstruction))
        labels.append(c.label)
    if not rows:
        raise InputError(f"the study has no VAE of {data}: nothing is drawn from a prior.")
    return Images(np.stack(rows), labels, f"Samples from the prior: {data}")


@torch.inference_mode()
def traversal(run: Run, probe: torch.Tensor, many: torch.Tensor, count: int = 9) -> Images:
    """Each latent moved from −2.5 to 2.5 around one probe's mean, the others held.

    Args:
        run: a trained run.
        probe: the image that is varied, (1, c, h, w).
        many: images (b, c, h, w) on which each latent's mean KL is taken; rows are in its order.
        count: steps of the traversal.

    """
    model = _vae(run)
    mean, log_var = model.encode(many)
    kl = (0.5 * (mean.square() + log_var.exp() - log_var - 1)).mean(dim=0)
    centre, _ = model.encode(probe)
    values = torch.linspace(-SPAN, SPAN, count)
    rows, labels = [], []
    for latent in kl.argsort(descending=True).tolist():
        points = centre.repeat(count, 1)
        points[:, latent] = values
        rows.append(to_image(model.decode(points), run.config.reconstruction))
        labels.append(f"z{latent}: {float(kl[latent]):.2f} nats")
    return Images(np.stack(rows), labels, run.config.label())

"""The map of models: each run at each step as a point, by its whole layer × layer matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stratigraph.report.data import ReportData, Scored

__all__ = ["ModelMap", "map_of_models"]


@dataclass(frozen=True)
class ModelMap:
    """Runs at their steps in two dimensions.

    Attributes:
        points: run, configuration, step, seed, x, y.
        explained: the share of the squared distances that each dimension holds.

    """

    points: pd.DataFrame
    explained: tuple[float, float]
    title: str


def map_of_models(data: ReportData, scored: Scored) -> list[ModelMap]:
    """One map for each data set and architecture: a point a run and step, from its layer matrix.

    Networks of codes have other layers than VAEs, and a map of their own.

    The upper triangles of the layer × layer matrices are projected on their two leading principal
    directions, which is classical scaling of their Euclidean distances. Only entries that are
    defined at every point are used; where those are fewer than half, there is no map.
    """
    of_run = data.configuration_of
    found = []
    groups: dict[str, list[str]] = {}
    for run_id, c in of_run.items():
        key = f"{c.data}, {c.architecture.replace('_', ' ')}"
        key += "" if c.first.config.gaussian or data.study.config.recorded else ", codes"
        if not c.first.config.supervised:
            groups.setdefault(key, []).append(run_id)
    order = [c.label for c in data.configurations]
    for title, runs in groups.items():
        keys = sorted(place for place in scored.places if place[0] in runs)
        tables = []
        for place in keys:
            rows = scored.places[place]
            block = scored.values[np.ix_(rows, rows)]
            tables.append(block[np.triu_indices(len(block), 1)])
        if len(tables) < 3 or len({len(t) for t in tables}) > 1:
            continue
        stacked = np.stack(tables)
        defined = np.isfinite(stacked).all(axis=0)
        vectors = stacked[:, defined]
        if defined.sum() < max(3, 0.5 * len(defined)) or np.ptp(vectors, axis=0).max() == 0:
            continue
        centred = vectors - vectors.mean(axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        share = s**2 / (s**2).sum()
        points = pd.DataFrame(
            {
                "run": [run for run, _ in keys],
                "configuration": [of_run[run].label for run, _ in keys],
                "seed": [data.study.runs[run].config.seed for run, _ in keys],
                "step": [step for _, step in keys],
                "x": u[:, 0] * s[0],
                "y": u[:, 1] * s[1],
            }
        )
        points = points.sort_values(
            "configuration", key=lambda s: s.map(order.index), kind="stable"
        )
        found.append(ModelMap(points, (float(share[0]), float(share[1])), title))
    return found

r"""The floor of a run's held-out error: the best answer that does not look at the image.

With x_i the held-out images (M of them, D pixels each), x̄ their mean and s² the sum over pixels of
their variance, the constant image that minimises the reconstruction is x̄, and its error in nats is

- Bernoulli   Σ_pixels H(x̄), H(p) = −p log p − (1 − p) log(1 − p);
- Gaussian    ½ (s² + D log 2π);
- Gaussian with the scale that is its best  ½ D (1 + log 2π + log(s² / D)).

For a classifier it is the entropy of how often each value of each factor occurs, summed over
factors. The *room* below it is what the best network could gain: the floor less the mean entropy of
the pixels, ½ s², D/2 (a hundredth of it is a hundredth of the square error), or all of it.

It is taken of the very images that the validation loss is of, so no constant answer is below it.
"""

from __future__ import annotations

import math

import numpy as np

from stratigraph.data import Dataset
from stratigraph.identity import digest
from stratigraph.training.config import RunConfig
from stratigraph.training.loop import validation_indices

__all__ = ["floor_key", "floors_of"]

BATCH = 250
LOG_2PI = math.log(2 * math.pi)

Floor = dict[str, float]  # floor and room, in nats


def floor_key(config: RunConfig) -> str:
    """What runs with the same floors have in common: twelve hexadecimal digits."""
    names = ("data", "validation", "split_seed", "validation_images", "supervised")
    return digest({name: getattr(config, name) for name in names})[:12]


def floors_of(config: RunConfig, dataset: Dataset) -> dict[str, Floor]:
    """The floor and its room by what the error is (`stratigraph.objectives.error_of`)."""
    held_out = validation_indices(config, dataset)
    if config.supervised:
        return {"factors": _of_factors(dataset.factors(held_out))}
    return _of_images(dataset, held_out)


def _of_factors(factors: np.ndarray) -> Floor:
    """Of factors (n, f): one that never varies adds nothing."""
    total = 0.0
    for column in factors.T:
        share = np.unique(column, return_counts=True)[1] / len(column)
        total -= float((share * np.log(share)).sum())
    return {"floor": total, "room": total}


def _of_images(dataset: Dataset, indices: np.ndarray) -> dict[str, Floor]:
    starts = range(0, len(indices), BATCH)
    parts = (dataset.tensor(indices[at : at + BATCH]).double().numpy() for at in starts)
    count, mean, spread, entropy = 0, 0.0, 0.0, 0.0
    for x in parts:  # the variance of batches joined, which no offset harms
        own, joined = x.mean(axis=0), count + len(x)
        between = (own - mean) ** 2 * (count * len(x) / joined)
        spread = spread + float(((x - own) ** 2).sum() + between.sum())
        mean = mean + (own - mean) * (len(x) / joined)
        entropy, count = entropy + float(_entropy(x).sum()), joined
    centre = np.asarray(mean)
    square, pixels = spread / count, centre.size
    bernoulli = float(_entropy(centre).sum())
    floors = {
        "bernoulli": {"floor": bernoulli, "room": bernoulli - entropy / count},
        "gaussian": {"floor": 0.5 * (square + pixels * LOG_2PI), "room": 0.5 * square},
    }
    if square > 0:
        scaled = 0.5 * pixels * (1 + LOG_2PI + math.log(square / pixels))
        floors["scaled_gaussian"] = {"floor": scaled, "room": 0.5 * pixels}
    return floors


def _entropy(p: np.ndarray) -> np.ndarray:
    """H(p) in nats, elementwise; 0 at 0 and at 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = p * np.log(p), (1 - p) * np.log1p(-p)
    return -np.nan_to_num(terms[0]) - np.nan_to_num(terms[1])

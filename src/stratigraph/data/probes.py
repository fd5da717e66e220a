"""The probes: the fixed, ordered images that every network of a study is shown.

By default they are held out: distinct images of the validation part, in an order drawn by the seed.
The protocol of the paper (Bonheme & Grzes, 2022, *How do variational autoencoders learn? Insights
from representational similarity*) is offered for parity: a number of images drawn from all of the
set with replacement, repetitions removed; fewer than that number remain, and most were trained on.
"""

from __future__ import annotations

import numpy as np

from stratigraph.data.dataset import Dataset
from stratigraph.data.splits import Split, check_seed
from stratigraph.errors import InputError
from stratigraph.shapes import Indices

__all__ = ["draw_paper_probes", "draw_probes"]


def draw_probes(
    dataset: Dataset, split: Split, count: int, seed: int = 0, held_out: bool = True
) -> Indices:
    """`count` distinct images of the validation part, or of the training part; order matters.

    The first probes of a larger draw are those of a smaller one with the same seed.

    Raises:
        InputError: the part holds fewer than `count` images.

    """
    part, pool = ("validation", split.validation) if held_out else ("training", split.train)
    _check_count(count)
    if count > len(pool):
        raise InputError(
            f"{count} probes requested from the {part} part of {dataset.name}, which has "
            f"{len(pool)} "
            f"images; ask for fewer, or make the part larger"
        )
    return np.random.default_rng(check_seed(seed)).permutation(pool)[:count]


def draw_paper_probes(dataset: Dataset, count: int = 10_000, seed: int = 0) -> Indices:
    """At most `count` images: drawn with replacement from all of the set, repetitions removed."""
    _check_count(count)
    drawn = np.random.default_rng(check_seed(seed)).integers(0, len(dataset), count)
    _, first = np.unique(drawn, return_index=True)
    return drawn[np.sort(first)].astype(np.int64)


def _check_count(count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count {count!r}; expected a number of probes, at least 1")

"""A random division of a set into images to learn from and images to validate on.

A division by index would make the validation part one corner of the factor space, since the factors
are in order. Images that repeat others by construction (`Dataset.repeated`) are left out, or the
same image would stand on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int

from stratigraph.data.dataset import Dataset
from stratigraph.errors import InputError
from stratigraph.values import is_number

__all__ = ["Split", "check_seed", "split"]


@final
@dataclass(frozen=True, eq=False)
class Split:
    """Ascending indices of the two parts; they are disjoint."""

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]


def split(
    dataset: Dataset, validation: float = 0.1, seed: int = 0, *, drop_duplicates: bool = True
) -> Split:
    """Divide `dataset` at random; `validation` is the fraction to hold out.

    Raises:
        InputError: `validation` is not in [0, 1), or leaves a part that was asked for empty.

    """
    if not is_number(validation) or not 0.0 <= validation < 1.0:
        raise InputError(f"validation {validation!r}; expected a fraction from 0 to below 1")
    images = dataset.distinct() if drop_duplicates else np.arange(len(dataset), dtype=np.int64)
    held_out = round(validation * len(images))
    if held_out == len(images) or (validation > 0 and held_out == 0):
        raise InputError(
            f"validation {validation} of the {len(images)} images of {dataset.name} is "
            f"{held_out}; each part needs at least one image"
        )
    shuffled = np.random.default_rng(check_seed(seed)).permutation(images)
    return Split(train=np.sort(shuffled[held_out:]), validation=np.sort(shuffled[:held_out]))


def check_seed(seed: int) -> int:
    """The seed, if it is one.

    Raises:
        InputError: it is not an integer from 0 to 2⁶⁴ − 1.

    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise InputError(f"seed {seed!r}; expected an integer from 0 to 2**64 - 1")
    return int(seed)

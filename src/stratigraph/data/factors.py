"""The user's own factors, beside images of any kind.

Factors are whole numbers from 0, (n,) or (n, f), one row an image; whole numbers stored as floats
are taken. They are given as an array, as the name of an array in the same ``.npz``, or as the path
of a ``.npy`` file or of another ``.npz`` (``labels.npz:factors``).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.data.archives import array_stream
from stratigraph.data.dataset import Dataset
from stratigraph.errors import ConfigError, DataError, InputError
from stratigraph.paths import user_path
from stratigraph.values import whole_numbers

__all__ = ["add_factors"]


def add_factors(
    dataset: Dataset, factors: Any, names: Sequence[str] | None = None, archive: Path | None = None
) -> Dataset:
    """The same images, with their factors.

    Args:
        dataset: n images.
        factors: (n,) or (n, f), or where they are.
        names: of the factors; by default ``label`` of one, ``factor_0``, ``factor_1``, … of more.
        archive: the ``.npz`` that the images are from.

    Raises:
        DataError: there is no such file or array, or they are not whole numbers from 0, a row each.
        ConfigError: names that are not one a factor.

    """
    if isinstance(factors, str | Path):
        where, values = _read(dataset.name, str(factors), archive)
    else:
        where, values = f"{dataset.name}: factors", np.asarray(factors)
    try:
        labels = whole_numbers(values, where)
    except InputError as error:
        raise DataError(str(error)) from None
    if labels.ndim not in (1, 2) or len(labels) != len(dataset) or 0 in labels.shape:
        raise DataError(
            f"{where} are of shape {labels.shape}; expected ({len(dataset)},) or "
            f"({len(dataset)}, f), a row for each image"
        )
    labels = labels.reshape(len(labels), -1)
    if labels.min() < 0:
        raise DataError(f"{where} hold {labels.min()}; expected whole numbers from 0")
    count = labels.shape[1]
    if names is None:
        names = ["label"] if count == 1 else [f"factor_{i}" for i in range(count)]
    words = not isinstance(names, str) and all(isinstance(name, str) and name for name in names)
    if not words or len(set(names)) != len(names) or len(names) != count:
        raise ConfigError(
            f"factor_names {names!r}; expected {count} different words, one for each factor"
        )
    return dataclasses.replace(
        dataset,
        factor_names=tuple(names),
        factor_sizes=tuple(int(top) + 1 for top in labels.max(axis=0)),
        labels=labels,
        labels_digest=hashlib.sha256(np.ascontiguousarray(labels).data).hexdigest(),
    )


def _read(name: str, told: str, archive: Path | None) -> tuple[str, np.ndarray]:
    """Factors from a file, or from the archive that the images are from."""
    file, _, key = told.partition(":")
    path = user_path(file)
    if path.suffix not in (".npy", ".npz"):
        if archive is None:
            raise DataError(
                f"{name}: factors {told!r}; expected an array, or a file: labels.npy, or "
                "labels.npz:NAME"
            )
        path, key = archive, told
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected the factors of {name}")
    if path.suffix == ".npz" and not key:
        raise DataError(f"{path}: say which array holds the factors: {path.name}:NAME")
    with array_stream(path, key or None) as stream:
        return f"{path}: {key}".removesuffix(": "), stream.whole()

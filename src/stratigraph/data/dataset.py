"""A data set: images, and for some sets the factors of variation that generated them.

Where the factors ``f_1 … f_m``, of sizes ``s_1 … s_m``, fill their grid, image ``i`` is the
mixed-radix number with the digits ``f``, the last factor fastest::

    i = (…(f_1 · s_2 + f_2) · s_3 + …) · s_m + f_m

Order and names of the factors are the canonical ones of the literature (Locatello et al., 2019,
*Challenging common assumptions in the unsupervised learning of disentangled representations*),
whatever the order in the file. A set whose images do not fill a grid (a class label, say) stores
the factors of every image instead, and has no ``index``.

Images are uint8 from the disk to the batch, and become floats in [0, 1] a batch at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.identity import digest
from stratigraph.shapes import BytesImages, Factors, Indices
from stratigraph.values import whole_numbers

__all__ = ["Dataset", "ImageSource", "to_unit"]


def to_unit(images: UInt8[np.ndarray, "b c h w"], max_value: int) -> Float[Tensor, "b c h w"]:
    """Bytes from 0 to `max_value` as float32 in [0, 1]."""
    batch = torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32)
    return batch if max_value == 1 else batch.div_(max_value)


@runtime_checkable
class ImageSource(Protocol):
    """Where images come from: a file, a renderer, an array.

    A source is a small picklable value: it holds paths, not open files, so that a worker process
    can be handed one.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        ...

    @property
    def max_value(self) -> int:
        """The byte that means 1.0: 1 for binary images, 255 for the others."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Indices) -> BytesImages:
        """Copies of the images at `indices`, which have been checked."""
        ...

    def prepare(self) -> None:
        """Do once, before workers start, what makes reading fast."""
        ...

    def fingerprint(self) -> str:
        """A hash of what determines every byte that `read` returns."""
        ...


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of one `source`, with their factors in canonical order.

    `labels` holds the factors, (n, f), of a set whose images do not fill the grid of its factors.
    `repeated` names, per factor, a value whose images are those of another value: a random split
    leaves them out, or the same image would stand on both sides of it. `labels_digest` is the hash
    of labels that are the user's own, and may change while the images stay.
    """

    name: str
    source: ImageSource
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    labels: np.ndarray | None = field(default=None, repr=False)
    repeated: tuple[tuple[str, int], ...] = ()
    labels_digest: str = ""

    def __post_init__(self) -> None:
        if len(self.factor_names) != len(self.factor_sizes):
            raise InputError(
                f"{self.name}: {len(self.factor_names)} names of factors, "
                f"{len(self.factor_sizes)} sizes"
            )
        if self.labels is not None:
            expected = (len(self.source), len(self.factor_sizes))
            if self.labels.shape != expected:
                raise InputError(
                    f"{self.name}: labels of shape {self.labels.shape}; expected {expected}"
                )
        elif self.factor_sizes and math.prod(self.factor_sizes) != len(self.source):
            raise InputError(
                f"{self.name}: {len(self.source)} images do not fill the grid of factors "
                f"{self.factor_sizes}, which has {math.prod(self.factor_sizes)} places"
            )

    def __len__(self) -> int:
        return len(self.source)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return self.source.image_shape

    @property
    def max_value(self) -> int:
        """The byte that means 1.0: 1 for binary images, 255 for the others."""
        return self.source.max_value

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what defines the data; a run records it, and a resume compares it."""
        own = {"labels": self.labels_digest} if self.labels_digest else {}
        return digest({"name": self.name, "source": self.source.fingerprint(), **own})

    def prepare(self) -> Dataset:
        """Do once, before workers start, what makes reading fast (build a cache)."""
        self.source.prepare()
        return self

    def index(self, factors: ArrayLike) -> Indices:
        """The images with these factors, (b, f) → (b,).

        Raises:
            InputError: a factor is out of its range, or the set has no grid of factors.

        """
        self._require_grid()
        rows = whole_numbers(factors, f"{self.name}: factors")
        if rows.ndim != 2 or rows.shape[1] != len(self.factor_sizes):
            raise InputError(
                f"{self.name}: factors of shape {rows.shape}; expected "
                f"(b, {len(self.factor_sizes)}): {', '.join(self.factor_names)}"
            )
        sizes = np.asarray(self.factor_sizes)
        outside = (rows < 0) | (rows >= sizes)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise InputError(
                f"{self.name}: factor {self.factor_names[column]!r} is {rows[row, column]} in "
                f"row {row}; allowed are 0 to {sizes[column] - 1}"
            )
        return np.ravel_multi_index(tuple(rows.T), self.factor_sizes).astype(np.int64)

    def factors(self, indices: ArrayLike) -> Factors:
        """The factors of these images, (b,) → (b, f); f is 0 for a set without factors."""
        chosen = self._indices(indices)
        if self.labels is not None:
            return self.labels[chosen].astype(np.int64)
        if not self.factor_sizes:
            return np.empty((len(chosen), 0), dtype=np.int64)
        return np.stack(np.unravel_index(chosen, self.factor_sizes), axis=1).astype(np.int64)

    def images(self, indices: ArrayLike) -> BytesImages:
        """Images as bytes from 0 to `max_value`, (b,) → (b, c, h, w)."""
        return self.source.read(self._indices(indices))

    def tensor(self, indices: ArrayLike) -> Float[Tensor, "b c h w"]:
        """Images as a network takes them: float32 in [0, 1]."""
        return to_unit(self.images(indices), self.max_value)

    def distinct(self) -> Indices:
        """Every image that is not, by construction, the repetition of another."""
        keep = np.ones(len(self), dtype=bool)
        if self.repeated:
            self._require_grid()
            grid = keep.reshape(self.factor_sizes)
            for factor, value in self.repeated:
                np.moveaxis(grid, self.factor_names.index(factor), 0)[value] = False
        return np.flatnonzero(keep).astype(np.int64)

    def _indices(self, indices: ArrayLike) -> Indices:
        chosen = _integers(indices, f"{self.name}: indices")
        if chosen.ndim != 1:
            raise InputError(f"{self.name}: indices of shape {chosen.shape}; expected (b,)")
        outside = (chosen < 0) | (chosen >= len(self))
        if outside.any():
            raise InputError(
                f"{self.name}: index {chosen[outside][0]}; it has images 0 to {len(self) - 1}"
            )
        return chosen

    def _require_grid(self) -> None:
        if not self.factor_sizes:
            raise InputError(f"{self.name} has no factors, so images are known only by index")
        if self.labels is not None:
            raise InputError(
                f"{self.name} has any number of images for one value of "
                f"{', '.join(self.factor_names)}; read `factors(indices)` and choose among them"
            )


def _integers(values: ArrayLike, what: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":  # a mask is no indices
        raise InputError(f"{what} are {array.dtype}; expected integers")
    return array.astype(np.int64)

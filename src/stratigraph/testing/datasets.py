"""What every data set promises, as checks: functions of a `Dataset`, whatever it is made of.

What differs from set to set is its source (`stratigraph.data.ImageSource`); the rest is
`stratigraph.data.Dataset`. Twenty images are read, not all.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import torch

from stratigraph.data import Dataset, ImageSource
from stratigraph.errors import InputError
from stratigraph.shapes import Indices
from stratigraph.testing.require import require

__all__ = ["CHECKS"]


def _some(dataset: Dataset) -> Indices:
    """Twenty images, or all of fewer, in order."""
    n = len(dataset)
    return np.sort(np.random.default_rng(0).choice(n, min(n, 20), replace=False)).astype(np.int64)


def check_images(dataset: Dataset) -> None:
    """Images are bytes of one shape, none above the byte that means 1."""
    source = dataset.source
    require(
        isinstance(source, ImageSource),
        f"{dataset.name}: expected its source to have all of stratigraph.data.ImageSource, got a "
        f"{type(source).__name__}.",
    )
    require(len(dataset) > 0, f"{dataset.name} has no images.")
    for chosen in (_some(dataset), np.empty(0, dtype=np.int64)):
        images = dataset.images(chosen)
        wanted = (len(chosen), *dataset.image_shape)
        found = f"{images.dtype} {images.shape}"
        right = images.dtype == np.uint8 and images.shape == wanted
        require(right, f"{dataset.name}: expected images of uint8 {wanted}, got {found}.")
        most = int(images.max(initial=0))
        require(
            most <= dataset.max_value,
            f"{dataset.name}: an image has the byte {most}, and {dataset.max_value} means 1.",
        )


def check_tensors(dataset: Dataset) -> None:
    """As networks take them, images are float32 from 0 to 1."""
    some = _some(dataset)
    batch = dataset.tensor(some)
    expected = dataset.images(some).astype(np.float64) / dataset.max_value
    right = batch.dtype == torch.float32 and np.allclose(batch.numpy(), expected, rtol=0, atol=1e-7)
    require(
        right and float(batch.min()) >= 0 and float(batch.max()) <= 1,
        f"{dataset.name}: tensor() is not images() / {dataset.max_value} as float32 in [0, 1].",
    )


def check_repeated(dataset: Dataset) -> None:
    """The same images every time, whatever they are read with; copies, and not all one."""
    some = _some(dataset)
    images = dataset.images(some)
    kept = images.copy()
    require(
        np.array_equal(dataset.images(some), kept),
        f"{dataset.name}: the same indices give other images; nothing may be drawn in reading.",
    )
    one = dataset.images(torch.as_tensor(some[:1]))
    apart = np.array_equal(dataset.images(some[::-1]), kept[::-1]) and np.array_equal(one, kept[:1])
    require(apart, f"{dataset.name}: an image depends on what it is read with.")
    if images.flags.writeable:
        images[:] = 1 - images
    require(
        np.array_equal(dataset.images(some), kept),
        f"{dataset.name}: images that are written on change the set; give copies.",
    )
    distinct = len(np.unique(kept.reshape(len(kept), -1), axis=0))
    require(distinct > 1 or len(some) == 1, f"{dataset.name}: all images that were read are alike.")


def check_factors(dataset: Dataset) -> None:
    """Factors are whole numbers within their sizes, and on a grid `index` is their inverse."""
    some, name = _some(dataset), dataset.name
    factors = dataset.factors(some)
    wanted = (len(some), len(dataset.factor_names))
    right = factors.dtype == np.int64 and factors.shape == wanted
    found = f"{factors.dtype} {factors.shape}"
    require(right, f"{name}: expected factors of int64 {wanted}, got {found}.")
    within = ((factors >= 0) & (factors < np.array(dataset.factor_sizes, dtype=np.int64))).all()
    require(within, f"{name}: factors outside of their sizes {dataset.factor_sizes}.")
    if dataset.factor_sizes and dataset.labels is None:
        back = dataset.index(factors)
        wrong = np.flatnonzero(back != some)
        require(
            not len(wrong),
            f"{name}: index(factors(i)) is not i; e.g. {some[wrong[:1]]} has the factors "
            f"{factors[wrong[:1]].tolist()}, which are those of {back[wrong[:1]]}.",
        )
        return
    try:  # of one value of its factors there is any number of images
        given = dataset.index(factors)
    except InputError:
        return
    raise AssertionError(f"{name}: no grid of factors, and yet index() gives {given}.")


def check_pickle(dataset: Dataset) -> None:
    """A pickle of it, as a worker gets one, reads the same images and is the same data."""
    dataset.prepare()
    some = _some(dataset)
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301  # what was just made
    same = np.array_equal(again.images(some), dataset.images(some))
    require(same, f"{dataset.name}: a pickle of it reads other images.")
    require(
        again.fingerprint == dataset.fingerprint,
        f"{dataset.name}: a pickle of it has another fingerprint; take it from what the images are "
        "made of, not from where it lies.",
    )


def check_fingerprint(dataset: Dataset) -> None:
    """Its fingerprint is a SHA-256, and the same when it is asked for again."""
    one, again = dataset.fingerprint, dataset.fingerprint
    require(len(one) == 64, f"{dataset.name}: expected a SHA-256 as its fingerprint, got {one!r}.")
    require(one == again, f"{dataset.name}: its fingerprint changes: {one}, then {again}.")


CHECKS: tuple[Callable[[Dataset], None], ...] = (
    check_images,
    check_tensors,
    check_repeated,
    check_factors,
    check_pickle,
    check_fingerprint,
)

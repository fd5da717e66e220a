"""A data set that promises what it does not keep is found out, in words."""

from dataclasses import replace

import numpy as np
import pytest

from stratigraph.data import Dataset, load_dataset
from stratigraph.testing.datasets import CHECKS


class Source:
    """A dozen images of 2 × 3 × 2 factors, held as an array."""

    image_shape = (1, 4, 4)
    max_value = 255

    def __init__(self):
        self.content = np.random.default_rng(0).integers(0, 256, (12, 1, 4, 4), dtype=np.uint8)

    def __len__(self):
        return 12

    def read(self, indices):
        return self.content[indices]

    def prepare(self):
        pass

    def fingerprint(self):
        return "a dozen"


class Floats(Source):
    def read(self, indices):
        return super().read(indices) / 255


class Brighter(Source):
    max_value = 1


class Drawing(Source):
    rng = np.random.default_rng(1)

    def read(self, indices):
        return self.rng.permutation(super().read(indices).ravel()).reshape(-1, 1, 4, 4)


class Whitened(Source):
    def read(self, indices):
        found = super().read(indices)
        return (found - found.mean(axis=0, keepdims=True)).astype(np.uint8)


class Alike(Source):
    def read(self, indices):
        return np.zeros((len(indices), *self.image_shape), dtype=np.uint8)


class Handed(Source):
    """Hands out its own array."""

    def read(self, indices):
        every = np.array_equal(indices, np.arange(12))
        return self.content if every else super().read(indices)


class Placed(Source):
    def fingerprint(self):
        return str(id(self))


class Counting(Source):
    asked = 0

    def fingerprint(self):
        self.asked += 1
        return str(self.asked)


class Lazy(Source):
    """What it holds is lost on the way to a worker."""

    def __getstate__(self):
        return {"content": self.content[::-1].copy()}


class Mirrored(Dataset):
    def index(self, factors):
        return len(self) - 1 - super().index(factors)


class Single(Dataset):
    def tensor(self, indices):
        return super().tensor(indices) * 255


class Short(Dataset):
    @property
    def fingerprint(self):
        return "abc"


FACTORS = ("shape", "size", "side"), (2, 3, 2)


def of(source, kind=Dataset):
    return kind("dozen", source, *FACTORS)


BROKEN = [  # a set, the check that refuses it, and what it says
    (of(Floats()), "images", r"expected images of uint8 \(12, 1, 4, 4\), got float64"),
    (of(Brighter()), "images", r"an image has the byte \d+, and 1 means 1"),
    (of(Source(), Single), "tensors", r"tensor\(\) is not images\(\) / 255"),
    (of(Drawing()), "repeated", "the same indices give other images; nothing may be drawn"),
    (of(Whitened()), "repeated", "an image depends on what it is read with"),
    (of(Handed()), "repeated", "images that are written on change the set; give copies"),
    (of(Alike()), "repeated", "all images that were read are alike"),
    (of(Source(), Mirrored), "factors", r"index\(factors\(i\)\) is not i; e.g. \[0\] .* \[11\]"),
    (of(Lazy()), "pickle", "a pickle of it reads other images"),
    (of(Placed()), "pickle", "a pickle of it has another fingerprint; take it from what"),
    (of(Source(), Short), "fingerprint", "expected a SHA-256 as its fingerprint, got 'abc'"),
    (of(Counting()), "fingerprint", "its fingerprint changes"),
    (
        replace(of(Source()), labels=np.full((12, 3), 7)),
        "factors",
        r"factors outside of their sizes \(2, 3, 2\)",
    ),
]


def check_of(name):
    (found,) = (check for check in CHECKS if check.__name__ == f"check_{name}")
    return found


@pytest.mark.parametrize(("dataset", "name", "text"), BROKEN, ids=lambda case: str(case)[:12])
def test_a_promise_that_is_not_kept(dataset, name, text):
    with pytest.raises(AssertionError, match=text):
        check_of(name)(dataset)


@pytest.mark.parametrize("check", CHECKS)
def test_a_source_of_ones_own(check):
    check(of(Source()))
    check(load_dataset(np.random.default_rng(0).random((1, 1, 4, 4))))


def test_every_check_has_a_set_that_fails_it():
    assert {f"check_{name}" for _, name, _ in BROKEN} == {check.__name__ for check in CHECKS}

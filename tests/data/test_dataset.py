"""The arithmetic of indices and factors, and what `load_dataset` makes of its argument."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stratigraph.data import DATASETS, Dataset, load_dataset
from stratigraph.data.arrays import ArrayImages
from stratigraph.errors import DataError, InputError

SPRITES = load_dataset("sprites", size=32, cache=False)


def blank(sizes, **options):
    images = ArrayImages(np.zeros((int(np.prod(sizes)), 1, 2, 2), dtype=np.uint8), 255)
    names = tuple(f"f{i}" for i in range(len(sizes)))
    return Dataset("blank", images, names, tuple(sizes), **options)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5), data=st.data())
def test_index_is_the_mixed_radix_number(sizes, data):
    dataset = blank(sizes)
    factors = [data.draw(st.integers(0, size - 1)) for size in sizes]
    expected = 0
    for factor, size in zip(factors, sizes, strict=True):
        expected = expected * size + factor
    assert dataset.index([factors]).tolist() == [expected]
    assert dataset.factors([expected]).tolist() == [factors]


@given(indices=st.lists(st.integers(0, len(SPRITES) - 1), max_size=50))
def test_index_inverts_factors(indices):
    found = SPRITES.index(SPRITES.factors(indices)) if indices else SPRITES.factors(indices)[:, 0]
    assert found.dtype == np.int64
    assert found.tolist() == indices


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([[0, 6, 0, 0, 0]], "factor 'scale' is 6 in row 0; allowed are 0 to 5"),
        ([[0, 0, 0, 0, 0], [0, 0, -1, 0, 0]], "'orientation' is -1 in row 1; allowed are 0 to 39"),
        (
            [[0, 0]],
            r"of shape \(1, 2\); expected \(b, 5\): shape, scale, orientation, x, y",
        ),
        ([0, 0, 0, 0, 0], r"factors of shape \(5,\); expected \(b, 5\)"),
        ([[0.0, 0.5, 0, 0, 0]], r"factors: expected whole numbers, got 0\.5 of type float64 at \["),
    ],
)
def test_factors_out_of_range(factors, message):
    with pytest.raises(InputError, match=message):
        SPRITES.index(factors)


def test_distinct_drops_repeated_values():
    dataset = blank((3, 4), repeated=(("f1", 3),))
    assert dataset.distinct().tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor_names": ("a",)}, "1 names of factors, 0 sizes"),
        ({"factor_names": ("a",), "factor_sizes": (5,)}, "4 images do not fill the grid"),
        (
            {"factor_names": ("a",), "factor_sizes": (5,), "labels": np.zeros((3, 1), int)},
            r"labels of shape \(3, 1\); expected \(4, 1\)",
        ),
    ],
)
def test_sets_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        Dataset("odd", ArrayImages(np.zeros((4, 1, 2, 2), dtype=np.uint8), 255), **options)


def test_a_near_name_is_suggested():
    with pytest.raises(InputError, match=r"called 'fashion-mnist'\. Did you mean 'fashion_mnist'"):
        load_dataset("fashion-mnist")
    with pytest.raises(InputError, match=r"called 'sprits'\. Did you mean 'sprites'"):
        load_dataset("sprits")


def test_the_catalogue():
    expected = "cars3d dsprites fashion_mnist kmnist mnist shapes3d smallnorb solids sprites"
    assert sorted(DATASETS) == expected.split()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3, InputError, "a data set cannot be made from int; expected a name, a path, an array"),
        ("nowhere/data.csv", DataError, r"is not there; expected a \.npy or \.npz file, or a fold"),
        ("nowhere/data.npy", DataError, r"data\.npy is not a file"),
        (__file__, DataError, r"expected a \.npy or \.npz file, or a folder of pictures"),
    ],
)
def test_things_that_are_no_data(source, error, message):
    with pytest.raises(error, match=message):
        load_dataset(source)

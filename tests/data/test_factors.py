"""One's own factors, beside images of any kind."""

import numpy as np
import pytest
import torch

from stratigraph.data import load_dataset
from stratigraph.errors import ConfigError, DataError, InputError
from stratigraph.latents.scores import mig
from stratigraph.values import whole_numbers

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
FACTORS = np.array([[0, 2], [1, 0], [0, 1], [1, 1], [0, 0], [1, 2]])


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, np.uint8])
def test_factors_beside_any_images(tmp_path, dtype):
    factors = FACTORS.astype(dtype)
    np.savez(tmp_path / "own.npz", images=IMAGES, classes=factors)
    np.savez(tmp_path / "other.npz", what=factors)
    np.save(tmp_path / "factors.npy", factors)
    cache = {"cache_dir": str(tmp_path / "cache")}
    npz = tmp_path / "own.npz"
    sets = [
        load_dataset(npz, factors="classes", **cache),
        load_dataset(npz, factors=f"{tmp_path}/other.npz:what", **cache),
        load_dataset(npz, factors=str(tmp_path / "factors.npy"), **cache),
        load_dataset(npz, factors=factors, **cache),
        load_dataset(IMAGES, factors=factors),
        load_dataset(torch.from_numpy(IMAGES), factors=torch.from_numpy(factors)),
        load_dataset(list(IMAGES), factors=factors.tolist()),
    ]
    for dataset in sets:
        np.testing.assert_array_equal(dataset.factors(np.arange(6)), FACTORS)
        assert dataset.factors([0]).dtype == np.int64
        assert dataset.factor_names == ("factor_0", "factor_1")
        assert dataset.factor_sizes == (2, 3)
    named = load_dataset(npz, factors="classes", factor_names=["kind", "place"], **cache)
    assert named.factor_names == ("kind", "place")
    one = load_dataset(IMAGES, factors=FACTORS[:, 0])
    assert one.factor_names == ("label",)
    assert one.fingerprint != load_dataset(IMAGES, factors=1 - FACTORS[:, 0]).fingerprint


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (FACTORS * 0.5, r"factors: expected whole numbers, got 0\.5 of type float64 at \[1, 0\]"),
        (FACTORS * np.nan, "expected whole numbers, got nan of type float64"),
        (FACTORS[:5], r"are of shape \(5, 2\); expected \(6,\) or \(6, f\), a row for each"),
        (FACTORS - 1, "hold -1; expected whole numbers from 0"),
        (np.array(list("abcdef")), "expected whole numbers, got values of type <U1"),
        ("classes", "factors 'classes'; expected an array, or a file"),
        ("nowhere.npy", "no such file; expected the factors of"),
    ],
)
def test_factors_that_are_none(factors, said):
    with pytest.raises(DataError, match=said):
        load_dataset(IMAGES, factors=factors)


def test_arrays_of_an_archive_that_are_no_factors(tmp_path):
    np.savez(tmp_path / "own.npz", images=IMAGES)
    cache = {"cache_dir": str(tmp_path / "cache")}
    with pytest.raises(DataError, match="lacks the array 'classes'; it holds images"):
        load_dataset(tmp_path / "own.npz", factors="classes", **cache)
    with pytest.raises(DataError, match=r"say which array holds the factors: own\.npz:NAME"):
        load_dataset(tmp_path / "own.npz", factors=str(tmp_path / "own.npz"), **cache)
    for options, said in (
        ({"factors": FACTORS, "factor_names": ["one"]}, "expected 2 different words"),
        ({"factor_names": ["one"]}, "without factors; give factors="),
        ({"factor": FACTORS}, r"an array has no option 'factor'\. Did you mean 'factors'"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_dataset(IMAGES, **options)


def test_whole_numbers_stored_as_floats_score_the_same():
    codes = np.random.default_rng(0).normal(size=(6, 3))
    assert mig(codes, FACTORS.astype(np.float32)).score == mig(codes, FACTORS).score
    for wrong in ([1e300], [np.inf], [0.5], ["a"], [1j]):
        with pytest.raises(InputError, match="expected whole numbers"):
            whole_numbers(wrong, "factors")

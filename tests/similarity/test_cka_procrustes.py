"""CKA and Procrustes: check values, the textbook form, and the traps that peers fall into."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import textbook
import torch
from synthetic import gaussian, layers

from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.centring import centre_single
from stratigraph.similarity.cka import debiased_cka, linear_cka
from stratigraph.similarity.procrustes import procrustes_similarity

FUNCTIONS = {
    "linear_cka": linear_cka,
    "debiased_cka": debiased_cka,
    "procrustes_similarity": procrustes_similarity,
}

# Two Gaussian matrices of 50 features that share 80, 50 and 0 % of them (paper.md, section 2).
CHECK_VALUES = {
    50: ((0.950, 0.903), (0.869, 0.744), (0.752, 0.511)),
    290: ((0.855, 0.835), (0.657, 0.580), (0.346, 0.146)),
    970: ((0.825, 0.813), (0.581, 0.532), (0.197, 0.051)),
}


def sharing(n: int, shared: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = gaussian(n, 50, seed), gaussian(n, 50, seed + 1000)
    y[:, :shared] = x[:, :shared]
    return x, y


@pytest.mark.parametrize("n", CHECK_VALUES)
def test_check_values(n):
    for shared, expected in zip((40, 25, 0), CHECK_VALUES[n], strict=True):
        pairs = [sharing(n, shared, seed) for seed in range(8)]
        found = [(procrustes_similarity(x, y), linear_cka(x, y)) for x, y in pairs]
        np.testing.assert_allclose(np.mean(found, 0), expected, atol=0.012)


def test_check_values_debiased():
    for shared, expected in ((40, 0.803), (25, 0.507), (0, 0.002)):
        found = [debiased_cka(*sharing(970, shared, seed)) for seed in range(8)]
        assert np.mean(found) == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [10, 40, 300])
def test_equals_the_textbook(name, n):
    found = layers(n, (7, 30, 90))
    for x in found.values():
        for y in found.values():
            expected = getattr(textbook, name)(x, y)
            assert FUNCTIONS[name](x, y) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [10, 300])
def test_self_similarity_is_one(name, n):
    for x in layers(n, (7, 30, 90)).values():
        assert abs(FUNCTIONS[name](x, x.copy()) - 1) < 1e-10


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale", [1e-3, 1e4, 1e20, 1e-20, 1e150, 1e-150])
def test_scale_changes_nothing(name, scale):
    x, y = layers(60, (30, 80)).values()
    expected = FUNCTIONS[name](x, y)
    scaled = x.astype(np.float64) * scale
    assert FUNCTIONS[name](scaled, y) == pytest.approx(expected, abs=1e-12)
    if 1e-30 < scale < 1e30:
        assert FUNCTIONS[name](scaled.astype(np.float32), y) == pytest.approx(expected, abs=1e-6)
        matrix = similarity_matrix({"x": scaled, "y": y}, measure=name)
        assert matrix.values[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("offset", [100, 1e3, 1e4])
def test_offset_changes_nothing(name, offset):
    x, y = layers(60, (30, 80)).values()
    moved = x.astype(np.float64) + offset
    expected = FUNCTIONS[name](x, y)
    assert FUNCTIONS[name](moved, y) == pytest.approx(expected, abs=1e-9)
    # In float32 the offset itself rounds the data away: what is left of it is scored right.
    kept = moved.astype(np.float32)
    rounded = FUNCTIONS[name](kept.astype(np.float64) - offset, y)
    assert FUNCTIONS[name](kept, y) == pytest.approx(rounded, abs=1e-9)
    matrix = similarity_matrix({"x": kept, "y": y}, measure=name)
    assert matrix.values[0, 1] == pytest.approx(rounded, abs=1e-6)


def test_debiased_stays_at_zero_where_units_outnumber_probes():
    values = [debiased_cka(gaussian(200, 4000, s), gaussian(200, 4000, s + 50)) for s in range(4)]
    assert abs(np.mean(values)) < 0.01
    assert linear_cka(gaussian(200, 4000, 1), gaussian(200, 4000, 2)) > 0.9


def test_debiased_is_the_cosine_and_not_a_root_of_a_negative():
    values = [debiased_cka(gaussian(12, 3, s), gaussian(12, 3, s + 500)) for s in range(60)]
    assert np.isfinite(values).all()
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1, 1e4, 1e20])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_the_float32_path_equals_the_float64_path(scale, offset):
    x, y = (gaussian(700, 20, s) @ gaussian(20, 1600, 9) for s in (0, 1))
    a = {"x": ((x + offset) * scale).astype(np.float32), "y": (x + 2 * y).astype(np.float32)}
    for name in ("linear_cka", "debiased_cka"):
        matrix = similarity_matrix(a, measure=name)
        assert matrix.attrs["plan"].startswith("vectors")
        assert matrix.item(0, 1) == pytest.approx(FUNCTIONS[name](a["x"], a["y"]), abs=1e-6)


def test_the_float32_path_sees_constants_and_infinities():
    constant = np.full((700, 1600), 0.1, np.float32)
    with pytest.warns(UserWarning, match="constant"):
        matrix = similarity_matrix({"x": constant, "y": gaussian(700, 3)})
    assert np.isnan(matrix.item(0, 1))
    constant[5, 6] = np.inf
    with pytest.raises(InputError, match=r"the first \(inf\) at probe 5, unit 6"):
        centre_single(torch.from_numpy(constant))


@pytest.mark.parametrize("name", ["linear_cka", "debiased_cka", "procrustes_similarity"])
@pytest.mark.parametrize("constant", [1e16, 1e300, -3e9])
def test_a_constant_column_changes_nothing_however_large(name, constant):
    x, y = gaussian(60, 3), gaussian(60, 4, 1)
    beside = np.hstack([np.full((60, 1), constant), x])
    function, expected = FUNCTIONS[name], FUNCTIONS[name](x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no digits are lost: the constant has none to lose
        assert function(beside, y) == pytest.approx(expected, abs=1e-12)
        found = similarity_matrix({"x": beside}, {"y": y}, name)
    assert found.item() == pytest.approx(expected, abs=1e-9)

"""One nuclear norm, whatever form a layer takes: against float64 singular values of XᵀY."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
import torch
from hypothesis import given, settings, strategies as st
from synthetic import gaussian, rotation

from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.factors import factorise, log_norm
from stratigraph.similarity.procrustes import (
    PROCRUSTES_SIMILARITY,
    bracket,
    nuclear_norm_within,
    procrustes_similarity,
)
from stratigraph.similarity.shape import ANGULAR_SHAPE_DISTANCE, SIZE_AND_SHAPE_DISTANCE

CERTAIN = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PROBES = 30


@st.composite
def representation(draw):
    """30 probes of any width, spectrum and rank, with repeated, dead, one-hot and shifted units."""
    p = draw(st.sampled_from([1, 2, 7, 28, 29, 30, 31, 45, 90]))
    x = gaussian(PROBES, p, draw(st.integers(0, 10_000)))
    kind = draw(st.sampled_from(["power", "geometric", "rank", "repeated", "dead", "one-hot"]))
    if kind == "power":
        x = x * np.arange(1, p + 1) ** -draw(st.floats(0, 6))
    elif kind == "geometric":  # a spectrum that falls to where rounding is, in no order
        u, _, v = np.linalg.svd(x, full_matrices=False)
        x = (u * 10.0 ** -np.linspace(0, draw(st.floats(0, 16)), len(v))) @ v
    elif kind == "rank":
        x = x[:, :3] @ gaussian(min(p, 3), p + 2, 1)
    elif kind == "repeated":
        x = np.concatenate([x, x, x[:, :1]], axis=1)
    elif kind == "dead":
        x = np.concatenate([np.ones((PROBES, 2)), x, np.zeros((PROBES, 1))], axis=1)
    elif kind == "one-hot":
        x = np.eye(p + 1)[np.arange(PROBES) % (p + 1)]
    return x * 10.0 ** draw(st.sampled_from([-20, -3, 0, 20])), draw(st.sampled_from([0, 1e4]))


@CERTAIN
@given(a=representation(), b=representation(), tolerance=st.sampled_from([1e-1, 1e-3, 1e-6]))
def test_equals_the_singular_values(a, b, tolerance):
    (x, up), (y, _) = a, b
    exact = min(textbook.procrustes_similarity(x, y), 1.0)
    assert procrustes_similarity(x, y) == pytest.approx(exact, abs=1e-6)
    assert procrustes_similarity(y, x) == pytest.approx(exact, abs=1e-6)
    shifted = x / np.abs(x).max() + up
    assert procrustes_similarity(shifted, y) == pytest.approx(exact, abs=1e-6)
    sides = [factorise(torch.from_numpy(z), tolerance) for z in (x, y)]
    low, high, *_ = bracket(*sides, tolerance)
    assert low <= exact + 1e-9
    assert exact <= high + 1e-9
    assert high - low <= tolerance


@CERTAIN
@given(a=representation())
def test_a_copy_scores_one(a):
    x, _ = a
    assert abs(procrustes_similarity(x, x.copy()) - 1) < 1e-10
    turned = procrustes_similarity(x, x @ rotation(x.shape[1]))
    assert turned == pytest.approx(1, abs=1e-6)


def spectrum(n: int, p: int, decay: float, seed: int) -> np.ndarray:
    """Singular values k^−decay, with directions that no axis has anything to do with."""
    k = min(n, p)
    left = np.linalg.qr(gaussian(n, k, seed))[0]
    right = np.linalg.qr(gaussian(p, k, seed + 1))[0]
    return (left * np.arange(1.0, k + 1) ** -decay) @ right.T


@pytest.mark.parametrize("decay", [0.5, 1, 2, 4])
@pytest.mark.parametrize(("p", "q"), [(250, 300), (250, 80), (60, 80), (120, 120)])
def test_spectra_that_decay_without_order(p, q, decay):
    """Many tiny singular values, whose squares are below rounding in the Gram matrix."""
    x, y = spectrum(120, p, decay, 0), spectrum(120, q, 4 - decay, 5)
    near = x + 1e-6 * spectrum(120, p, 0, 7)
    for left, right in ((x, y), (x, near), (x, x @ rotation(p))):
        exact = min(textbook.procrustes_similarity(left, right), 1.0)
        assert procrustes_similarity(left, right) == pytest.approx(exact, abs=2e-7)


def test_singular_values_where_the_gram_matrix_hides_them(monkeypatch):
    """One direction in common and ninety in none: zeros, of which rounding makes 1e-8 each."""
    calls = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *a, **k: calls.append(1) or svd(*a, **k))
    basis = np.linalg.qr(textbook.centred(gaussian(200, 181)))[0]
    sides = [
        np.concatenate([3 * basis[:, :1], basis[:, cut]], axis=1) @ rotation(91, seed)
        for seed, cut in ((1, np.s_[1:91]), (2, np.s_[91:]))
    ]
    x, y = (PROCRUSTES_SIMILARITY.prepare(torch.from_numpy(side)) for side in sides)
    found = PROCRUSTES_SIMILARITY.compare(x, y)
    assert calls
    assert found == pytest.approx(9 / (9 + 90), abs=1e-12)


def wide(decay: float, seed: int = 0) -> np.ndarray:
    x = np.maximum(gaussian(200, 1500, seed) + 0.5 * gaussian(200, 1, 9), 0)
    return (x * np.arange(1.0, 1501) ** -decay).astype(np.float32)


def test_float32_products_where_they_are_safe():
    """Flat layers are multiplied as they are; what would lose digits is not."""
    flat, steep, shifted = wide(0), wide(2), wide(0) + np.float32(100)
    single = [factorise(torch.from_numpy(x), single=True) for x in (flat, steep, shifted)]
    double = [factorise(torch.from_numpy(x)) for x in (flat, steep, shifted)]
    same = [torch.equal(s.parts[0], d.parts[0]) for s, d in zip(single, double, strict=True)]
    assert same == [False, True, True]
    assert log_norm(single[0]) == pytest.approx(log_norm(double[0]), abs=1e-6)
    other = wide(0.2, 7)[:, :220]
    for x in (flat, steep, shifted):
        exact = textbook.procrustes_similarity(x, other)
        assert procrustes_similarity(x, other) == pytest.approx(exact, abs=1e-7)
    assert abs(procrustes_similarity(flat, flat.copy()) - 1) < 1e-10
    with np.errstate(all="raise"):
        assert procrustes_similarity(1e30 * flat, other) == pytest.approx(
            procrustes_similarity(flat, other), abs=1e-7
        )


def test_pairs_with_itself_are_not_computed(monkeypatch):
    import stratigraph.similarity.procrustes as module

    monkeypatch.setattr(module, "_whole_norm", None)
    monkeypatch.setattr(module, "_nuclear_norm", None)
    found = similarity_matrix({"x": gaussian(20, 30)}, measure="procrustes_similarity")
    assert found.to_numpy().tolist() == [[1.0]]


def test_columns_are_cut_where_few_suffice():
    x, y = (spectrum(200, 150, 3, seed) for seed in (0, 5))
    sides = [factorise(torch.from_numpy(z), 1e-2) for z in (x, y)]
    value, gap, r, s = nuclear_norm_within(*sides, 1e-2)
    assert max(r, s) < 60
    exact = textbook.procrustes_similarity(x, y)
    assert value <= exact + 1e-12
    assert exact <= value + gap <= value + 1e-2


def test_distances_are_not_blurred_by_the_gap_of_an_exact_score():
    """arccos turns an error of 1e-6 near 1 into an angle of 1e-3."""
    x = spectrum(60, 50, 2, 0)
    y = x + 1e-6 * spectrum(60, 50, 0, 3)
    for measure in (ANGULAR_SHAPE_DISTANCE, SIZE_AND_SHAPE_DISTANCE):
        sides = [measure.prepare(torch.from_numpy(z)) for z in (x, y)]
        assert measure.compare(*sides) < 2e-5
        assert measure.compare(sides[0], sides[0]) == 0.0


@pytest.mark.parametrize(("p", "decay"), [(5, 8), (40, 4), (120, 2), (150, 1)])
@pytest.mark.parametrize("apart", [0.0, 1e-3])
def test_a_small_angle_has_its_digits_whatever_the_spectrum(p, decay, apart):
    sizes = 10.0 ** (-decay * np.arange(p) / (p - 1))
    x = gaussian(120, p, seed=1) * sizes
    y = x @ rotation(p, seed=2) + apart * gaussian(120, p, seed=3) / 11
    f, g = (textbook.centred(side) / np.linalg.norm(textbook.centred(side)) for side in (x, y))
    u, _, vt = np.linalg.svd(f.T @ g)
    angle = 2 * np.arcsin(np.linalg.norm(f @ (u @ vt) - g) / 2)  # no arc cosine near 1

    found = similarity_matrix({"x": x}, {"y": y}, ANGULAR_SHAPE_DISTANCE)

    assert found.values.item() == pytest.approx(angle, abs=5e-7)

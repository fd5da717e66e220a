"""CKA of layers of which a sample of the units was read: unbiased, and what has no score."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import textbook
import torch

from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.cka import debiased_cka
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.sampled_cka import _mean, _of_units, feature_corrected_cka


def layers(n: int, widths: tuple[int, ...], seed: int) -> list[np.ndarray]:
    """Layers that share ten causes, each unit with noise of its own."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 10))
    return [causes @ rng.normal(size=(10, p)) / 3 + rng.normal(size=(n, p)) for p in widths]


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """The paper's estimator unit by unit: units of the same place left out where widths agree."""

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        pairs = itertools.product(range(a.shape[1]), range(b.shape[1]))
        kernels = [[np.outer(u, u) for u in (m - m.mean(0)).T] for m in (a, b)]
        paired = a.shape[1] == b.shape[1]
        return np.mean(
            [
                textbook.hsic_unbiased(kernels[0][i], kernels[1][j])
                for i, j in pairs
                if not (paired and i == j)
            ]
        )

    return mean(x, y) / math.sqrt(mean(x, x) * mean(y, y))


@pytest.mark.parametrize("widths", [(8, 8), (8, 6), (30, 30), (30, 8)])
def test_equals_the_definition(widths):
    x, y = layers(20, widths, 0)
    assert feature_corrected_cka(x, y) == pytest.approx(by_definition(x, y), rel=1e-9)
    assert feature_corrected_cka(x + 1e4, 1e-20 * y) == pytest.approx(by_definition(x, y), rel=1e-7)


@pytest.mark.parametrize(("paired", "widths"), [(True, (7, 7)), (False, (5, 5)), (False, (5, 4))])
def test_each_mean_is_unbiased_exactly(paired, widths):
    # Over every sample of 2 of the units the estimate of ⟨K, L⟩ averages to that of all of them.
    x, y = (torch.from_numpy(m - m.mean(0)) for m in layers(12, widths, 1))
    y = x + 0.5 * y if paired else y

    def product(a, b):
        sides = ((x[:, a], widths[0]), (y[:, b], widths[1]))
        return _mean(*(_of_units(units, total) for units, total in sides))

    # Of units that are not the same in both, no order may make them so.
    samples, others = (list(map(list, itertools.permutations(range(p), 2))) for p in widths)
    pairs = zip(samples, samples, strict=True) if paired else itertools.product(samples, others)
    found = [product(a, b) for a, b in pairs]
    kernels = [[torch.outer(u, u).numpy() for u in m.T] for m in (x, y)]
    whole = [textbook.hsic_unbiased(k, m) for k, m in itertools.product(*kernels)]
    assert np.mean(found) == pytest.approx(12 * 9 * np.mean(whole), rel=1e-9)
    assert product(slice(None), slice(None)) == pytest.approx(12 * 9 * np.mean(whole), rel=1e-9)


def test_a_sample_scores_as_the_whole_layer_and_plain_cka_does_not():
    x, y = layers(100, (2000, 2000), 2)
    rng = np.random.default_rng(0)
    whole, plain, corrected = debiased_cka(x, y), [], []
    for _ in range(60):
        a, b = (m[:, rng.choice(2000, 20, replace=False)] for m in (x, y))
        plain.append(debiased_cka(a, b))
        corrected.append(feature_corrected_cka(a, b, units=(2000, 2000)))
    assert np.mean(corrected) == pytest.approx(whole, abs=0.05)
    assert whole - np.mean(plain) > 0.2


def test_the_same_units_of_two_snapshots():
    # Read at both, a unit is as like itself in ⟨K, L⟩ as in the norms: only together are they 1.
    x, noise = layers(100, (2000, 2000), 3)
    later = x + 0.5 * noise
    rng = np.random.default_rng(0)
    chosen = [rng.choice(2000, 20, replace=False) for _ in range(60)]
    found = [feature_corrected_cka(x[:, a], later[:, a], units=(2000, 2000)) for a in chosen]
    whole = debiased_cka(x, later)
    assert np.mean(found) == pytest.approx(whole, abs=0.03)
    plain = np.mean([debiased_cka(x[:, a], later[:, a]) for a in chosen])
    assert abs(plain - whole) > 0.05
    assert feature_corrected_cka(x, x) == pytest.approx(1, abs=1e-12)


def test_of_all_units_it_is_debiased_cka():
    for widths in ((8, 8), (8, 5), (60, 60), (1, 8)):
        x, y = layers(30, widths, 4)
        assert feature_corrected_cka(x, y, units=widths) == pytest.approx(
            debiased_cka(x, y), abs=1e-12
        )


def test_what_has_no_score():
    rng = np.random.default_rng(0)
    x, y = layers(50, (8, 8), 5)
    with pytest.warns(UndefinedWarning, match="a single unit: nothing says"):
        assert math.isnan(feature_corrected_cka(x[:, :1], y))
    with pytest.warns(UndefinedWarning, match="constant"):
        assert math.isnan(feature_corrected_cka(np.ones_like(x), y))
    apart = np.linalg.qr(rng.normal(size=(50, 9)))[0]
    apart -= apart.mean(0)
    with pytest.warns(UndefinedWarning, match="without anything that its units share"):
        assert math.isnan(feature_corrected_cka(apart, y))
    corners = np.eye(50) @ np.linalg.qr(rng.normal(size=(50, 50)))[0] + 4  # of a simplex, turned
    for dtype in (np.float32, np.float64):
        with pytest.warns(UndefinedWarning, match="without anything that its units share"):
            assert math.isnan(feature_corrected_cka(corners.astype(dtype), y, units=(50, 8)))
    with pytest.raises(InputError, match="units: expected at least the 8 that were read, got 5"):
        feature_corrected_cka(x, y, units=(5, 8))
    with pytest.raises(InputError, match="units: expected the total of each layer"):
        feature_corrected_cka(x, y, units=(8,))


def test_all_pairs_are_the_pairs():
    a = dict(zip("xyz", layers(20, (6, 6, 40), 6), strict=True))
    found = similarity_matrix(a, measure="feature_corrected_cka")
    for left, right in itertools.product(a, a):
        expected = feature_corrected_cka(a[left], a[right])
        assert float(found.sel(x=left, y=right)) == pytest.approx(expected, abs=1e-12)

"""A certified interval holds the exact value, always, and is as narrow as was asked."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
import torch
from hypothesis import given, settings, strategies as st
from synthetic import gaussian, layers

from stratigraph.engine import LocalEngine
from stratigraph.errors import InputError
from stratigraph.pairs.certified import certified_matrix, certified_procrustes
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.factors import as_columns, factorise
from stratigraph.similarity.measure import Prepared, UndefinedWarning
from stratigraph.similarity.procrustes import bracket
from stratigraph.similarity.reduction import reduce_units


@st.composite
def related(draw):
    """Two representations of 30 probes that share a direction, of any decay."""
    p, q = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    decay, rng = draw(st.floats(0, 3)), np.random.default_rng(draw(st.integers(0, 10_000)))
    x = rng.normal(size=(30, p)) * np.arange(1, p + 1) ** -decay
    return x, rng.normal(size=(30, q)) * np.arange(1, q + 1) ** -decay + 0.5 * x[:, :1]


TOLERANCES = st.sampled_from([0.3, 0.1, 1e-2, 1e-3, 1e-5])
PROCRUSTES = "procrustes_similarity"
CERTAIN = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@CERTAIN
@given(pair=related(), tolerance=TOLERANCES)
def test_the_interval_holds_the_exact_value(pair, tolerance):
    x, y = pair
    exact = min(textbook.procrustes_similarity(x, y), 1.0)
    found = certified_procrustes(x, y, tolerance)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= tolerance + 1e-8


def test_fewer_directions_where_spectra_decay():
    x, y = (gaussian(200, 150, s) * np.arange(1, 151) ** -1.5 for s in (0, 1))
    rough, fine = certified_procrustes(x, y, 0.05), certified_procrustes(x, y, 1e-4)
    assert rough.rank_x < fine.rank_x <= 150
    assert rough.lower <= fine.upper
    assert fine.lower <= rough.upper


def test_matrix():
    a = layers(50, (10, 30, 80))
    found = certified_matrix(a, tolerance=1e-2)
    for i, x in enumerate(a.values()):
        for j, y in enumerate(a.values()):
            exact = min(textbook.procrustes_similarity(x, y), 1.0)
            assert float(found.lower[i, j]) <= exact <= float(found.upper[i, j])
            assert abs(float(found["value"][i, j]) - exact) <= 5e-3 + 1e-8
    with pytest.warns(UndefinedWarning, match="constant"):
        dead = certified_matrix({"x": a["layer0"], "dead": np.ones((50, 3))})
    assert np.isnan(dead["value"].to_numpy()[1]).all()
    with pytest.raises(InputError, match="tolerance: expected a number from 1e-06 to 1"):
        certified_matrix(a, tolerance=0)
    with pytest.raises(InputError, match="expected the same 50 probes"):
        certified_matrix(a, {"y": gaussian(20, 3)})


def test_tolerance_and_precision_are_checked():
    a = layers(40, (10, 30))
    with pytest.raises(InputError, match="rsa_pearson has no certified form"):
        similarity_matrix(a, measure="rsa_pearson", tolerance=0.1)
    for measure in ("debiased_cka", "linear_cka"):
        with pytest.raises(InputError, match=f"exact {measure} is cheaper .* leave the tolerance"):
            similarity_matrix(a, measure=measure, tolerance=0.1)
    with pytest.raises(InputError, match="expected one of them"):
        similarity_matrix(a, tolerance=0.1, precision=0.1)
    with pytest.raises(InputError, match="only debiased_cka can be streamed"):
        similarity_matrix(a, measure="linear_cka", precision=0.1)


def test_precision_stops_when_the_interval_is_narrow():
    x = {"x": gaussian(20_000, 5, 0)}
    x["y"] = x["x"] * np.arange(1, 6)
    found = similarity_matrix(x, precision=0.05)
    assert float((found.upper - found.lower).max()) <= 0.1
    read = int(found.attrs["plan"].split()[1])
    assert 4_000 <= read < 20_000
    exact = similarity_matrix(x)
    assert bool(((found.lower <= exact) & (exact <= found.upper))[0, 1])


@st.composite
def adversarial(draw):
    """Pairs on which a bound breaks if its derivation has a hole.

    Flat and clustered spectra, columns that repeat or nearly do, rank one, a pair that is nearly
    the same, probes that are nearly equidistant, scales that underflow when squared.
    """
    n, p = draw(st.integers(5, 40)), draw(st.integers(1, 50))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    x = rng.normal(size=(n, p))
    kind = draw(st.sampled_from(["flat", "steps", "repeated", "near", "one", "equidistant"]))
    if kind == "flat":
        x = np.linalg.qr(rng.normal(size=(n, n)))[0][:, : min(p, n)]
    elif kind == "steps":
        x = x * 10.0 ** -rng.integers(0, 9, size=p)
    elif kind == "repeated":
        x = np.concatenate([x, x + 1e-9 * rng.normal(size=(n, p))], axis=1)
    elif kind == "one":
        x = np.outer(rng.normal(size=n), rng.normal(size=p)) + 1e-7 * x
    elif kind == "equidistant":
        x = np.eye(n) + 1e-3 * rng.normal(size=(n, n))
    y = rng.normal(size=(n, draw(st.integers(1, 50))))
    y = x + 10.0 ** -draw(st.integers(0, 8)) * rng.normal(size=x.shape) if kind == "near" else y
    return x * 10.0 ** draw(st.integers(-12, 12)), y + draw(st.sampled_from([0, 1e4]))


@CERTAIN
@given(pair=adversarial(), tolerance=st.sampled_from([0.5, 0.05, 1e-3, 1e-6]))
def test_adversarial_pairs_stay_inside(pair, tolerance):
    x, y = pair
    exact = min(textbook.procrustes_similarity(x, y), 1.0)
    found = certified_procrustes(x, y, tolerance)
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert found.upper - found.lower <= tolerance


@CERTAIN
@given(pair=related(), turn=st.floats(0, 0.7), tolerance=TOLERANCES)
def test_the_bound_does_not_need_orthogonal_columns(pair, turn, tolerance):
    """Columns turned into each other: far from principal, and still inside."""
    x, y = pair
    exact = min(textbook.procrustes_similarity(x, y), 1.0)
    sides = []
    for matrix in (x, y):
        f = textbook.principal(matrix)
        if f.shape[1] > 1:  # a rotation of two columns keeps FFᵀ
            c, s = np.cos(turn), np.sin(turn)
            f[:, :2] = f[:, :2] @ np.array([[c, -s], [s, c]])
        parts = map(torch.from_numpy, as_columns(f, f.T @ f))
        sides.append(Prepared(len(x), "columns", tuple(parts)))
    low, high, *_ = bracket(*sides, tolerance)
    assert low <= exact <= high
    assert high - low <= tolerance


def test_stored_coordinates_are_taken_as_they_are(monkeypatch):
    """Of a wide layer they are principal but for rounding: no second decomposition."""
    import stratigraph.similarity.factors as module

    layer = gaussian(60, 90) * np.arange(1, 91) ** -2.5
    x = torch.from_numpy(reduce_units(layer).coordinates[:-1])
    monkeypatch.setattr(module, "_principal", None)
    found = factorise(x, 1e-2)
    assert found.form == "columns"
    assert 0 < float(found.parts[3][-1]) < 1e-4  # float32 left them a little askew


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    paths = []
    for seed in range(40):
        x = gaussian(50, (20, 70, 8)[seed % 3], seed) * 2.0 ** -np.arange((20, 70, 8)[seed % 3])
        x = np.ones((50, 3)) if seed == 5 else x + 0.05 * gaussian(50, x.shape[1], seed + 99)
        paths.append(folder / f"{seed}.npy")
        np.save(paths[-1], reduce_units(x).coordinates)
    return paths


def test_stored_pairs_are_certified_with_the_same_bits_for_any_workers(files, tmp_path):
    exact = compare_stored(files, PROCRUSTES).values
    one = compare_stored(files, PROCRUSTES, tolerance=0.02)
    low, high = one.scores.all("lower"), one.scores.all("upper")
    known = np.isfinite(exact)
    assert known.sum() == 39**2
    assert (low[known] <= exact[known] + 1e-6).all()
    assert (exact[known] <= high[known] + 1e-6).all()
    assert (high - low)[known].max() <= 0.02
    assert np.array_equal(np.isnan(one.values), ~known)
    assert np.array_equal(one.values, one.values.T, equal_nan=True)
    assert abs(np.diag(one.values)[known.diagonal()] - 1).max() < 1e-10
    assert "constant" in one.reasons[5]
    assert one.plan.startswith("certified")
    two = compare_stored(files, PROCRUSTES, tolerance=0.02, engine=LocalEngine(2))
    kept = compare_stored(files, PROCRUSTES, tolerance=0.02, scratch=tmp_path)
    for other in (two, kept):
        for part in ("values", "lower", "upper", "rank_x", "rank_y"):
            assert np.array_equal(one.scores.all(part), other.scores.all(part), equal_nan=True)
    turned = one.scores.all("rank_x").T
    assert np.array_equal(turned, one.scores.all("rank_y"), equal_nan=True)
    rows = kept.scores.rows(np.array([7, 2]), "upper")
    assert np.array_equal(rows, high[[7, 2]], equal_nan=True)


def test_only_wanted_pairs_are_certified(files):
    wanted = np.zeros((40, 40), bool)
    wanted[3, 1] = wanted[2, 2] = True
    found = compare_stored(files, PROCRUSTES, wanted=wanted, tolerance=0.1).values
    assert set(map(tuple, np.argwhere(np.isfinite(found)))) == {(1, 3), (3, 1), (2, 2)}


def test_stored_tolerances_are_checked(files):
    with pytest.raises(InputError, match="expected a number from 1e-06 to 1"):
        compare_stored(files, PROCRUSTES, tolerance=True)
    with pytest.raises(InputError, match="exact debiased_cka is cheaper"):
        compare_stored(files, tolerance=0.1)
    with pytest.raises(InputError, match="rsa_pearson has no certified form"):
        compare_stored(files, "rsa_pearson", tolerance=0.1)

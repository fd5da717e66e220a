"""The labelled result, the stored files, and the promise that workers do not change a bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import textbook
from synthetic import gaussian, layers

from stratigraph.engine import LocalEngine
from stratigraph.errors import DataError, InputError
from stratigraph.pairs.by_vectors import OutOfCore
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.in_memory import InMemory
from stratigraph.pairs.matrix import explain, similarity_matrix
from stratigraph.pairs.pair_by_pair import PairByPair
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.reduction import reduce_units

MEASURES = ("linear_cka", "debiased_cka", "procrustes_similarity")


def stored(folder, representations):
    paths = []
    for name, x in representations.items():
        paths.append(folder / f"{name}.npy")
        np.save(paths[-1], reduce_units(x).coordinates)
    return paths


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("widths", [(4, 3, 5), (20, 70, 130)], ids=["narrow", "wide"])
def test_matrix_equals_the_textbook(measure, widths):
    a, b = layers(64, widths), layers(64, widths[:2], seed=1)
    for other in (None, b):
        matrix = similarity_matrix(a, other, measure=measure)
        columns = a if other is None else other
        assert matrix.dims == ("x", "y")
        assert list(matrix.x.values) == list(a)
        assert list(matrix.y.values) == list(columns)
        expected = [
            [getattr(textbook, measure)(x, y) for y in columns.values()] for x in a.values()
        ]
        np.testing.assert_allclose(matrix.values, expected, atol=1e-7)
        assert matrix.attrs["measure"] == measure
        assert matrix.attrs["plan"]
    assert abs(np.diag(similarity_matrix(a, measure=measure).values) - 1).max() < 1e-10


def test_both_ways_agree():
    wide, narrow = layers(400, (300, 500)), layers(400, (3, 5))
    assert similarity_matrix(wide).attrs["plan"].startswith("vectors")
    assert similarity_matrix(narrow).attrs["plan"].startswith("features")


def test_matrix_says_why_a_score_is_missing():
    a = {"alive": gaussian(20, 4), "dead": np.ones((20, 9), np.float32)}
    for measure in MEASURES:
        with pytest.warns(UndefinedWarning, match=r"for 'dead', which is constant"):
            matrix = similarity_matrix(a, measure=measure)
        assert np.isnan(matrix.values[1]).all()
        assert np.isnan(matrix.values[:, 1]).all()
        assert matrix.values[0, 0] == pytest.approx(1)
        assert json.loads(matrix.attrs["reasons"])["dead"].startswith("constant")
    with pytest.warns(UndefinedWarning):
        assert np.isnan(similarity_matrix({"dead": a["dead"]}).values).all()


def test_biased_scores_are_flagged_where_units_outnumber_probes():
    a = {"wide": gaussian(20, 40), "narrow": gaussian(20, 4)}
    notes = json.loads(similarity_matrix(a, measure="linear_cka").attrs["notes"])
    assert list(notes) == ["wide"]
    assert "40 units and only 20 probes" in notes["wide"]
    assert similarity_matrix(a).attrs["notes"] == "{}"


def test_matrix_survives_netcdf(tmp_path):
    import xarray

    matrix = similarity_matrix(layers(30, (4, 5)))
    matrix.to_netcdf(tmp_path / "m.nc", engine="h5netcdf")
    with xarray.open_dataarray(tmp_path / "m.nc", engine="h5netcdf") as again:
        xarray.testing.assert_identical(again.load(), matrix)


@pytest.mark.parametrize("p", [3, 40, 41, 400])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_reduction_keeps_every_inner_product(p, offset):
    x = (np.maximum(gaussian(40, 12) @ gaussian(12, p, 1), 0) + offset).astype(np.float32)
    found = reduce_units(x)
    assert found.coordinates.dtype == np.float32
    assert found.coordinates.shape[0] == 41
    assert found.coordinates.shape[1] <= min(p, 40)
    assert found.reason is None
    z = found.coordinates.astype(np.float64)
    exact = x.astype(np.float64)
    c = exact - exact.mean(0)
    np.testing.assert_allclose(z[:-1] @ z[:-1].T, c @ c.T, atol=1e-6 * np.square(c).sum(1).max())
    whole = z[:-1] + z[-1]
    np.testing.assert_allclose(
        whole @ whole.T, exact @ exact.T, atol=1e-6 * np.square(exact).sum(1).max()
    )
    again = reduce_units(x)
    assert np.array_equal(found.coordinates, again.coordinates)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_reduction_keeps_scale(scale):
    x = gaussian(30, 90) * scale
    z = reduce_units(x).coordinates.astype(np.float64)
    assert np.linalg.norm(z[:-1] + z[-1]) == pytest.approx(np.linalg.norm(x), rel=1e-6)
    with pytest.raises(InputError, match=r"the largest value is .*; expected 1e-32 to 1e\+37"):
        reduce_units(gaussian(30, 90) * 1e38)


def test_reduction_says_constant_and_not_finite(tmp_path):
    dead = reduce_units(np.full((20, 50), 3.0, np.float32))
    assert dead.reason is not None
    assert dead.reason.startswith("constant")
    assert np.linalg.norm(dead.coordinates[-1]) == pytest.approx(3 * 50**0.5)
    spoiled = gaussian(20, 50)
    spoiled[3, 4] = np.nan
    broken = reduce_units(spoiled)
    assert broken.reason == (
        "not finite: 1 of 1000 values are not finite, the first (nan) at probe 3, unit 4"
    )
    paths = []
    for name, reduction in (
        ("dead", dead),
        ("broken", broken),
        ("ok", reduce_units(gaussian(20, 9))),
    ):
        paths.append(tmp_path / f"{name}.npy")
        np.save(paths[-1], reduction.coordinates)
    for measure in MEASURES:
        found = compare_stored(paths, measure)
        assert found.reasons[0].startswith("constant")
        assert found.reasons[1].startswith("not finite")
        assert found.reasons[2] is None
        assert np.isnan(found.values).sum() == 8
        assert found.values[2, 2] == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_stored_equals_the_original(tmp_path, measure):
    originals = layers(50, (10, 49, 50, 51, 300))
    moved = {name: x + 100 for name, x in originals.items()}
    values = compare_stored(stored(tmp_path, moved), measure).values
    for i, x in enumerate(moved.values()):
        for j, y in enumerate(moved.values()):
            assert values[i, j] == pytest.approx(getattr(textbook, measure)(x, y), abs=1e-6)


@pytest.mark.parametrize("measure", ["debiased_cka", "procrustes_similarity"])
def test_workers_do_not_change_a_bit(tmp_path, measure):
    many = {
        f"{s}-{name}": x for s in range(9) for name, x in layers(40, (9, 60, 80, 20), s).items()
    }
    paths = stored(tmp_path, many)
    seen = []
    one = compare_stored(paths, measure, engine=LocalEngine(1), progress=lambda *d: seen.append(d))
    two = compare_stored(paths, measure, engine=LocalEngine(2))
    spilled = compare_stored(paths, measure, memory=0)
    assert np.array_equal(one.values, two.values)
    assert np.array_equal(one.values, spilled.values)
    assert np.array_equal(one.values, one.values.T)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("measure", MEASURES)
def test_only_wanted_pairs(tmp_path, measure):
    paths = stored(tmp_path, layers(40, (9, 60, 80, 20)))
    wanted = np.zeros((4, 4), bool)
    wanted[2, 0] = wanted[1, 1] = True
    whole = compare_stored(paths, measure).values
    some = compare_stored(paths, measure, wanted=wanted).values
    kept = wanted | wanted.T
    np.testing.assert_allclose(some[kept], whole[kept], atol=1e-12)
    assert np.isnan(some[~kept]).all()
    with pytest.raises(InputError, match=r"wanted: expected a boolean matrix of shape \(4, 4\)"):
        compare_stored(paths, measure, wanted=wanted[:2])


def test_stored_files_that_are_not_reductions(tmp_path):
    paths = stored(tmp_path, layers(40, (9, 60)))
    with pytest.raises(DataError, match=r"missing.npy: cannot be read as coordinates"):
        compare_stored([*paths, tmp_path / "missing.npy"])
    np.save(tmp_path / "other.npy", np.arange(3))
    with pytest.raises(DataError, match=r"other.npy: expected coordinates of floats"):
        read_coordinates(tmp_path / "other.npy")
    np.save(tmp_path / "short.npy", np.zeros((31, 3), np.float32))
    with pytest.raises(InputError, match=r"short.npy: expected 40 probes, .* got 30"):
        compare_stored([*paths, tmp_path / "short.npy"])
    with pytest.raises(InputError, match="at least one"):
        compare_stored([])


def test_the_planner_takes_the_cheaper_way_and_says_why():
    narrow, wide = explain(5000, [10] * 14), explain(1000, [4096] * 14, [8192] * 14)
    assert narrow.strategy == PairByPair("features")
    assert wide.strategy == InMemory()
    assert "in feature space" in str(wide)
    little = explain(1000, [4096] * 14, memory=1 << 20)
    assert little.strategy == OutOfCore()
    assert "scratch folder" in str(little)
    assert explain(1000, [4096] * 3, measure="procrustes").strategy == PairByPair()
    doubled = explain(1000, [8192] * 14, [16384] * 14)
    assert 1.9 < doubled.flops / wide.flops < 2.1

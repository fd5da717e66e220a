"""A certified interval holds the exact value, always, and is as narrow as was asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import textbook
from hypothesis import given, settings
from hypothesis import strategies as st
from representations import gaussian, layers

from stratigraph.errors import InputError
from stratigraph.similarity.certified import certified_matrix, certified_procrustes
from stratigraph.similarity.matrix import similarity_matrix
from stratigraph.similarity.measure import UndefinedWarning


@st.composite
def related(draw):
    """Two representations of 30 probes that share a direction, of any decay."""
    p, q = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    decay, rng = draw(st.floats(0, 3)), np.random.default_rng(draw(st.integers(0, 10_000)))
    x = rng.normal(size=(30, p)) * np.arange(1, p + 1) ** -decay
    return x, rng.normal(size=(30, q)) * np.arange(1, q + 1) ** -decay + 0.5 * x[:, :1]


TOLERANCES = st.sampled_from([0.3, 0.1, 1e-2, 1e-3, 1e-5])
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


@CERTAIN
@given(pair=related(), tolerance=TOLERANCES)
def test_the_interval_holds_the_exact_cka(pair, tolerance):
    x, y = pair
    for measure in ("linear_cka", "debiased_cka"):
        exact = min(getattr(textbook, measure)(x, y), 1.0)
        found = similarity_matrix({"x": x}, {"y": y}, measure, tolerance=tolerance)
        low, high = float(found.lower[0, 0]), float(found.upper[0, 0])
        assert low <= exact <= high
        assert high - low <= tolerance + 1e-8
        assert abs(float(found[0, 0]) - exact) <= tolerance / 2 + 1e-8


def test_few_directions_suffice_for_cka_and_are_said():
    a = {str(s): gaussian(200, 150, s) * np.arange(1, 151) ** -1.5 for s in range(70)}
    a["dead"] = np.ones((200, 3))
    with pytest.warns(UndefinedWarning, match="constant"):
        found = certified_matrix(a, measure="debiased_cka", tolerance=1e-2)
    assert float(found.rank_x.max()) < 40
    assert "leading directions" in found.attrs["plan"]
    assert "constant" in json.loads(found.attrs["reasons"])["dead"]
    assert found["value"].sel(x="dead").isnull().all()
    values = found["value"].to_numpy()[:70, :70]
    assert np.array_equal(values, values.T)
    exact = similarity_matrix({k: v for k, v in a.items() if k != "dead"}).to_numpy()
    assert np.abs(values - exact).max() <= 5e-3


def test_tolerance_and_precision_are_checked():
    a = layers(40, (10, 30))
    with pytest.raises(InputError, match="rsa_pearson has no certified form"):
        similarity_matrix(a, measure="rsa_pearson", tolerance=0.1)
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

"""A certified interval holds the exact value, always, and is as narrow as was asked."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
from hypothesis import given, settings
from hypothesis import strategies as st
from representations import gaussian, layers

from stratigraph.errors import InputError
from stratigraph.similarity.certified import certified_matrix, certified_procrustes
from stratigraph.similarity.measure import UndefinedWarning


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 10_000),
    p=st.integers(1, 60),
    q=st.integers(1, 60),
    decay=st.floats(0, 3),
    tolerance=st.sampled_from([0.3, 0.1, 1e-2, 1e-3, 1e-5]),
)
def test_the_interval_holds_the_exact_value(seed, p, q, decay, tolerance):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, p)) * np.arange(1, p + 1) ** -decay
    y = rng.normal(size=(30, q)) * np.arange(1, q + 1) ** -decay + 0.5 * x[:, :1]
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
    with pytest.raises(InputError, match="tolerance: expected a positive number"):
        certified_matrix(a, tolerance=0)
    with pytest.raises(InputError, match="expected the same probes"):
        certified_matrix(a, {"y": gaussian(20, 3)})

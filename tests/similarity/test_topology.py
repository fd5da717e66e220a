"""Representation topology divergence against what can be said of it in closed form."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from synthetic import gaussian

from stratigraph.errors import ConfigError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.topology import RTD, cross_barcode_sum, topology_divergence


def tree(distances: np.ndarray) -> float:
    """The length of the minimum spanning tree: the sum of all bars of H₀."""
    return float(minimum_spanning_tree(distances).sum())


@pytest.mark.parametrize("seed", range(3))
def test_against_a_point_it_is_the_length_of_the_spanning_tree(seed):
    """Where all probes are one, each edge of the tree closes the loop that its absence left."""
    w = cdist(*2 * [gaussian(25, 3, seed)])
    assert cross_barcode_sum(w, np.zeros_like(w)) == pytest.approx(tree(w), abs=1e-12)
    assert cross_barcode_sum(np.zeros_like(w), w) == 0


@pytest.mark.parametrize("seed", range(5))
def test_of_three_probes_it_is_what_the_union_saves_of_the_tree(seed):
    """Three points have no loop of their own, so the long exact sequence leaves H₀ alone."""
    w, v = (cdist(*2 * [gaussian(3, 2, 2 * seed + side)]) for side in (0, 1))
    saved = tree(w) - tree(np.minimum(w, v))
    assert cross_barcode_sum(w, v) == pytest.approx(saved, abs=1e-12)


def test_a_loop_that_only_the_other_has():
    """Probes all 3 apart, against a square of sides 1: its loop lasts from 1 to √2, the diagonal.

    Its three joins at 1 come at 3 for the first: bars of 2 each. The ranks add, by the long exact
    sequence H₁(w) → H₁(min) → H₁ → H₀(w) → H₀(min), so the lengths do.
    """
    w = 3 * (1 - np.eye(4))
    square = np.array([[0, 1, 2**0.5, 1], [1, 0, 1, 2**0.5], [2**0.5, 1, 0, 1], [1, 2**0.5, 1, 0]])
    assert cross_barcode_sum(w, square) == pytest.approx(3 * 2 + (2**0.5 - 1), abs=1e-12)


def test_the_definition_by_hand():
    x, y = gaussian(40, 4), gaussian(40, 6, 1)
    w, v = (cdist(a, a) for a in (x, y))
    w, v = w / np.quantile(w, 0.9), v / np.quantile(v, 0.9)
    expected = (cross_barcode_sum(w, v) + cross_barcode_sum(v, w)) / 2
    assert topology_divergence(x, y) == pytest.approx(expected, rel=1e-9)


def test_many_probes_are_dealt_into_batches():
    x, y = gaussian(401, 5), gaussian(401, 5, 1)
    prepared = RTD.prepare(torch.from_numpy(x))
    assert [len(part) for part in prepared.parts] == [134, 134, 133]
    each = [topology_divergence(x[i::3], y[i::3]) for i in range(3)]
    assert topology_divergence(x, y) == pytest.approx(np.mean(each), rel=1e-12)


def test_all_pairs_and_what_has_no_geometry():
    few = np.zeros((30, 2))
    few[0] = 1  # one probe apart from 29 that are one
    a = {"x": gaussian(30, 4), "y": gaussian(30, 3, 1), "few": few}
    with pytest.warns(UndefinedWarning, match="nine in ten distances"):
        found = similarity_matrix(a, measure="rtd")
    assert float(found[0, 1]) == pytest.approx(topology_divergence(a["x"], a["y"]), rel=1e-9)
    assert float(found[0, 0]) == 0
    assert found.sel(x="few").isnull().all()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gudhi.sklearn", None)
    with pytest.raises(ConfigError, match=r"gudhi, which is not installed; pip install 'stratigr"):
        topology_divergence(gaussian(10, 2), gaussian(10, 2, 1))

"""CKA of files that do not fit: every way gives the score of whole arrays, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import textbook
from synthetic import gaussian

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.similarity import inputs
from stratigraph.similarity.from_rows import cka_from_rows
from stratigraph.similarity.measure import PrecisionWarning, UndefinedWarning

N = 240
LAYERS = {
    "narrow": gaussian(N, 6),
    "offset": gaussian(N, 6) @ gaussian(6, 40, 1) + gaussian(N, 40, 2) + 50,
    "wide": (gaussian(N, 6) @ gaussian(6, 900, 3) + gaussian(N, 900, 4)).astype(np.float32),
}
TRUE = {
    True: [[textbook.debiased_cka(x, y) for y in LAYERS.values()] for x in LAYERS.values()],
    False: [[textbook.linear_cka(x, y) for y in LAYERS.values()] for x in LAYERS.values()],
}


def on_disk(folder, layers):
    held = {}
    for name, value in layers.items():
        np.save(folder / f"{name}.npy", value)
        held |= sg.load_representations(folder / f"{name}.npy")
    return held


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize(("memory", "way"), [(2**31, "sums|kernels"), (9_000_000, "kernels")])
def test_every_exact_way_is_the_textbook(debiased, memory, way, tmp_path):
    held = on_disk(tmp_path, LAYERS)
    found = cka_from_rows(held, None, debiased, memory)
    np.testing.assert_allclose(found.values, TRUE[debiased], atol=1e-6)
    assert found.plan.startswith("exact, from ")
    assert any(name in found.plan for name in way.split("|"))
    two = cka_from_rows(held, {"offset": held["offset"]}, debiased, memory)
    np.testing.assert_allclose(two.values[:, 0], np.array(TRUE[debiased])[:, 1], atol=1e-6)


def test_many_probes_of_narrow_layers_go_by_sums(tmp_path):
    layers = {name: LAYERS[name] for name in ("narrow", "offset")}
    found = cka_from_rows(on_disk(tmp_path, layers), None, True, 400_000)
    assert found.plan.startswith("exact, from sums over blocks of ")
    np.testing.assert_allclose(found.values, np.array(TRUE[True])[:2, :2], atol=1e-9)


def test_what_fits_in_no_way_is_estimated_with_an_interval(tmp_path):
    held = on_disk(tmp_path, LAYERS)
    found = cka_from_rows(held, None, True, 3_000_000)
    assert "random batches" in found.plan
    assert (found.lower[0, 1] <= TRUE[True][0][1] <= found.upper[0, 1]) or (
        abs(found.values[0, 1] - TRUE[True][0][1]) < 0.1
    )
    with pytest.raises(InputError, match="debiased_cka can be computed from random batches"):
        cka_from_rows(held, None, False, 3_000_000)
    with pytest.raises(InputError, match="do not fit in"):
        cka_from_rows(held, None, True, 100_000)


def test_order_labels_and_scale(tmp_path):
    """Rows in another order on the disk, huge and tiny numbers: the same score."""
    order = np.random.default_rng(1).permutation(N)
    names = np.arange(N)
    np.save(tmp_path / "a.npy", LAYERS["wide"].astype(float) * 1e150)
    np.save(tmp_path / "b.npy", LAYERS["offset"][order] * 1e-150)
    a = sg.load_representations(tmp_path / "a.npy", ids=names)
    b = sg.load_representations(tmp_path / "b.npy", ids=names[order])
    found = sg.similarity_matrix(a, b, memory=5_000_000)
    assert "kernels" in found.attrs["plan"]
    assert found.item() == pytest.approx(TRUE[True][2][1], abs=1e-6)


def test_reasons_and_holes(tmp_path):
    held = on_disk(tmp_path, {"even": np.eye(N), "dead": np.ones((N, 4)), "x": LAYERS["narrow"]})
    for memory in (2**31, 9_000_000):
        found = cka_from_rows(held, None, True, memory)
        assert found.reasons["dead"].startswith("constant")
        assert found.reasons["even"].startswith("equidistant")
        assert np.isnan(found.values).sum() == 8
        assert found.values[2, 2] == pytest.approx(1)
    holes = LAYERS["offset"].copy()
    holes[77, 5] = np.nan
    with pytest.raises(InputError, match=r"a\['holes'\]: .* but 1 of 9600 .* probe 77, unit 5"):
        cka_from_rows(on_disk(tmp_path, {"holes": holes}), None, True, 2**31)


@pytest.mark.parametrize(
    ("memory", "way"), [(600_000, "sums"), (6_000_000, "kernels"), (4_000_000, "random")]
)
def test_one_with_holes_is_nan_beside_the_others_as_in_memory(memory, way, tmp_path):
    holes = LAYERS["wide"].astype(float)
    holes[[200, 3, 77], [5, 30, 5]] = np.nan, np.inf, np.nan
    layers = {"narrow": LAYERS["narrow"], "offset": LAYERS["offset"]}
    bad = {"holes": holes[:, :40] if way == "sums" else holes}
    for a, b in (({**layers, **bad}, None), (layers, {**bad, **layers})):
        held = [None if side is None else on_disk(tmp_path, side) for side in (a, b)]
        with pytest.warns(UndefinedWarning, match="'holes'"):
            whole = sg.similarity_matrix(a, b)
            parts = sg.similarity_matrix(*held, memory=memory)
        assert way in parts.attrs["plan"]
        assert parts.attrs["reasons"] == whole.attrs["reasons"]
        there = np.isfinite(whole.values)
        assert np.array_equal(there, np.isfinite(parts.values))
        near = 0.2 if way == "random" else 1e-6
        np.testing.assert_allclose(parts.values[there], whole.values[there], atol=near)


def test_pairs_and_matrices_go_by_parts_where_they_are_large(tmp_path, monkeypatch):
    held = on_disk(tmp_path, LAYERS)
    with pytest.raises(InputError, match="mutual_knn needs every number at once"):
        sg.similarity_matrix(held, measure="mutual_knn", memory=1_000_000)
    found = sg.similarity_matrix(held, memory=9_000_000)
    np.testing.assert_allclose(found, TRUE[True], atol=1e-6)
    assert json.loads(found.attrs["reasons"]) == {}
    small = sg.similarity_matrix(held, measure="procrustes_similarity")
    whole = sg.similarity_matrix(LAYERS, measure="procrustes_similarity")
    np.testing.assert_allclose(small, whole, atol=1e-9)
    monkeypatch.setattr("stratigraph.similarity.measure.MEMORY", 9_000_000)
    score = sg.debiased_cka(held["offset"], held["wide"])
    assert score == pytest.approx(TRUE[True][1][2], abs=1e-6)
    monkeypatch.setattr("stratigraph.similarity.measure.MEMORY", 3_000_000)
    with pytest.warns(PrecisionWarning, match="estimated from"):
        sg.debiased_cka(held["offset"], held["wide"])
    assert inputs.MEMORY == 2 << 30


BOUNDED = """
import resource
import numpy as np
import stratigraph as sg
sg.similarity_matrix({"x": np.arange(9.0)[:, None], "y": np.arange(9.0)[:, None] ** 2})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for shape in ("long", "wide"):
    held = {name: sg.load_representations(f"{name}-{shape}.npy") for name in "ab"}
    held = {name: next(iter(one.values())) for name, one in held.items()}
    found = sg.similarity_matrix(held, memory=16 << 20)
    print(found.item(0, 1), found.attrs["plan"].split()[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_is_bounded(tmp_path):
    """Pairs of files of 32 MB with 16 MB allowed, in a process of its own."""
    for name, seed in (("a", 0), ("b", 1)):
        for shape, size in (("long", (100_000, 80)), ("wide", (400, 20_000))):
            numbers = np.random.default_rng(seed).random(size, np.float32)
            np.save(tmp_path / f"{name}-{shape}.npy", numbers)
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *scores, grown = done.stdout.splitlines()
    for line, way in zip(scores, ("sums", "kernels"), strict=True):
        assert abs(float(line.split()[0])) < 0.1
        assert line.split()[1] == way
    assert int(grown) < 32_000  # KB

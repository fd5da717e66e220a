"""Intervals and nulls as arguments, and what comes back: one Dataset, mappings for what is told."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray
from torch import nn

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.pairs.intervals import interval_matrix
from stratigraph.similarity.measure import UndefinedWarning

RNG = np.random.default_rng(0)
A = {"one": RNG.normal(size=(40, 5)), "two": RNG.normal(size=(40, 9))}
B = {"three": A["one"] + 0.5 * RNG.normal(size=(40, 5))}


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize("measure", ["cka", "mutual_knn"])
def test_an_interval_is_one_dataset(measure):
    found = sg.similarity_matrix(A, B, measure, interval=True)
    want = interval_matrix(A, B, measure)
    assert set(found.data_vars) == {"value", "lower", "upper"}
    for name, held in (("value", want), ("lower", want["lower"]), ("upper", want["upper"])):
        np.testing.assert_array_equal(found[name], held)
    wide = sg.similarity_matrix(A, B, measure, interval=0.99)
    assert (wide["upper"] > found["upper"]).all()
    assert wide.attrs["interval"].startswith("99%")
    assert (sg.similarity_matrix(A, B, measure) == found["value"]).all()


@pytest.mark.parametrize("measure", ["cka", "mutual_knn"])
def test_an_interval_tells_how_far_it_is(measure):
    seen = []
    sg.similarity_matrix(A, B, measure, interval=True, progress=lambda *done: seen.append(done))
    last = 2 if measure == "cka" else 10  # pairs, or groups of four of 40 probes
    assert seen[-last:] == [(done, last) for done in range(1, last + 1)]
    assert len(seen) > last  # the scores themselves


def test_each_part_of_the_work_is_told_in_turn():
    """Scores, a null, what is left out; of one side too, and of numbers that are read in parts."""
    seen = []
    sg.similarity_matrix(A, interval=True, null=19, progress=lambda *done: seen.append(done))
    assert seen[-3:] == [(1, 3), (2, 3), (3, 3)]  # pairs
    starts = [at for at, (done, _) in enumerate(seen) if done == 1]
    assert len(starts) >= 3
    for start, end in pairwise([*starts, len(seen)]):
        assert [done for done, _ in seen[start:end]] == list(range(1, seen[end - 1][1] + 1))


@pytest.mark.parametrize("asked", [{}, {"interval": True}])
def test_what_is_read_in_parts_tells_how_far_it_is(tmp_path, asked):
    layers = {}
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", RNG.normal(size=(2000, 8)).astype(np.float32))
        layers |= sg.load_representations(tmp_path / f"{name}.npy")
    seen = []
    sg.similarity_matrix(layers, **asked, memory="100 kB", progress=lambda *done: seen.append(done))
    assert len(seen) > 3
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))


def test_a_null_beside_it_is_that_of_calibrate():
    found = sg.similarity_matrix(A, B, interval=True, null=19, seed=3)
    want = sg.calibrate(A, B, null=19, seed=3)
    assert {"value", "lower", "upper", "p", "calibrated", "p_matrix"} <= set(found.data_vars)
    for name in want.data_vars:
        np.testing.assert_allclose(found[name], want[name], atol=1e-12)
    alone = sg.similarity_matrix(A, B, null=19, seed=3)
    assert alone.identical(want)


def test_two_networks_take_the_same_arguments():
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    found = sg.compare(net(0), net(1), inputs, interval=True, null=19)
    assert {"value", "lower", "upper", "p"} <= set(found.data_vars)
    plain = sg.compare(net(0), net(1), inputs)
    np.testing.assert_allclose(found["value"], plain, atol=1e-9)
    read = [dict(sg.capture(net(seed), inputs)) for seed in (0, 1)]
    np.testing.assert_allclose(found["lower"], interval_matrix(*read)["lower"], atol=1e-6)
    certain = sg.compare(net(0), net(1), inputs, "procrustes", tolerance=0.05)
    exact = sg.compare(net(0), net(1), inputs, "procrustes")
    assert ((certain["lower"] <= exact + 1e-9) & (exact <= certain["upper"] + 1e-9)).all()
    likely = sg.compare(net(0), net(1), inputs, precision=0.5, batch_size=4)
    assert "lower" in likely.coords


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"interval": True, "tolerance": 0.1}, "exact scores"),
        ({"interval": True, "precision": 0.1}, "exact scores"),
        ({"interval": 95}, "between 0 and 1, got 95"),
    ],
)
def test_what_cannot_be_had_together_is_said(asked, message):
    with pytest.raises(InputError, match=message):
        sg.similarity_matrix(A, B, **asked)
    with pytest.raises(InputError, match=message):
        sg.compare(net(0), net(1), torch.zeros(8, 6), **asked)


def test_what_is_told_are_mappings_also_of_a_file(tmp_path):
    a = {**A, "dead": np.ones((40, 3)), "wide": RNG.normal(size=(40, 99))}
    with pytest.warns(UndefinedWarning):
        found = sg.similarity_matrix(a, measure="linear_cka")
    assert found.sg.reasons["dead"].startswith("constant")
    assert found.sg.notes["wide"].startswith("biased upwards: 99 units")
    found.to_netcdf(tmp_path / "m.nc")
    with xarray.open_dataarray(tmp_path / "m.nc") as kept:
        assert kept.sg.reasons == found.sg.reasons
    assert found.to_dataset(name="value", promote_attrs=True).sg.notes == found.sg.notes


def test_many_of_one_reason_are_one_warning():
    a = {f"dead{k}": np.ones((40, 3)) for k in range(6)} | A
    with pytest.warns(UndefinedWarning) as told:
        sg.similarity_matrix(a)
    assert [str(one.message).partition(", which")[0] for one in told] == [
        "debiased_cka is NaN for 'dead0', 'dead1', 'dead2' and 3 more"
    ]

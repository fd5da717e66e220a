"""Chance: permuted forms are those of permuted probes; p is uniform, of a cell and of the best."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.pairs.chance import draw_orders
from stratigraph.pairs.intervals import interval_matrix
from stratigraph.pairs.permuted import score_permuted
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.factors import factorise, log_norm, permute_factor
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.procrustes import bracket

RNG = np.random.default_rng(0)
N = 40
SHARED = RNG.normal(size=(N, 6))
A = {"a0": SHARED, "a1": SHARED @ RNG.normal(size=(6, 90)) + RNG.normal(size=(N, 90))}
B = {"b0": SHARED[:, :4] + RNG.normal(size=(N, 4)), "b1": RNG.normal(size=(N, 70))}
A_NARROW, B_NARROW = ({k: v[:, :12] for k, v in side.items()} for side in (A, B))
REFUSE_WIDE = ("mean_cca", "r2_cca", "svcca", "pwcca", "linear_predictivity")
OTHERS = [name for name in MEASURES if name != "rtd"]


def tensors(*sides):
    return [[torch.from_numpy(matrix) for matrix in side.values()] for side in sides]


@pytest.mark.parametrize("measure", OTHERS)
def test_a_draw_is_the_score_of_permuted_activations(measure):
    a, b = (A_NARROW, B_NARROW) if measure in REFUSE_WIDE else (A, B)
    orders, _ = draw_orders(N, 3, seed=5)
    found, _ = score_permuted(tensors(a, b), MEASURES[measure], orders, 1 << 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedWarning)
        wanted = [
            sg.similarity_matrix(a, {k: v[order] for k, v in b.items()}, measure).values
            for order in orders
        ]
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert not np.allclose(found[0], found[1])


FORMS = {
    "rows": SHARED,
    "columns": RNG.normal(size=(N, 2)) @ RNG.normal(size=(2, 30)),
    "triangle": RNG.normal(size=(N, 90)),
}


@pytest.mark.parametrize("form", FORMS)
def test_factors_are_permuted_in_each_of_their_forms(form):
    order = RNG.permutation(N)
    x, y = (factorise(torch.from_numpy(m)) for m in (FORMS[form], FORMS[form][order]))
    moved = permute_factor(x, order)
    assert moved.form == x.form == form
    assert bracket(moved, y, 1e-6)[0] == pytest.approx(1, abs=1e-6)
    for other in FORMS.values():
        z = factorise(torch.from_numpy(other))
        assert bracket(z, moved, 1e-6)[0] == pytest.approx(bracket(z, y, 1e-6)[0], abs=1e-6)
    assert log_norm(moved) == pytest.approx(log_norm(y))


def test_what_a_measure_does_not_say_is_prepared_anew():
    silent = replace(MEASURES["procrustes_similarity"], permute=None)
    orders, _ = draw_orders(N, 2)
    found, way = score_permuted(tensors(A, B), silent, orders, 1 << 30)
    other, _ = score_permuted(tensors(A, B), MEASURES["procrustes_similarity"], orders, 1 << 30)
    np.testing.assert_allclose(found, other, atol=1e-6)
    assert way == "preparing every permuted layer again"


@pytest.mark.parametrize("measure", ["debiased_cka", "procrustes_similarity", "pwcca"])
def test_threads_do_not_change_a_bit(measure):
    orders, _ = draw_orders(N, 5)
    one, four = (
        score_permuted(tensors(A_NARROW, B_NARROW), MEASURES[measure], orders, 1 << 30, None, k)[0]
        for k in (1, 4)
    )
    assert np.array_equal(one, four)


def test_p_of_independent_networks_is_uniform_for_a_cell_and_for_the_best_of_nine():
    """B = 19: each of p = 1/20 … 20/20 has a chance of 1/20, whatever the summary."""
    trials, cells, best = 200, [], []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        a, b = ({i: rng.normal(size=(12, 5)) for i in "pqr"} for _ in range(2))
        found = sg.calibrate(a, b, "linear_cka", null=19, seed=trial)
        cells.append(found["p"].values)
        best.append(float(found["p_matrix"]))
    one = np.array(cells)[:, 0, 0]
    for p in (one, np.array(best)):
        # Standard deviations of the counts: 3.1 around 10 of 200, 7.1 around 100.
        assert 3 <= (p <= 0.05 + 1e-9).sum() <= 18
        assert 80 <= (p <= 0.5 + 1e-9).sum() <= 120
    # What is looked at is the best of nine, and its own p says so: the least p of nine does not.
    assert (np.array(cells).min((1, 2)) <= 0.05 + 1e-9).mean() > 0.25


def test_copies_constants_and_what_has_no_score():
    b = {"copy": A["a1"], "flat": np.ones((N, 2)), "holes": np.full((N, 2), np.nan)}
    with pytest.warns(UndefinedWarning, match="constant|not finite"):
        found = sg.calibrate(A, b, null=24)
    assert found["p"].sel(x="a1", y="copy") == 1 / 25
    assert found["calibrated"].sel(x="a1", y="copy") == pytest.approx(1, abs=1e-6)
    assert float(found["p_matrix"]) == 1 / 25
    assert found["value_row"].sel(x="a1") == pytest.approx(1)
    for name in ("p", "calibrated", "threshold"):
        assert np.isnan(found[name].sel(y=["flat", "holes"])).all()
        assert np.isnan(found[name + "_column"]).values.tolist() == [False, True, True]


def test_distances_are_turned_round():
    near = {"near": SHARED + 0.1 * RNG.normal(size=(N, 6)), "far": RNG.normal(size=(N, 6))}
    found = sg.calibrate({"x": SHARED}, near, "angular_shape_distance", null=39)
    value, threshold = found["value"].values[0], found["threshold"].values[0]
    assert found["p"].values[0, 0] == 1 / 40
    assert found["calibrated"].values[0, 0] == pytest.approx(1 - value[0] / threshold[0])
    assert float(found["value_matrix"]) == value.min()
    assert found["p"].values[0, 1] > 0.05
    assert found["calibrated"].values[0, 1] == 0


def test_one_network_with_itself():
    found = sg.calibrate(A | B, measure="procrustes", null=19)
    p = found["p"].values
    assert np.array_equal(p, p.T)
    assert (p.diagonal() == 1 / 20).all()
    off = np.where(np.eye(4, dtype=bool), -1, found["value"].values)
    assert np.array_equal(found["value_row"], off.max(1))
    assert float(found["value_matrix"]) == off.max() < 0.999
    assert found.attrs["null"] == "probes of a copy permuted 19 times, seed 0"
    assert math.isnan(float(sg.calibrate({"a": SHARED}, null=19)["p_matrix"]))


def test_fewer_draws_than_the_level_takes_are_refused():
    """Of 18, τ would be the observed score whatever it is, and every calibrated one 0."""
    assert float(sg.calibrate(A, A, null=19)["calibrated"].values[0, 0]) > 0
    with pytest.raises(InputError, match="null: expected a whole number ≥ 19, got 18"):
        sg.calibrate(A, A, null=18)


def test_within_groups_what_only_the_class_relates_is_chance():
    classes = np.repeat(list("abcd"), N // 4)
    rng = np.random.default_rng(3)
    means = np.repeat(3 * rng.normal(size=(4, 5)), N // 4, 0)
    x, y = (means + rng.normal(size=(N, 5)) for _ in range(2))
    assert sg.calibrate(x, y, null=39)["p"] == 1 / 40
    within = sg.calibrate(x, y, null=39, groups=classes)
    assert within["p"] > 0.05
    assert within.attrs["null"].startswith("probes of y permuted 39 times within 4 groups")
    orders, _ = draw_orders(N, 4, classes)
    assert (np.sort(orders, 1) == np.arange(N)).all()
    assert (classes[orders] == classes).all()
    assert not (orders == np.arange(N)).all(1).any()
    # A series is joined on its labels, as rows are.
    ids = [f"s{i}" for i in range(N)]
    back = pd.Series(classes, ids).iloc[::-1]
    joined = sg.calibrate(*(pd.DataFrame(m, ids) for m in (x, y)), null=39, groups=back)
    assert joined["p"] == within["p"]


def test_permutations_that_change_nothing_say_so():
    pairs = np.repeat(np.arange(N // 2), 2)
    found = sg.calibrate(SHARED, SHARED[pairs], "procrustes", null=19, groups=pairs)
    assert found["p"] == 1
    assert found["calibrated"] == 0


def test_two_networks():
    torch.manual_seed(0)
    one, two = (torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh()) for _ in range(2))
    shown = torch.from_numpy(SHARED).float()
    found = sg.compare(one, two, shown, null=19, groups=np.arange(N) % 3)
    assert "a null needs every activation at once" in found.attrs["plan"]
    assert found.attrs["null"] == "probes of y permuted 19 times within 3 groups, seed 0"
    assert found["p"].dims == ("x", "y")
    assert (found["p"] == 1 / 20).all()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"null": 0}, "null: expected a whole number ≥ 1"),
        ({"groups": np.zeros(N)}, "groups: .* give null=200 too"),
        ({"null": 25, "tolerance": 0.1}, "null: only for exact scores"),
        ({"null": 25, "groups": np.zeros(N - 1)}, "groups: expected a label for each of 40"),
        ({"null": 25, "groups": np.arange(N)}, "every probe is its own group"),
        ({"null": 25, "groups": [None] * 2 + [1] * (N - 2)}, "groups: 2 of 40 probes have no"),
        ({"null": 25, "memory": 1000}, "null: 25 draws of 2 × 2 scores of 40 probes would hold"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_told(how, told):
    with pytest.raises(InputError, match=told):
        sg.similarity_matrix(A, B, "procrustes", **how)


def test_chance_and_an_interval_stand_side_by_side():
    found = interval_matrix(A, B, null=19)
    plain = sg.similarity_matrix(A, B, null=19)
    assert {"lower", "upper", "p_matrix"} <= set(found.coords)
    assert np.array_equal(found["p"], plain["p"])
    with pytest.raises(InputError, match="null: needs every number at once"):
        interval_matrix(A, B, null=19, memory=1000)


def test_one_representation_needs_another():
    with pytest.raises(InputError, match="b: expected another representation"):
        sg.calibrate(SHARED)

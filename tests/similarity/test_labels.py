"""Rows with labels are joined on them, or refused; position counts only where there are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray
from synthetic import gaussian

from stratigraph.errors import InputError
from stratigraph.latents.scores import factor_grid, known_codes, mig
from stratigraph.pairs.certified import certified_matrix
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.cka import debiased_cka
from stratigraph.similarity.influence import probe_influence
from stratigraph.similarity.kernel_cka import deconfounded_cka
from stratigraph.similarity.measure import score
from stratigraph.similarity.moments import CKASums
from stratigraph.similarity.procrustes import procrustes_similarity
from stratigraph.similarity.streaming import shuffled_batches, stream_cka
from stratigraph.similarity.uncertainty import cka_interval

N = 200
X = gaussian(N, 5)
Y = X @ gaussian(5, 4, 1) + gaussian(N, 4, 2)
IDS = [f"p{i:03d}" for i in range(N)]
ORDER = np.random.default_rng(5).permutation(N)
TRUE = debiased_cka(X, Y)


def framed(values, order=None):
    frame = pd.DataFrame(values, index=IDS)
    return frame if order is None else frame.iloc[order]


def labelled(values, order=None):
    array = xarray.DataArray(values, dims=("probe", "unit"), coords={"probe": IDS})
    return array if order is None else array.isel(probe=order)


def beside(values, order=None):
    """Labels in a coordinate that is no index, after one that does not tell rows apart."""
    along = {"kind": ("row", [0] * len(values)), "probe": ("row", IDS)}
    array = xarray.DataArray(values, dims=("row", "unit"), coords=along)
    return array if order is None else array.isel(row=order)


@pytest.mark.parametrize("left", [framed, labelled, beside])
@pytest.mark.parametrize("right", [framed, labelled, beside])
def test_the_same_labels_in_another_order_are_joined(left, right):
    a, b = left(X), right(Y, ORDER)
    assert debiased_cka(a, b) == pytest.approx(TRUE, abs=1e-12)
    assert debiased_cka(b, a) == pytest.approx(TRUE, abs=1e-12)
    assert similarity_matrix({"a": a}, {"b": b}).item() == pytest.approx(TRUE, abs=1e-6)
    assert similarity_matrix({"a": a, "b": b}).item(0, 1) == pytest.approx(TRUE, abs=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_joins(name):
    few = slice(0, 40)
    x, y = (side + 2 * side[:, :1] for side in (X, Y))  # units that have something in common
    a, b = framed(x).iloc[few], framed(y, ORDER)
    b = b[b.index.isin(a.index)]
    expected = score(MEASURES[name], x[few], y[few])
    assert score(MEASURES[name], a, b) == pytest.approx(expected, abs=1e-9)


def test_whatever_else_takes_pairs_joins():
    a, b = framed(X), framed(Y, ORDER)
    assert cka_interval(a, b) == cka_interval(X, Y)
    np.testing.assert_array_equal(probe_influence(a, b), probe_influence(X, Y))
    assert deconfounded_cka(a, b, labelled(X + Y[:, :1], ORDER[::-1])) == pytest.approx(
        deconfounded_cka(X, Y, X + Y[:, :1]), abs=1e-12
    )
    found = certified_matrix({"a": a}, {"b": b})
    assert found["lower"].item() <= procrustes_similarity(X, Y) <= found["upper"].item()
    sums = CKASums()
    sums.add({"a": a}, {"b": b})
    assert sums.result(True)[0].item() == pytest.approx(TRUE, abs=1e-9)
    assert stream_cka([({"a": a}, {"b": b})]).values.item() == pytest.approx(TRUE, abs=1e-9)
    parts = (
        stream_cka(shuffled_batches({"x": one, "y": two}, size=50)).values[0, 1]
        for one, two in ((a, b), (X, Y))
    )
    assert next(parts) == pytest.approx(next(parts), abs=1e-12)
    grid = factor_grid(3, 4, 5)
    codes, order = known_codes("perfect", grid), np.random.default_rng(0).permutation(len(grid))
    shuffled = mig(pd.DataFrame(codes), pd.DataFrame(grid).iloc[order])
    assert shuffled.score == pytest.approx(mig(codes, grid).score)


def test_an_index_of_numbers_is_labels_too():
    a, b = pd.DataFrame(X), pd.DataFrame(Y).sample(frac=1, random_state=0)
    assert debiased_cka(a, b) == pytest.approx(TRUE, abs=1e-12)
    assert debiased_cka(a, Y) == pytest.approx(TRUE, abs=1e-12)
    assert debiased_cka(a, xarray.DataArray(Y)) == pytest.approx(TRUE, abs=1e-12)
    several = pd.MultiIndex.from_product([range(20), range(10)])
    a, b = (frame.set_axis(several) for frame in (a, pd.DataFrame(Y)))
    assert debiased_cka(a, b.iloc[ORDER]) == pytest.approx(TRUE, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (framed(X).iloc[3:], framed(Y), r"3 of y are not in x \('p000', 'p001', 'p002'\)\. Take"),
        (
            framed(X).iloc[:-4],
            framed(Y).iloc[1:],
            r"1 of x are not in y \('p000'\) and 4 of y are not in x \('p196', .*, …\)",
        ),
        (framed(X), pd.DataFrame(Y), r"200 of x are not in y .* and int64: is one of them text\?"),
        (
            framed(X).iloc[[0, 0, *range(1, N - 1)]],
            framed(Y),
            r"x: 1 of its ids occur more than once \('p000'\), so rows cannot be joined",
        ),
        (
            framed(X).set_axis([None, *IDS[1:]]),
            framed(Y),
            r"x: 1 of its 200 ids are missing",
        ),
        (
            labelled(X),
            labelled(Y).transpose("unit", "probe").assign_coords(unit=list("abcd")),
            r"x and y: expected the same first dimension, .* call y\.transpose\('probe', \.\.\.\)",
        ),
        (  # square, and without coordinates, nothing else tells
            labelled(X).isel(probe=slice(4)).drop_vars("probe"),
            labelled(Y).isel(probe=slice(4)).drop_vars("probe").transpose("unit", "probe"),
            r"x and y: expected the same first dimension, .* call y\.transpose\('probe', \.\.\.\)",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        debiased_cka(a, b)
    with pytest.raises(InputError, match=r"a\['x'\]"):
        similarity_matrix({"x": a, "y": b})


def test_rows_without_labels_beside_labels_in_two_orders_are_ambiguous():
    a, b = framed(X), framed(Y, ORDER)
    with pytest.raises(InputError, match=r"a\['plain'\]: it has no ids, and those of a\['x'\] and"):
        similarity_matrix({"x": a, "y": b, "plain": X})
    found = similarity_matrix({"x": a, "y": framed(Y), "plain": X})
    assert found.sel(x="plain", y="y").item() == pytest.approx(TRUE, abs=1e-6)


def test_a_column_of_text_is_told_to_be_the_index():
    with pytest.raises(InputError, match=r"'who' holds .*; if it holds ids, make it the index"):
        debiased_cka(framed(X).assign(who=IDS), framed(Y))
    with pytest.raises(
        InputError, match=r"'sample_id' of numbers has a name that ids usually have"
    ):
        debiased_cka(framed(X).assign(sample_id=ORDER), framed(Y))

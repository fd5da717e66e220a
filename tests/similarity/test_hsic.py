"""One HSIC: every form of it is the definition's, and calls the same representations degenerate."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import textbook
import torch
from hypothesis import given, settings, strategies as st
from synthetic import gaussian, layers

from stratigraph.pairs.group_sums import pair_scores
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.cka import DEBIASED_CKA
from stratigraph.similarity.hsic import (
    debiased_hsic,
    debiased_hsic_centred,
    is_degenerate,
    u_shift,
)
from stratigraph.similarity.kernel_cka import deconfounded_cka
from stratigraph.similarity.measure import between
from stratigraph.similarity.moments import CKASums
from stratigraph.similarity.packed import pack_layer, packed_length
from stratigraph.similarity.streaming import stream_cka
from stratigraph.similarity.uncertainty import cka_interval


def exact(x, y):
    one, other = (DEBIASED_CKA.prepare(torch.as_tensor(v)) for v in (x, y))
    return between(DEBIASED_CKA, one, other)


def packed(x, y):
    one, other = (DEBIASED_CKA.embed(torch.as_tensor(v)) for v in (x, y))
    if one.reason or other.reason:
        return np.nan
    return float(one.parts[0].double() @ other.parts[0].double())


def streamed(x, y):
    return stream_cka([({"x": x}, {"y": y})]).values.item()


def summed(x, y):
    sums = CKASums()
    for rows in np.array_split(np.arange(len(x)), 3):
        sums.add({"x": x[rows]}, {"y": y[rows]})
    return sums.result(debiased=True)[0].item()


def jackknifed(x, y):
    return pair_scores([x, y], np.array([[0, 1]]), groups=5)[0, 0]


def with_interval(x, y):
    return cka_interval(x, y).value


FORMS = [exact, packed, streamed, summed, jackknifed, with_interval]


def hard(kind: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    n = 40
    x, y = layers(n, (30, 70)).values()
    x, y = x.astype(float), y.astype(float)
    change = {
        "plain": lambda v: v,
        "offset": lambda v: v + 1e3,
        "tiny": lambda v: v * 1e-12,
        "huge": lambda v: v * 1e12,
        "one large unit": lambda v: np.hstack([v, 1e3 + np.zeros((n, 1))]),
        "few directions": lambda v: v[:, :1] @ np.ones((1, 50)),
        "nearly equidistant": lambda v: np.hstack([np.eye(n), 0.02 * v]),
        "duplicates": lambda v: np.repeat(v[:20], 2, 0),
    }[kind]
    return change(x).astype(dtype), change(y).astype(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind",
    ["plain", "offset", "tiny", "huge", "one large unit", "few directions", "nearly equidistant",
     "duplicates"],
)  # fmt: skip
def test_every_form_is_the_definition(form, kind, dtype):
    x, y = hard(kind, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = form(x, y)
    scale = max(abs(x).max(), abs(y).max())  # the definition's own squares must not overflow
    assert found == pytest.approx(textbook.debiased_cka(x / scale, y / scale), abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [False, True])
def test_every_form_calls_equidistant_probes_degenerate(form, dtype, turned):
    """Probes on the corners of a simplex, also after a rotation that leaves rounding of them."""
    n = 40
    x = np.eye(n)
    if turned:
        x = x @ np.linalg.qr(gaussian(n, n))[0] + 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(form(x.astype(dtype), gaussian(n, 5).astype(dtype)))
        assert np.isnan(form(gaussian(n, 5).astype(dtype), x.astype(dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_input_explains_is_degenerate_too(dtype):
    x = gaussian(40, 6).astype(dtype)
    with pytest.warns(UserWarning, match="no more than the input's geometry"):
        assert np.isnan(deconfounded_cka(2 * x + 1, gaussian(40, 5, 1), x))
    less = np.hstack([x, 0.05 * gaussian(40, 1, 2).astype(dtype)])
    assert abs(deconfounded_cka(less, gaussian(40, 5, 1), x)) <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_both_expressions_and_the_centring_are_the_definition(n, p, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, p)), rng.normal(size=(n, p + 1))
    want = textbook.hsic_unbiased(x @ x.T, y @ y.T) * n * (n - 3)
    k, m = (v @ v.T for v in (x, y))
    k0, m0 = (v - np.diag(np.diag(v)) for v in (k, m))
    r, s = k0.sum(0), m0.sum(0)
    assert debiased_hsic((k0 * m0).sum(), r @ s, r.sum() * s.sum(), n) == pytest.approx(want)
    kc, mc = (v @ v.T for v in (textbook.centred(x), textbook.centred(y)))
    d, e = np.diag(kc), np.diag(mc)
    found = debiased_hsic_centred((kc * mc).sum(), d @ e, d.sum() * e.sum(), n)
    assert found == pytest.approx(want, abs=1e-9)
    ku, mu = (v - u_shift(np.diag(v))[:, None] - u_shift(np.diag(v)) for v in (kc, mc))
    off = ~np.eye(n, dtype=bool)
    assert (ku * mu)[off].sum() == pytest.approx(want, abs=1e-9)
    assert abs(np.where(off, ku, 0).sum(0)).max() < 1e-9


def test_a_million_isotropic_units_are_not_degenerate():
    p = 1e6
    assert not is_degenerate(1 / p, 1 / p, 1.0, np.dtype("float32"))
    assert is_degenerate(0.0, 1.0, 1.0, np.dtype("float64"))
    assert is_degenerate(np.nan, 1.0, 1.0, np.dtype("float64"))


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("n", [4, 128, 129, 1025])  # one band, two of a tile, two tiles
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_packed_rows_hold_the_centred_kernel(n, debiased, dtype):
    x, y = (v.astype(dtype) + 0.5 for v in layers(n, (9, 400)).values())
    rows = np.full((2, packed_length(n, not debiased)), np.nan, np.float32)
    found = [pack_layer(v, row, debiased) for v, row in zip((x, y), rows, strict=True)]
    assert [f.reason for f in found] == [None, None]
    double = rows.astype(float)
    cosine = double[0] @ double[1] / np.sqrt((double[0] @ double[0]) * (double[1] @ double[1]))
    want = (textbook.debiased_cka if debiased else textbook.linear_cka)(x, y)
    assert cosine == pytest.approx(want, abs=1e-7)
    for f, row in zip(found, double, strict=True):
        assert f.own == pytest.approx(2 * (row @ row), rel=1e-9)


@pytest.mark.parametrize("n", [4, 8, 16])
@pytest.mark.parametrize("faint", [1.0, 0.01])
def test_few_probes_of_wide_float32_layers_keep_their_digits(n, faint):
    apart = np.repeat(np.eye(n), 4000 // n, axis=1) * n**0.5
    x, y = (
        (apart + faint * gaussian(n, apart.shape[1], seed=seed)).astype(np.float32)
        for seed in (1, 2)
    )
    found = similarity_matrix({"x": x}, {"y": y}).values.item()
    assert found == pytest.approx(textbook.debiased_cka(x, y), abs=2e-7)


@pytest.mark.parametrize("n", [1000, 1100])
def test_a_faint_kernel_is_not_rounded_before_it_is_centred(n):
    """Beyond one tile too: what is left of the entries is 1e-5 of them."""
    labels = np.random.default_rng(0).integers(0, 5, n)
    x, y = (
        np.eye(n) + 1e-8 * (turn + turn.T)[labels][:, labels]
        for turn in (gaussian(5, 5, seed=1), gaussian(5, 5, seed=2))
    )
    found = similarity_matrix({"x": x}, {"y": y}).values.item()
    assert found == pytest.approx(_of_u_centred(x, y), abs=1e-7)


def _of_u_centred(x, y):
    rows = []
    for features in (x, y):
        c = textbook.centred(features)
        k = c @ c.T
        shift = u_shift(k.diagonal())
        k -= shift[:, None] + shift
        rows.append(k[np.triu_indices(len(k), 1)])
    return rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])

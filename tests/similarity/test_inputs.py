"""Bad inputs 1-28 of the reliability table: what each gets, and the words it gets it in."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from synthetic import gaussian

from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.cka import debiased_cka, linear_cka
from stratigraph.similarity.inputs import as_matrix
from stratigraph.similarity.measure import PrecisionWarning, UndefinedWarning
from stratigraph.similarity.procrustes import procrustes_similarity

PAIR_FUNCTIONS = (linear_cka, debiased_cka, procrustes_similarity)
X, Y = gaussian(20, 4), gaussian(20, 3, seed=1)


def spoiled(value: float) -> np.ndarray:
    bad = Y.copy()
    bad[7, 2] = bad[9, 0] = value
    return bad


REFUSED = [
    ("nan in x", (spoiled(np.nan), X), r"^x: .* 2 of 60 values .*first \(nan\) at probe 7, unit 2"),
    ("inf in x", (spoiled(np.inf), X), r"^x: .* first \(inf\) at probe 7, unit 2"),
    ("-inf in y only", (X, spoiled(-np.inf)), r"^y: .* first \(-inf\) at probe 7, unit 2"),
    ("row counts", (X, Y[:19]), r"x and y: expected the same probes .* got 20 and 19 rows"),
    ("no probes", (X[:0], Y[:0]), r"^x: .*got no probes: shape \(0, 4\)"),
    ("no units", (X[:, :0], Y), r"^x: .*got no units: shape \(20, 0\)"),
    ("one probe", (X[:1], Y[:1]), r"needs at least \d probes \(rows\), got 1"),
    ("a vector", (X[:, 0], Y), r"^x: .*got a vector of shape \(20,\); one unit is a column"),
    ("a scalar", (X, 3.0), r"^y: .*got a scalar"),
    ("objects", (X.astype(object), Y), r"^x: expected real numbers, got dtype object"),
    ("strings", (X.astype(str), Y), r"^x: expected real numbers, got dtype <U\d+"),
    ("complex", (X + 1j, Y), r"^x: expected real numbers, got dtype complex128"),
    ("dates", (X.astype("M8[s]"), Y), r"^x: expected real numbers, got dtype datetime64"),
    ("masked", (np.ma.masked_less(X, 0), Y), r"^x: a masked array has holes"),
    ("sparse", (scipy.sparse.csr_matrix(X), Y), r"^x: a sparse matrix .* toarray\(\)"),
    (
        "text column",
        (pd.DataFrame(X).assign(label="a"), Y),
        r"^x: expected numbers in every column, but column 'label' holds",
    ),
    ("ragged", ([[1.0, 2.0], [3.0]], Y), r"^x: expected rows of equal length, got a ragged list"),
    ("meta", (torch.empty(20, 4, device="meta"), Y), r"^x: a meta tensor holds no values"),
    (
        "sparse tensor",
        (torch.from_numpy(X).to_sparse(), Y),
        r"^x: a sparse tensor .* to_dense\(\)",
    ),
    ("complex tensor", (torch.from_numpy(X + 1j), Y), r"^x: expected real numbers, got torch.comp"),
]


@pytest.mark.parametrize("function", PAIR_FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("arguments", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refused_with_the_reason(function, arguments, message):
    started = time.perf_counter()
    with pytest.raises(InputError, match=message):
        function(*arguments)
    assert time.perf_counter() - started < 1


def test_debiased_needs_four_probes():
    with pytest.raises(InputError, match=r"debiased_cka needs at least 4 probes \(rows\), got 3"):
        debiased_cka(X[:3], Y[:3])
    assert np.isfinite(linear_cka(X[:3], Y[:3]))


@pytest.mark.filterwarnings("ignore:.*quantize.*", "ignore:.*quantization.*")
def test_quantised_tensors_are_refused():
    quantised = torch.quantize_per_tensor(torch.from_numpy(X).float(), 0.1, 0, torch.qint8)
    with pytest.raises(InputError, match=r"^x: a quantised tensor"):
        linear_cka(quantised, Y)


@pytest.mark.parametrize("function", PAIR_FUNCTIONS, ids=lambda f: f.__name__)
def test_more_axes_are_flattened(function):
    images = gaussian(20, 24).reshape(20, 2, 3, 4)
    assert function(images, Y) == function(images.reshape(20, -1), Y)


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.int8, torch.uint8, torch.float16, torch.bfloat16, torch.bool]
)
def test_other_dtypes_work(dtype):
    x = (torch.from_numpy(gaussian(20, 5)) * 3).clamp_min(0).to(dtype)
    assert linear_cka(x, Y) == pytest.approx(linear_cka(x.double(), Y), abs=1e-12)


def test_gradients_are_left_alone():
    x = torch.from_numpy(X).requires_grad_()
    assert linear_cka(x, Y) == linear_cka(X, Y)
    assert x.requires_grad
    assert x.grad is None


def test_lists_frames_read_only_reversed_and_foreign_byte_order_work():
    expected = linear_cka(X, Y)
    read_only = X.copy()
    read_only.flags.writeable = False
    for same in (
        X.tolist(),
        pd.DataFrame(X),
        read_only,
        X[:, ::-1],
        X.astype(">f8"),
        np.asfortranarray(X),
    ):
        assert linear_cka(same, Y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("function", PAIR_FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4, -3e20])
def test_constant_is_undefined_with_a_reason(function, value):
    constant = np.full((20, 6), value, np.float32)
    with pytest.warns(UndefinedWarning, match=r"is NaN for x, which is constant: every probe"):
        assert np.isnan(function(constant, Y))
    with pytest.warns(UndefinedWarning) as told:
        assert np.isnan(function(constant, constant))
    assert [str(w.message).split(",")[0][-1] for w in told] == ["x", "y"]


def test_a_spread_at_float32_resolution_is_told():
    x = (1e4 + 1e-3 * X).astype(np.float32)
    with pytest.warns(PrecisionWarning, match=r"x: its probes differ by .* float32 resolves"):
        linear_cka(x, Y)


def test_equidistant_probes_have_no_debiased_score():
    with pytest.warns(UndefinedWarning, match="equidistant"):
        assert np.isnan(debiased_cka(np.eye(20), Y))
    with pytest.warns(UndefinedWarning, match="equidistant"):
        assert np.isnan(similarity_matrix({"one-hot": np.eye(20), "y": Y}).item(0, 1))


def test_duplicated_probes_work():
    assert linear_cka(np.repeat(X, 2, 0), np.repeat(Y, 2, 0)) == pytest.approx(linear_cka(X, Y))


def test_unknown_measure_suggests():
    with pytest.raises(InputError, match=r"no measure is named 'ckaa'.* Did you mean 'cka'"):
        similarity_matrix({"x": X}, measure="ckaa")


def test_matrix_names_the_entry():
    with pytest.raises(InputError, match=r"b\['bad'\]: expected finite values, but 2 of 60"):
        similarity_matrix({"x": X}, {"bad": spoiled(np.nan)})
    with pytest.raises(
        InputError, match=r"a\['y'\]: expected the same 20 probes as a\['x'\], got 19"
    ):
        similarity_matrix({"x": X, "y": Y[:19]})
    with pytest.raises(InputError, match=r"a: expected a mapping .* got a ndarray"):
        similarity_matrix(X)
    with pytest.raises(InputError, match=r"a: expected at least one representation"):
        similarity_matrix({})


@pytest.mark.parametrize("kind", ["Int64", "Float64", "Float32", "boolean", "arrow", "mixed"])
def test_frames_that_can_hold_missing_numbers_are_taken_where_none_is(kind):
    numbers = (np.random.default_rng(0).normal(size=(30, 3)) * 9).round()
    plain = pd.DataFrame(numbers > 0 if kind == "boolean" else numbers, columns=list("abc"))
    if kind == "mixed":
        frame = plain.astype({"a": "Int64", "b": "Float32"})
    else:
        frame = plain.astype("double[pyarrow]" if kind == "arrow" else kind)
    assert torch.equal(as_matrix(frame), as_matrix(plain).to(as_matrix(frame).dtype))
    assert as_matrix(frame).dtype is (torch.float32 if kind == "Float32" else torch.float64)
    frame.loc[[7, 4], "b"] = pd.NA
    with pytest.raises(InputError, match=r"^x: 2 of its 90 values .* column 'b' of row 4\. Drop"):
        as_matrix(frame)

"""CKA from sums: that of all inputs at once, whatever the batches."""

import numpy as np
import pytest
import torch

from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.moments import CKASums


def layers(offset=0.0, scale=1.0):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 7))
    mix = x @ random.normal(size=(7, 5)) + random.normal(size=(60, 5))
    every = {"x": x, "mix": mix, "wide": random.normal(size=(60, 90))}
    return {name: scale * value + offset for name, value in every.items()}


def streamed(a, b, sizes, debiased):
    sums, start = CKASums(), 0
    for size in sizes:
        rows = slice(start, start + size)
        sums.add({k: v[rows] for k, v in a.items()}, b and {k: v[rows] for k, v in b.items()})
        start += size
    return sums.result(debiased)[0]


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("sizes", [[60], [1] * 60, [7, 50, 3]])
def test_any_batches_give_the_score_of_all_inputs(sizes, debiased):
    a, b = layers(), {"y": layers()["mix"][:, :3], "constant": np.ones((60, 2))}
    measure = "debiased_cka" if debiased else "linear_cka"
    with pytest.warns(UserWarning, match="constant"):
        want = similarity_matrix(a, b, measure).values
    np.testing.assert_allclose(streamed(a, b, sizes, debiased), want, atol=1e-9)
    want = similarity_matrix(a, None, measure).values
    np.testing.assert_allclose(streamed(a, None, sizes, debiased), want, atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("scale", [1.0, 1e20, 1e-20])
def test_offsets_and_scales_change_no_score(offset, scale):
    want = streamed(layers(), None, [20, 40], True)
    np.testing.assert_allclose(
        streamed(layers(offset * scale, scale), None, [20, 40], True), want, atol=1e-6
    )


@pytest.mark.parametrize("constant", [1e16, 1e300, -3e9])
def test_a_constant_column_changes_nothing_however_large(constant):
    whole = {**layers(), "beside": np.hstack([layers()["x"], np.full((60, 1), constant)])}
    values = streamed(whole, None, [20, 40], True)
    np.testing.assert_allclose(values[3], values[0].take([0, 1, 2, 0]), atol=1e-9)


def test_a_layer_that_is_constant_or_equidistant_says_so():
    sums = CKASums()
    sums.add({"one": np.eye(6), "two": np.full((6, 3), 0.1), "x": layers()["x"][:6]})
    values, reasons = sums.result(debiased=True)
    assert reasons["one"].startswith("equidistant")
    assert reasons["two"].startswith("constant")
    assert np.isnan(values).sum() == 8
    assert values[2, 2] == pytest.approx(1)


def test_what_is_not_finite_is_refused():
    with pytest.raises(InputError, match=r"^x: expected finite values"):
        CKASums().add({"x": torch.full((5, 2), torch.nan)})

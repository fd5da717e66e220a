"""Bugs that others had, pinned: each would fail here if it came to us.

Names as in the projects' issue lists; the crash tests hold those about files.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.models.vae import Posterior, VAEOutput
from stratigraph.objectives import build_objective, evaluate
from stratigraph.records import checkpoint_step, snapshot_steps, write_record
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.streaming import shuffled_batches, stream_cka
from stratigraph.study.yaml_file import parse_yaml
from stratigraph.training.seeds import derived_seed, epoch_order, step_noise

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(202, 6)), RANDOM.normal(size=(202, 5))


def streamed(x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """CKA of two representations, by batches in their order."""
    batches = (({"x": x[i : i + batch]}, {"y": y[i : i + batch]}) for i in range(0, len(x), batch))
    return float(stream_cka(batches).values[0, 0])


def test_a_last_batch_of_two_gives_no_nan():
    """torch_cka #2: HSIC's n − 3 in the denominator."""
    assert np.isfinite(streamed(X, Y, 50))
    assert np.isfinite(streamed(X, X, 200))


@pytest.mark.parametrize("offset", [100, 1e3, 1e4])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_offsets_and_scales(offset, scale):
    """torch_cka #6 (NaN), pytorch-cka (0 at scale 1e4, 1 at offset 100)."""
    moved = (scale * X + offset).astype(np.float64)
    for function in (sg.linear_cka, sg.debiased_cka):
        assert function(moved, Y) == pytest.approx(function(X, Y), abs=1e-6)
    assert streamed(moved, Y, 50) == pytest.approx(streamed(X, Y, 50), abs=1e-6)


def test_a_constant_layer_is_undefined_not_unlike():
    """pytorch-cka says 0."""
    with pytest.warns(UndefinedWarning):
        assert np.isnan(sg.linear_cka(np.ones_like(X), Y))


def test_independent_data_have_finite_scores_around_nothing():
    """The root of a negative HSIC (97 of 200 draws); "unbiased" that is biased (MONAI #9129)."""
    draws = [
        sg.debiased_cka(RANDOM.normal(size=(20, 60)), RANDOM.normal(size=(20, 60)))
        for _ in range(200)
    ]
    assert np.isfinite(draws).all()
    assert min(draws) < 0
    assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(len(draws))


def test_an_average_over_batches_is_at_most_one():
    """simtorch #20: divided by layers instead of batches."""
    same = stream_cka(({"a": X[i : i + 40], "b": X[i : i + 40]},) * 2 for i in range(0, 200, 40))
    assert same.values == pytest.approx(np.ones((2, 2)), abs=1e-9)


def test_sorted_data_give_what_shuffled_data_give():
    """Values by minibatch depend on the order; the batches of our making are shuffled."""
    order = np.argsort(X[:, 0])
    x, y = X[order], 3 * X[order] + Y[order, :1]

    def scores(seed: int) -> float:
        batches = shuffled_batches({"x": x, "y": y}, size=50, seed=seed)
        return float(stream_cka(batches).values[0, 1])

    drawn = [scores(seed) for seed in range(30)]
    exact = sg.debiased_cka(x, y)
    assert abs(np.mean(drawn) - exact) < 3 * np.std(drawn) / np.sqrt(len(drawn)) + 1e-3


def test_cca_with_more_units_than_probes_is_refused():
    """anatome #18: it is 1 whatever the data."""
    with pytest.raises(InputError, match="6 probes hold at most 5; use more probes"):
        sg.similarity_matrix({"x": X[:6], "y": RANDOM.normal(size=(6, 9))}, measure="svcca")


def test_an_in_place_relu_does_not_overwrite_what_was_read():
    """thingsvision #44, captum #156."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    read = sg.capture(model, torch.randn(9, 4), ["0", "1"])
    assert (read["0"] < 0).any()
    assert torch.equal(read["0"].clamp_min(0), read["1"])


def test_a_leftover_of_a_kill_is_not_the_newest(tmp_path):
    """flax #1200: a temporary directory taken for a checkpoint."""
    for place in ("checkpoint", "snapshots"):
        write_record(tmp_path / place / "000000004", lambda files: files.add("a", b"x"))
        write_record(tmp_path / place / ".new-0123-000000009", lambda files: files.add("a", b"x"))
        (tmp_path / place / "000000011").mkdir()
    assert checkpoint_step(tmp_path) == 4
    assert snapshot_steps(tmp_path) == [4]


def test_the_data_of_a_step_do_not_depend_on_how_often_it_was_resumed():
    """A second resume within an epoch shifts the data; one stream for all workers (#5059)."""
    assert np.array_equal(epoch_order(3, 7, 1000), epoch_order(3, 7, 1000))
    assert not np.array_equal(epoch_order(3, 7, 1000), epoch_order(3, 8, 1000))
    assert torch.equal(step_noise(3, 41, 8, 5), step_noise(3, 41, 8, 5))
    for other in ((4, 41), (3, 42)):
        assert not torch.equal(step_noise(3, 41, 8, 5), step_noise(*other, 8, 5))
    assert len({derived_seed(seed, "weights") for seed in range(500)}) == 500


def test_a_rate_in_yaml_is_a_number():
    """yacs #46."""
    assert parse_yaml("lr: 1e-3", "here") == {"lr": 0.001}


def posterior(mean: float, log_var: float) -> VAEOutput:
    parts = torch.full((16, 4), mean), torch.full((16, 4), log_var)
    return VAEOutput(torch.zeros(16, 1, 2, 2), Posterior(*parts, parts[0]))


def test_a_log_variance_that_runs_away_is_infinite_not_nan():
    """synthcity #331: NaN; here the loss says inf at that step, which ends the run as diverged."""
    loss = evaluate(
        build_objective(name="beta_vae", beta=4), "bernoulli", posterior(0.0, 200.0),
        torch.zeros(16, 1, 2, 2), 0,
    ).loss  # fmt: skip
    assert torch.isinf(loss)


@pytest.mark.parametrize("spread", [1e-3, 1, 1e3])
def test_beta_tc_vae_is_finite_where_posteriors_lie_far_apart(spread):
    """PyTorch-VAE #16: the log of a density that underflows."""
    torch.manual_seed(0)
    mean, log_var = spread * torch.randn(16, 4), torch.full((16, 4), -6.0)
    mean.requires_grad_()
    output = VAEOutput(torch.zeros(16, 1, 2, 2), Posterior(mean, log_var, mean + 0.05))
    objective = build_objective(name="beta_tc_vae", beta=6)
    loss = evaluate(objective, "bernoulli", output, torch.zeros(16, 1, 2, 2), 0).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(mean.grad).all()

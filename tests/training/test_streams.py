"""Random streams: shared by the configurations of a seed, or each replicate's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.objectives import build_objective, error_of
from stratigraph.records import load_checkpoint, save_checkpoint
from stratigraph.training import (
    RunConfig,
    initial_state,
    model_of,
    stratum,
    training_states,
)
from stratigraph.training.loop import _Batches
from stratigraph.training.stratum import equal_models


def config(objective="vae", data="./pictures.npy", **options) -> RunConfig:
    given = {"architecture": "fully_connected", "latents": 3, "batch_size": 8, **options}
    return RunConfig(data=data, objective=objective, steps=3, **given)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "pictures.npy"
    drawn = np.random.default_rng(0).integers(0, 256, (30, 1, 32, 32), dtype=np.uint8)
    np.save(file, drawn)
    return config(data=str(file)).dataset()


def trained(one: RunConfig, dataset) -> dict[str, torch.Tensor]:
    state = initial_state(one, dataset)
    for _ in training_states(one, dataset, state):
        pass
    return state.model.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether the network's own weights are the same bits; the objective's own stand apart."""
    return all(torch.equal(a[name], b[name]) for name in a if not name.startswith("objective."))


def test_shared_streams_are_what_they_were():
    one = config(seed=5)
    assert one.stream_seed == 5
    assert "streams" not in one.to_dict()
    assert one.run_id == config(seed=5, streams="shared").run_id
    assert one.label().endswith("seed 5")


def test_own_streams_follow_from_the_whole_configuration():
    one = config(seed=5, streams="own")
    assert RunConfig.from_dict(one.to_dict()).stream_seed == one.stream_seed
    assert one.run_id != config(seed=5).run_id
    assert one.label().endswith("replicate 5")
    others = [
        config(seed=6, streams="own"),
        config({"name": "beta_vae", "beta": 4}, seed=5, streams="own"),
        config(seed=5, streams="own", latents=4),
    ]
    seeds = {one.stream_seed, *(other.stream_seed for other in others)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    with pytest.raises(ConfigError, match="streams: unknown name 'owm'"):
        config(streams="owm")


def test_weights_and_order_are_a_replicates_own(dataset):
    for streams, alike in (("shared", True), ("own", False)):
        a = config({"name": "beta_vae", "beta": 1}, streams=streams)
        b = config({"name": "beta_vae", "beta": 4}, streams=streams)
        first = [initial_state(one, dataset).model.state_dict() for one in (a, b)]
        assert same(*first) is alike
        (chosen, noise), (others, other) = (_Batches(one, dataset).at(0) for one in (a, b))
        assert (chosen == others).all() == alike
        assert torch.equal(noise, other) is alike


def test_own_streams_go_on_with_the_same_bits(dataset, tmp_path):
    one = config(seed=1, streams="own")
    whole = trained(one, dataset)
    assert same(whole, trained(one, dataset))
    begun = initial_state(one, dataset)
    for state in training_states(one, dataset, begun):
        if state.step == 1:
            save_checkpoint(tmp_path, 1, state.model, state.optimiser)
            break
    resumed = initial_state(one, dataset)
    resumed.step = load_checkpoint(tmp_path, resumed.model, resumed.optimiser)
    for _ in training_states(one, dataset, resumed):
        pass
    assert same(whole, resumed.model.state_dict())


EQUAL = [
    ("vae", {"name": "beta_vae", "beta": 1}),
    ({"name": "beta_tc_vae", "beta": 1}, {"name": "beta_vae", "beta": 1}),
    ({"name": "dip_vae_i", "lambda_od": 0}, {"name": "beta_vae", "beta": 1}),
    ({"name": "dip_vae_ii", "lambda_od": 0}, {"name": "beta_vae", "beta": 1}),
    (
        {"name": "factor_vae", "gamma": 0, "layers": 2, "units": 9},
        {"name": "beta_vae", "beta": 1},
    ),
    ({"name": "annealed_vae", "c_max": 5, "gamma": 0}, {"name": "beta_vae", "beta": 0}),
    ({"name": "info_vae", "lambda_mmd": 1}, {"name": "beta_vae", "beta": 1}),
    ({"name": "info_vae", "lambda_mmd": 0.25, "alpha": 0.75}, {"name": "beta_vae", "beta": 0.25}),
    ({"name": "info_vae", "lambda_mmd": 5, "alpha": 1}, {"name": "mmd_vae", "lambda_mmd": 5}),
    ({"name": "mmd_vae", "lambda_mmd": 0}, {"name": "beta_vae", "beta": 0}),
    ({"name": "annealed_vae", "c_max": 5, "gamma": 1000}, {"name": "annealed_vae", "c_max": 5}),
]


@pytest.mark.parametrize(("objective", "simpler"), EQUAL)
def test_what_is_said_to_be_equal_is_so_bit_for_bit(objective, simpler, dataset):
    a, b = config(objective), config(simpler)
    assert stratum(a) == stratum(b)
    assert same(trained(b, dataset), trained(a, dataset))


@pytest.mark.parametrize(
    "objective",
    [
        {"name": "beta_tc_vae", "beta": 2},
        {"name": "dip_vae_i", "lambda_od": 0, "lambda_d": 1},
        {"name": "factor_vae", "gamma": 1, "layers": 2, "units": 9},
        {"name": "info_vae", "lambda_mmd": 3, "alpha": 0.5},
        {"name": "kl_annealed_vae", "annealing_steps": 1},
        {"name": "annealed_vae", "c_max": 0},
    ],
)
def test_what_is_another_model_stays_one(objective):
    assert model_of(config(objective))["name"] == objective["name"]


@pytest.mark.parametrize(
    "objective",
    [
        {"name": "dip_vae_ii", "lambda_od": 2},
        {"name": "info_vae", "lambda_mmd": 5, "alpha": 1},
        {"name": "factor_vae", "gamma": 3},
        "vae",
    ],
)
def test_a_model_is_an_objective_that_can_be_made(objective):
    model = model_of(config(objective))
    assert model_of(config(model)) == model


def test_a_stratum_is_of_replicates_alone():
    one = config(seed=0)
    assert stratum(one) == stratum(config(seed=7)) == stratum(config(seed=7, streams="own"))
    assert stratum(one) != stratum(config(seed=0, latents=4))


def test_with_parts_a_network_of_the_users_may_remember_the_second_batch(tmp_path, monkeypatch):
    (tmp_path / "user_nets.py").write_text(
        "from stratigraph.models.fully_connected import fully_connected_encoder as enc\n"
        "def mine(image_shape):\n    return enc(image_shape)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = {"encoder": "user_nets:mine", "decoder": "fully_connected"}
    factor = config({"name": "factor_vae", "gamma": 0}, architecture=mine)
    assert model_of(factor)["name"] == "factor_vae"
    assert model_of(config("vae", architecture=mine))["name"] == "beta_vae"


@dataclass(frozen=True)
class Whole:
    """A user's objective, which makes its terms itself."""

    strength: ClassVar[str | None] = None

    def terms(self, given):
        raise NotImplementedError


class Said(Whole):
    error: ClassVar[str | None] = "gaussian"


def test_what_the_error_of_a_run_is_may_be_nobodys_knowledge():
    for objective, expected in (
        (build_objective("beta_vae", beta=1), "bernoulli"),
        (build_objective("factor_vae", gamma=1), "bernoulli"),
        (build_objective("sigma_vae"), "scaled_gaussian"),
        (build_objective("classification"), "factors"),
        (Whole(), None),
        (Said(), "gaussian"),
    ):
        assert error_of(objective, "bernoulli") == expected


def test_equal_models_are_told_in_one_line():
    two = [config({"name": "beta_tc_vae", "beta": 1}), config({"name": "beta_vae", "beta": 1.0})]
    told = "equal models, one in every finding: beta_tc_vae beta=1 = beta_vae beta=1"
    assert equal_models([*two, config({"name": "beta_vae", "beta": 4})]) == told
    assert equal_models(two[:1]) == ""

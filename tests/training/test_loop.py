"""The training loop: the same bits whatever came between, and an error rather than nonsense."""

import copy
import dataclasses
import math
from itertools import chain, islice

import numpy as np
import pytest
import torch
from torch import nn

from stratigraph.data import Dataset, load_dataset, split
from stratigraph.errors import ConfigError
from stratigraph.models import ENCODERS
from stratigraph.objectives import OBJECTIVES as KNOWN, RECONSTRUCTIONS, Terms
from stratigraph.records import checkpoint_step, load_checkpoint, save_checkpoint
from stratigraph.training import (
    DivergedError,
    RunConfig,
    initial_state,
    split_of,
    step_noise,
    training_states,
    validation_indices,
    validation_terms,
)

SPRITES = {"name": "sprites", "size": 32, "cache": False}
COUNT, BATCH, EPOCH, STEPS = 30, 8, 3, 8  # 27 images to train on: three steps an epoch


@dataclasses.dataclass
class Recorded:
    """Thirty images that remember when they were read."""

    array: np.ndarray
    reads: list[list[int]] = dataclasses.field(default_factory=list)
    image_shape = (1, 32, 32)
    max_value = 255

    def __len__(self):
        return len(self.array)

    def read(self, indices):
        self.reads.append(indices.tolist())
        return self.array[indices]

    def prepare(self):
        pass

    def fingerprint(self):
        return "recorded"


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 1, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def path(pictures, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "pictures.npy"
    np.save(file, pictures)
    return str(file)


def config_of(data, **changes):
    values = {
        "objective": {"name": "beta_tc_vae", "beta": 4},
        "steps": STEPS,
        "batch_size": BATCH,
        "learning_rate": 1e-3,
        "latents": 3,
    }
    return RunConfig(data=data, **(values | changes))


def fresh(config):
    return initial_state(config, config.dataset())


def drained(config, state=None, steps=None):
    """The state after the last step, or after ``steps`` updates."""
    state = state or fresh(config)
    states = training_states(config, config.dataset(), state)
    for _ in states if steps is None else islice(states, steps + 1):
        pass
    return state


def weights(state):
    return [p.detach().clone() for p in state.model.parameters()]


def equal(a, b):
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def assert_same(a, b):
    assert a.step == b.step
    assert equal(weights(a), weights(b))
    one, other = a.optimiser.state_dict(), b.optimiser.state_dict()
    assert one["param_groups"] == other["param_groups"]
    assert one["state"].keys() == other["state"].keys()
    for index, moments in one["state"].items():
        assert moments.keys() == other["state"][index].keys()
        for name, value in moments.items():
            again = other["state"][index][name]
            assert torch.equal(value, again), (index, name)
            assert value.stride() == again.stride(), (index, name)
            assert value.dtype == again.dtype


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(path):
    torch.manual_seed(1)
    one = drained(config_of(path))
    torch.manual_seed(2)
    assert_same(one, drained(config_of(path)))
    begun, others = (weights(fresh(config_of(path, seed=seed))) for seed in (0, 1))
    assert not any(torch.equal(x, y) for x, y in zip(begun, others, strict=True) if x.any())
    other = drained(config_of(path, seed=1))
    assert not any(torch.equal(x, y) for x, y in zip(weights(one), weights(other), strict=True))
    assert float(one.terms.loss) != float(other.terms.loss)


def test_the_global_random_state_is_left_alone(path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    drained(config_of(path), steps=2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.fixture(scope="module")
def uninterrupted(path):
    return drained(config_of(path))


@pytest.mark.parametrize("stops", [(0,), (1,), (4,), (7,), (8,), (2, 5), (3, 6), (0, 1)])
def test_a_run_continued_from_files_has_the_bits_of_one_that_was_not_stopped(
    path, uninterrupted, tmp_path, stops
):
    config = config_of(path)
    state = fresh(config)
    for stop in stops:
        drained(config, state, steps=stop - state.step)
        assert state.step == stop
        save_checkpoint(tmp_path, state.step, state.model, state.optimiser)
        assert checkpoint_step(tmp_path) == stop
        state = fresh(dataclasses.replace(config, seed=99))  # nothing may come from its weights
        state.step = load_checkpoint(tmp_path, state.model, state.optimiser)
    assert_same(drained(config, state), uninterrupted)


OBJECTIVES = {
    "vae": {},
    "beta_vae": {"beta": 4},
    "annealed_vae": {"c_max": 5},
    "beta_tc_vae": {"beta": 4},
    "dip_vae_i": {"lambda_od": 2},
    "dip_vae_ii": {"lambda_od": 2},
    "kl_annealed_vae": {"annealing_steps": 5},
    "factor_vae": {"gamma": 5, "layers": 2, "units": 16},
    "info_vae": {"lambda_mmd": 10},
    "mmd_vae": {"lambda_mmd": 10},
    "sigma_vae": {},
    "vq_vae": {"codes": 8, "dimensions": 4},
}


def test_every_objective_is_resumed():
    assert set(OBJECTIVES) == set(KNOWN)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_any_objective_is_resumed_with_its_bits_and_validated_without_a_change(
    path, tmp_path, name
):
    changes = {"objective": {"name": name, **OBJECTIVES[name]}}
    changes["reconstruction"] = "gaussian" if name == "sigma_vae" else "bernoulli"
    config = config_of(path, **changes)
    whole, dataset = drained(config), config.dataset()
    held_out = validation_indices(config, dataset)
    state = drained(config, steps=4)
    first = validation_terms(config, dataset, state, held_out)
    assert first == validation_terms(config, dataset, state, held_out)
    assert first.keys() == whole.terms.values().keys()
    save_checkpoint(tmp_path, 4, state.model, state.optimiser)
    state = fresh(dataclasses.replace(config, seed=99))
    state.step = load_checkpoint(tmp_path, state.model, state.optimiser)
    assert_same(drained(config, state), whole)
    assert whole.terms.values() == state.terms.values()
    begun = dict(fresh(config).model.named_parameters())
    for weight, parameter in whole.model.named_parameters():
        assert not torch.equal(parameter, begun[weight]), weight


class Drawing(nn.Sequential):
    """A user's encoder that draws from torch: weights of no `reset_parameters`, and dropout."""

    def __init__(self, image_shape):
        super().__init__(nn.Flatten(), nn.BatchNorm1d(math.prod(image_shape)), nn.Dropout(0.5))
        self.token = nn.Parameter(torch.randn(math.prod(image_shape)))

    def forward(self, images):
        return super().forward(images) + self.token


def test_what_a_users_network_draws_is_a_function_of_seed_and_step(path, tmp_path, monkeypatch):
    monkeypatch.setitem(ENCODERS, "drawing", Drawing)
    parts = {"encoder": "drawing", "decoder": {"name": "fully_connected", "width": 8}}
    config = config_of(path, architecture=parts)
    torch.manual_seed(1)
    whole = drained(config)
    torch.manual_seed(2)
    begun, other = fresh(config), fresh(dataclasses.replace(config, seed=1))
    assert not torch.equal(begun.model.encoder.token, other.model.encoder.token)
    state = drained(config, begun, steps=4)
    save_checkpoint(tmp_path, 4, state.model, state.optimiser)
    state = fresh(config)
    state.step = load_checkpoint(tmp_path, state.model, state.optimiser)
    assert_same(drained(config, state), whole)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_held_out_images_of_which_one_would_be_left_over_are_validated(path, name):
    changes = {"objective": {"name": name, **OBJECTIVES[name]}, "validation": 0.1, "batch_size": 2}
    changes["reconstruction"] = "gaussian" if name == "sigma_vae" else "bernoulli"
    config = config_of(path, **changes)
    dataset = config.dataset()
    held_out = validation_indices(config, dataset)
    assert len(held_out) % config.batch_size == 1
    terms = validation_terms(config, dataset, fresh(config), held_out)
    assert np.isfinite(list(terms.values())).all(), terms


def test_an_objectives_own_parts_have_their_own_adam_and_are_no_layer(path):
    objective = {"name": "factor_vae", "gamma": 5, "layers": 2, "units": 16, "beta_1": 0.4}
    state = fresh(config_of(path, objective=objective))
    network, own = state.optimiser.param_groups
    assert (network["lr"], network["betas"]) == (1e-3, (0.9, 0.999))
    assert (own["lr"], own["betas"]) == (1e-4, (0.4, 0.9))
    names = [name for name, _ in state.model.objective.named_parameters()]
    assert len(own["params"]) == len(names) == 6
    assert not any("objective" in layer for layer in state.model.layer_names())
    plain = fresh(config_of(path, objective={"name": "vae"}))
    assert len(plain.optimiser.param_groups) == 1
    for name, weight in plain.model.named_parameters():
        assert torch.equal(weight, state.model.get_parameter(name))


def test_the_second_batch_is_another_each_step_and_independent_of_the_first(pictures):
    source = Recorded(pictures)
    objective = {"name": "factor_vae", "gamma": 5, "layers": 1, "units": 4}
    config = config_of(SPRITES, steps=2 * EPOCH, objective=objective)
    for _ in training_states(config, Dataset("recorded", source), fresh(config)):
        pass
    first, second = source.reads[::2], source.reads[1::2]
    plain = Recorded(pictures)
    without = dataclasses.replace(config, objective={"name": "vae"})
    for _ in training_states(without, Dataset("recorded", plain), fresh(without)):
        pass
    assert first == plain.reads
    assert len({tuple(sorted(batch)) for batch in first + second}) == len(first + second)
    for start in (0, EPOCH):
        assert len(set(chain(*second[start : start + EPOCH]))) == EPOCH * BATCH


def test_at_gamma_0_a_factor_vae_trains_as_the_vae(path):
    factor = {"name": "factor_vae", "gamma": 0, "layers": 1, "units": 4}
    one, other = (
        drained(config_of(path, objective=objective)) for objective in (factor, {"name": "vae"})
    )
    for name, weight in other.model.named_parameters():
        assert torch.equal(weight, one.model.get_parameter(name))


def test_a_total_correlation_over_pairs_is_refused_of_a_hierarchy_and_one_by_samples_is_not(path):
    text = r"objective beta_tc_vae: it needs the density .* which ladder does not have; use factor"
    with pytest.raises(ConfigError, match=text):
        fresh(config_of(path, architecture="ladder", latents=6))
    objective = {"name": "factor_vae", "gamma": 5, "layers": 1, "units": 4}
    config = config_of(path, architecture="ladder", latents=6, objective=objective, steps=1)
    assert torch.isfinite(drained(config).terms.loss)


def test_moments_lie_in_memory_as_their_parameters_do(path, tmp_path):
    config = config_of(path)
    state = drained(config, steps=2)
    save_checkpoint(tmp_path, 2, state.model, state.optimiser)
    again = fresh(config)
    assert load_checkpoint(tmp_path, again.model, again.optimiser) == 2
    for one in (state, again):
        kernel = one.model.encoder.conv2[0].weight
        assert kernel.is_contiguous(memory_format=torch.channels_last)
        assert not kernel.is_contiguous()
        for parameter in one.model.parameters():
            moments = one.optimiser.state[parameter]
            assert moments["exp_avg"].stride() == parameter.stride()
            assert moments["exp_avg_sq"].stride() == parameter.stride()
            assert float(moments["step"]) == 2


def test_every_state_is_yielded_the_first_as_it_came(path):
    config = config_of(path, steps=3)
    state = fresh(config)
    begun = weights(state)
    states = training_states(config, config.dataset(), state)
    assert next(states).step == 0
    assert state.terms is None
    assert equal(weights(state), begun)
    steps = []
    for state in states:
        steps.append(state.step)
        assert isinstance(state.terms, Terms)
        assert not state.terms.loss.requires_grad
    assert steps == [1, 2, 3]
    assert [s.step for s in training_states(config, config.dataset(), state)] == [3]


def test_batches_cover_an_epoch_without_repeats_and_epochs_differ(pictures):
    source = Recorded(pictures)
    dataset = Dataset("recorded", source)
    config = config_of(SPRITES, steps=4 * EPOCH)
    for _ in training_states(config, dataset, fresh(config)):
        pass
    parts = split_of(config, dataset)
    assert [len(batch) for batch in source.reads] == [BATCH] * (4 * EPOCH)
    epochs = [list(chain(*source.reads[i : i + EPOCH])) for i in range(0, 4 * EPOCH, EPOCH)]
    for seen in epochs:
        assert len(set(seen)) == EPOCH * BATCH
        assert set(seen) <= set(parts.train.tolist())
    assert len({tuple(seen) for seen in epochs}) == 4
    assert len({frozenset(seen) for seen in epochs}) > 1  # what an epoch leaves out differs too
    assert set(chain(*epochs)) == set(parts.train.tolist())


def test_the_update_is_adam_on_the_documented_batch(pictures):
    # One step by hand from zero moments: w − lr · g / (|g| + eps).
    source = Recorded(pictures)
    config = config_of(SPRITES, steps=1, objective={"name": "beta_vae", "beta": 2}, epsilon=1e-3)
    dataset = Dataset("recorded", source)
    state, twin = fresh(config), fresh(config)
    for _ in training_states(config, dataset, state):
        pass
    images = dataset.tensor(source.reads[0])
    result = twin.model(images, step_noise(config.seed, 0, BATCH, 3))
    mean, log_var, _ = result.posterior
    kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum(1).mean()
    (RECONSTRUCTIONS["bernoulli"](result.output, images) + 2 * kl).backward()
    for got, start in zip(state.model.parameters(), twin.model.parameters(), strict=True):
        want = start - 1e-3 * start.grad / (start.grad.abs() + 1e-3)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_each_step_has_its_own_noise_and_its_own_place_in_the_annealing(pictures):
    source = Recorded(pictures)
    dataset = Dataset("recorded", source)
    annealed = {"name": "kl_annealed_vae", "annealing_steps": 3}
    config = config_of(SPRITES, steps=5, objective=annealed)
    state = fresh(config)
    with torch.no_grad():
        state.model.decoder.dense1[0].weight.mul_(500)  # the noise must be seen in the images
    states = training_states(config, dataset, state)
    next(states)
    for step in range(5):
        before = copy.deepcopy(state.model)
        next(states)
        images = torch.from_numpy(pictures[source.reads[step]]) / 255

        def reconstruction(of, model=before, images=images):
            with torch.no_grad():
                output = model(images, step_noise(config.seed, of, BATCH, 3)).output
            return float(RECONSTRUCTIONS["bernoulli"](output, images))

        got = float(state.terms.reconstruction)
        assert got == pytest.approx(reconstruction(step), rel=1e-5)
        assert got != pytest.approx(reconstruction(step + 1), rel=1e-4)
        weight = min(step / 3, 1)
        assert float(state.terms.regulariser) == pytest.approx(weight * float(state.terms.kl))


def test_too_few_images_for_a_batch(path):
    config = config_of(path, batch_size=28)
    with pytest.raises(
        ConfigError, match=r"batch_size: 28 is more than the 27 training images of pictures; make"
    ):
        next(training_states(config, config.dataset(), fresh(config)))
    config = config_of(path, batch_size=27, steps=1)
    assert drained(config).step == 1


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"learning_rate": 1e30}, 1),
        ({"objective": {"name": "dip_vae_i", "lambda_od": 3e37}}, 0),
    ],
)
def test_a_loss_that_is_not_finite_stops_at_its_step_before_the_update(path, changes, step):
    config = config_of(path, **changes)
    state = fresh(config)
    text = rf"the loss was not finite at step {step} \(loss .*\); lower the learning rate"
    with pytest.raises(DivergedError, match=text) as e:
        for _ in training_states(config, config.dataset(), state):
            before = weights(state)
    assert e.value.step == step == state.step
    assert "reconstruction" in str(e.value)
    assert "regulariser" in str(e.value)
    assert equal(before, weights(state))
    assert all(torch.isfinite(w).all() for w in before)


def test_validation_images_are_unseen_and_spread_over_the_set():
    dataset = load_dataset("sprites", size=32, cache=False)
    config = config_of(SPRITES, validation_images=512)
    chosen = validation_indices(config, dataset)
    assert len(set(chosen.tolist())) == 512
    assert not np.isin(chosen, split_of(config, dataset).train).any()
    tenths = np.bincount(chosen * 10 // len(dataset), minlength=10)
    assert tenths.min() >= 25  # 51 each if it were even; a corner of the set would leave zeros
    for column, size in zip(dataset.factors(chosen).T, dataset.factor_sizes, strict=True):
        assert len(set(column.tolist())) >= 0.9 * (size - 1)
    assert np.array_equal(validation_indices(dataclasses.replace(config, seed=7), dataset), chosen)
    other = validation_indices(dataclasses.replace(config, split_seed=7), dataset)
    assert not np.array_equal(other, chosen)


def test_fewer_validation_images_than_asked_are_all_of_them(path):
    config = config_of(path, validation_images=512)
    dataset = config.dataset()
    want = split(dataset, validation=0.1, seed=0).validation
    assert sorted(validation_indices(config, dataset)) == want.tolist()


def test_validation_terms_weigh_batches_by_their_images(path):
    # 15 held-out images in batches of 8 and 7, or in one: the same mean, and nothing changes.
    config = config_of(path, validation=0.5, objective={"name": "beta_vae", "beta": 4})
    dataset, state = config.dataset(), fresh(config)
    held_out = validation_indices(config, dataset)
    assert len(held_out) == 15
    begun = weights(state)
    two = validation_terms(config, dataset, state, held_out)
    one = validation_terms(dataclasses.replace(config, batch_size=64), dataset, state, held_out)
    assert two == pytest.approx(one, rel=1e-3)  # a wrong weighing is off by 16/15
    assert two["loss"] == pytest.approx(two["reconstruction"] + 4 * two["kl"], rel=1e-5)
    assert equal(weights(state), begun)
    assert two == validation_terms(config, dataset, state, held_out)


def test_validating_between_steps_changes_no_bit(path, uninterrupted):
    config = config_of(path)
    dataset, state = config.dataset(), fresh(config)
    held_out = validation_indices(config, dataset)
    for _ in training_states(config, dataset, state):
        validation_terms(config, dataset, state, held_out)
    assert_same(state, uninterrupted)


def test_sixty_steps_lower_the_loss_on_images_never_seen():
    config = RunConfig(
        data=SPRITES,
        objective={"name": "beta_vae", "beta": 1},
        steps=60,
        batch_size=16,
        learning_rate=1e-3,
        validation_images=64,
    )
    dataset = config.dataset()
    held_out = validation_indices(config, dataset)
    state = initial_state(config, dataset)
    before = validation_terms(config, dataset, state, held_out)
    drained(config, state)
    after = validation_terms(config, dataset, state, held_out)
    assert after["loss"] < 0.5 * before["loss"]
    assert after["reconstruction"] < 0.5 * before["reconstruction"]

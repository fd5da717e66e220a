"""How many latents: the search with real networks, from Python and from the command line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from stratigraph.cli.main import app
from stratigraph.errors import ConfigError
from stratigraph.latents import levina_bickel
from stratigraph.stages import LatentSizeSettings, choose_latents
from stratigraph.training import RunConfig

DATA = {"name": "sprites", "size": 32, "cache": False}
CONFIG = RunConfig(
    DATA, {"name": "beta_vae", "beta": 1}, 9, "fully_connected", batch_size=16, learning_rate=1e-3
)
TINY = LatentSizeSettings(steps=3, images=60, most=8)


@pytest.fixture(scope="module")
def chosen():
    return choose_latents(CONFIG, TINY)


def test_it_says_how_it_was_found(chosen):
    dataset_dimension = chosen.data
    assert 2 < dataset_dimension < 20
    assert (chosen.steps, chosen.images) == (3, 60)
    assert chosen.found.threshold == pytest.approx(0.2 * dataset_dimension)
    assert chosen.found.trials[0].latents == min(round(dataset_dimension), 8)
    assert 0 <= chosen.latents <= 8
    for trial in chosen.found.trials:
        assert trial.agree == (trial.gap <= chosen.found.threshold)
        assert math.isfinite(trial.mean)
        assert trial.sampled > 0


def test_the_same_configuration_gives_the_same_bits(chosen):
    assert choose_latents(CONFIG, TINY) == chosen


def test_neither_latents_nor_steps_of_the_configuration_count(chosen):
    other = RunConfig(**{**CONFIG.to_dict(), "latents": 3, "steps": 40, "snapshots": ()})
    assert choose_latents(other, TINY) == chosen


def test_the_first_trial_is_the_networks_own(chosen):
    # By hand: the network of so many latents after 3 steps, read on the same images.
    from stratigraph.data import draw_probes
    from stratigraph.training import derived_seed, initial_state, split_of, training_states

    trial = chosen.found.trials[0]
    config = RunConfig(
        **{**CONFIG.to_dict(), "latents": trial.latents, "steps": 3, "snapshots": ()}
    )
    dataset = config.dataset()
    state = initial_state(config, dataset)
    *_, last = training_states(config, dataset, state)
    assert last.step == 3
    shown = draw_probes(dataset, split_of(config, dataset), 60, derived_seed(0, "latent size"))
    mean = state.model.encode(dataset.tensor(shown))[0].detach().numpy()
    assert levina_bickel(mean) == pytest.approx(trial.mean, rel=1e-4)
    assert np.isfinite(mean).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"estimator": "two_n"}, "Did you mean 'two_nn'"),
        ({"images": 5}, "images: expected a whole number from 30 to 5000, got 5"),
        ({"steps": 0}, "steps: expected a whole number from 1"),
        ({"most": 0}, "most: expected"),
        ({"threshold": -0.1}, "threshold: expected a share"),
    ],
)
def test_bad_settings_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        LatentSizeSettings(**settings)


def test_classifiers_have_no_latents_to_count():
    config = RunConfig(DATA, {"name": "classification"}, 9)
    with pytest.raises(ConfigError, match="is a classifier; choose a VAE"):
        choose_latents(config, TINY)


def test_networks_of_codes_are_refused_before_they_are_trained(monkeypatch):
    monkeypatch.setattr("stratigraph.stages.latent_size.training_states", None)
    config = RunConfig(DATA, {"name": "vq_vae", "codes": 4}, 9, batch_size=16)
    with pytest.raises(ConfigError, match="has codes, and no Gaussian latents; choose a VAE"):
        choose_latents(config, TINY)


def command(*arguments):
    return CliRunner().invoke(app, ["latent-size", *map(str, arguments)])


def test_the_command_prints_the_table_and_the_answer(tiny_file):
    done = command(tiny_file, "--steps", 2, "--images", 40, "--most", 2)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "ID of mean" in done.output
    assert "of the data's own dimension" in lines[-1]
    assert " latents: " in lines[-1]


def test_the_command_reads_a_study_and_its_trained_latents(tiny_study):
    done = command(tiny_study.path, "--steps", 2, "--images", 40, "--most", 2, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["latents"] <= 2
    assert facts["steps"] == 2
    assert {"latents", "id_mean", "id_sample", "gap", "agree"} == set(facts["trials"][0])
    assert len(facts["trained"]) == 4
    row = facts["trained"][0]
    assert row["active"] + row["mixed"] + row["passive"] == row["latents"] == 10


def test_the_command_says_what_it_needs(tiny_file):
    for arguments, said in (
        ((), "give either a study or --data"),
        ((tiny_file, "--data", "sprites"), "either a study or --data"),
        (("--data", "sprites", "--run", "ab"), "--data uses none"),
        ((tiny_file, "--run", "zz"), "no run whose id begins with 'zz'"),
    ):
        done = command(*arguments)
        assert done.exit_code != 0
        assert said in str(done.exception)

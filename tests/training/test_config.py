"""A run's configuration: valid or an error that names the setting, and a name that never moves."""

import json
from pathlib import Path

import pytest

from stratigraph.errors import ConfigError
from stratigraph.training import RunConfig, SnapshotSchedule

DATA = {"name": "sprites", "size": 32, "cache": False}
BETA = {"name": "beta_vae", "beta": 4}
LARGEST = 2**63 - 1


def made(**changes):
    return RunConfig.from_dict({"data": DATA, "objective": BETA, "steps": 100} | changes)


def test_the_defaults_are_the_study_s():
    assert made().to_dict() == {
        "data": DATA,
        "objective": BETA,
        "steps": 100,
        "architecture": "convolutional",
        "latents": 10,
        "seed": 0,
        "snapshots": [0, 100],
        "reconstruction": "bernoulli",
        "initialisation": "keras",
        "batch_size": 64,
        "learning_rate": 1e-4,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "validation": 0.1,
        "split_seed": 0,
        "validation_images": 512,
        "log_every": 50,
    }


@pytest.mark.parametrize(
    "config",
    [
        made(),
        made(data="./pictures.npy", objective="vae", snapshots=[0, 3, 50]),
        made(objective={"name": "dip_vae_ii", "lambda_od": 2.5}, seed=LARGEST, latents=65_536),
        made(snapshots=SnapshotSchedule.log_spaced(5, 100), beta_1=0, reconstruction="gaussian"),
    ],
)
def test_round_trip_through_json(config):
    values = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    again = RunConfig.from_dict(values)
    assert again == config
    assert again.run_id == config.run_id
    assert hash(again) == hash(config)
    assert again.to_dict() == config.to_dict()


def test_run_ids_are_golden():
    # Names of folders on users' disks: a change here orphans every study that exists.
    assert made().run_id == "7ea0ed94fd53"
    assert made(objective="vae").run_id == "de9cd19afae5"
    assert made(beta_1=0).run_id == "0d67bd0d807d"


def test_one_configuration_has_one_name():
    want = made().run_id
    assert made(objective={"beta": 4.0, "name": "beta_vae"}).run_id == want
    assert made(data=dict(reversed(DATA.items()))).run_id == want
    assert made(seed=0, latents=10, snapshots=(0, 100)).run_id == want
    assert made(snapshots=SnapshotSchedule((0,))).run_id == want


@pytest.mark.parametrize(
    "changes",
    [
        {"data": DATA | {"size": 64}},
        {"objective": BETA | {"beta": 4.5}},
        {"objective": {"name": "beta_tc_vae", "beta": 4}},
        {"steps": 101},
        {"architecture": "convolutional_k4"},
        {"latents": 11},
        {"seed": 1},
        {"snapshots": [0, 1]},
        {"reconstruction": "gaussian"},
        {"initialisation": "torch"},
        {"batch_size": 63},
        {"learning_rate": 1e-3},
        {"beta_1": 0.8},
        {"beta_2": 0.99},
        {"epsilon": 1e-7},
        {"validation": 0.2},
        {"split_seed": 1},
        {"validation_images": 511},
        {"log_every": 49},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_setting_is_in_the_name(changes):
    assert made(**changes).run_id != made().run_id
    assert made(**changes) != made()


def test_the_last_step_is_always_kept_and_the_settings_are_not_the_caller_s_objects():
    data = dict(DATA)
    config = made(data=data, snapshots=[0, 7])
    assert config.snapshots == (0, 7, 100)
    data["size"] = 64
    assert config.data["size"] == 32


def test_strength_and_label():
    config = made(seed=3)
    assert (config.strength_name, config.strength) == ("beta", 4)
    assert config.label() == "beta_vae beta=4 · sprites · convolutional · 10 latents · seed 3"
    plain = made(objective="vae")
    assert (plain.strength_name, plain.strength) == (None, None)
    assert plain.label() == "vae · sprites · convolutional · 10 latents · seed 0"


NUMBER = "expected a whole number from"
BAD = [
    ("steps", 0, f"steps: {NUMBER} 1 to 1000000000, got 0."),
    ("steps", 10.0, f"steps: {NUMBER} 1 to 1000000000, got 10.0."),
    ("latents", 0, f"latents: {NUMBER} 1 to 65536, got 0."),
    ("latents", 10**9, f"latents: {NUMBER} 1 to 65536, got 1000000000."),
    ("latents", "ten", f"latents: {NUMBER} 1 to 65536, got 'ten'."),
    ("seed", -1, f"seed: {NUMBER} 0 to {LARGEST}, got -1."),
    ("seed", 2**64, f"seed: {NUMBER} 0 to {LARGEST}, got {2**64}."),
    ("seed", True, f"seed: {NUMBER} 0 to {LARGEST}, got True."),
    ("split_seed", -1, f"split_seed: {NUMBER} 0 to {LARGEST}, got -1."),
    ("batch_size", 1, f"batch_size: {NUMBER} 2 to 65536, got 1."),
    ("validation_images", 1, f"validation_images: {NUMBER} 2 to 10000000, got 1."),
    ("log_every", 0, f"log_every: {NUMBER} 1 to 1000000000, got 0."),
    ("learning_rate", 0, "learning_rate: expected a number > 0 and ≤ 1.70141e+38, got 0."),
    (
        "learning_rate",
        float("nan"),
        "learning_rate: expected a number > 0 and ≤ 1.70141e+38, got nan.",
    ),
    ("learning_rate", True, "learning_rate: expected a number > 0 and ≤ 1.70141e+38, got True."),
    (
        "learning_rate",
        "fast",
        "learning_rate: expected a number > 0 and ≤ 1.70141e+38, got 'fast'.",
    ),
    ("epsilon", float("inf"), "epsilon: expected a number > 0 and ≤ 1.70141e+38, got inf."),
    ("beta_1", 1, "beta_1: expected a number ≥ 0 and < 1, got 1."),
    ("beta_2", -0.1, "beta_2: expected a number ≥ 0 and < 1, got -0.1."),
    ("validation", 0, "validation: expected a number > 0 and < 1, got 0."),
    ("validation", 1, "validation: expected a number > 0 and < 1, got 1."),
    *(
        (
            "objective",
            {"name": "beta_vae", "beta": beta},
            f"objective beta_vae: beta: expected a finite number ≥ 0, got {beta!r}.",
        )
        for beta in (-1, float("nan"), float("inf"), "four", True, None)
    ),
    ("objective", "beta_vae", "objective beta_vae: beta is missing; give it a number."),
    ("objective", "beta_va", "objective: unknown name 'beta_va'. Did you mean 'beta_vae'"),
    ("objective", {"beta": 4}, "objective: expected a name, or a mapping with a `name`, got {'b"),
    ("objective", BETA | {3: 1}, "objective: expected a name, or a mapping with a `name`, got {'n"),
    ("snapshots", [0, 101], "snapshots: step 101 comes after the last step of training, 100."),
    ("snapshots", [0, 5, 5], "snapshots: steps must increase, got 5 before 5; sort them and drop"),
    ("snapshots", [5, 0], "snapshots: steps must increase, got 5 before 0; sort them and drop"),
    ("snapshots", [-1], "snapshots: a step is a whole number ≥ 0, got -1."),
    ("snapshots", [0, 5.0], "snapshots: a step is a whole number ≥ 0, got 5.0."),
    ("snapshots", [True], "snapshots: a step is a whole number ≥ 0, got True."),
    ("snapshots", 5, "snapshots: expected a list of steps, got 5."),
    ("snapshots", None, "snapshots: expected a list of steps, got None."),
    ("snapshots", "all", "snapshots: expected a list of steps, got 'all'."),
    ("data", "sprite", "data: no data set is called 'sprite' (a path holds a / or a dot). Did you"),
    ("data", 3, "data: expected a name, or a mapping with a `name`, got 3."),
    ("data", {"size": 32}, "data: expected a name, or a mapping with a `name`, got {'size': 32}."),
    (
        "data",
        DATA | {"size": float("nan")},
        "data: its options are plain JSON values, got {'name': 'sprites', 'size': nan,",
    ),
    (
        "data",
        DATA | {"cache_dir": Path("x")},
        "data: its options are plain JSON values, got {'name': 'sprites', 'size': 32,",
    ),
    (
        "architecture",
        "convolutionl",
        "architecture: unknown name 'convolutionl'. Did you mean 'convolutional'",
    ),
    ("architecture", None, "architecture: expected a name, or a mapping"),
    ("architecture", ["a"], "architecture: expected a name, or a mapping"),
    (
        "reconstruction",
        "bernouli",
        "reconstruction: unknown name 'bernouli'. Did you mean 'bernoulli'?",
    ),
    ("reconstruction", ["a"], "reconstruction: expected a name, got ['a']."),
    ("initialisation", "kera", "initialisation: unknown name 'kera'. Did you mean 'keras'?"),
    ("learnin_rate", 1, "run: no setting is called 'learnin_rate'. Did you mean 'learning_rate'?"),
    ("zzz", 1, "run: no setting is called 'zzz'. Known: architecture, batch_size, "),
    ("run_id", "abc", "run: no setting is called 'run_id'."),
]


@pytest.mark.parametrize(("setting", "value", "text"), BAD)
def test_bad_values_are_said_with_their_names(setting, value, text):
    with pytest.raises(ConfigError) as error:
        made(**{setting: value})
    assert str(error.value).startswith(text)


def test_missing_settings_are_listed():
    with pytest.raises(ConfigError, match=r"^run: objective, steps is missing\.$"):
        RunConfig.from_dict({"data": DATA})


def test_an_objective_s_likelihood_and_posterior():
    sigma = {"name": "sigma_vae"}
    with pytest.raises(ConfigError, match=r"objective sigma_vae: it needs `reconstruction: gauss"):
        made(objective=sigma)
    assert made(objective=sigma, reconstruction="gaussian").gaussian
    assert made(objective=sigma, reconstruction="gaussian").strength is None
    codes = made(objective={"name": "vq_vae", "codes": 8})
    assert not codes.gaussian
    assert not codes.supervised
    assert codes.strength == 8
    assert not made(objective={"name": "classification"}).gaussian

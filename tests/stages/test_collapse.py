"""A run that acts on a collapse: it is told in the tables, and a killed run does as another."""

from __future__ import annotations

import importlib
import json

import pytest
import torch

from stratigraph.cli.main import main
from stratigraph.errors import ConfigError
from stratigraph.records import load_weights_of, snapshot_steps
from stratigraph.stages import train_run
from stratigraph.stages.collapse import watch_of
from stratigraph.study import Run
from stratigraph.training import RunConfig, initial_state, training_states

AT, OVER = 6, 8
STUDY = """
name: watched
grid:
  data: {path}
  architecture: {{name: fully_connected, width: 32}}
  objective: {{beta_vae: {{beta: 1}}}}
  on_collapse: {{action: stop, nats: 100, every: 3, after: 3, inputs: 16}}
training: {{steps: 24, batch_size: 8, validation: 0.25, validation_images: 20}}
probes: {{count: 16}}
snapshots: {{kind: explicit, steps: [0, 24]}}
"""


def config_of(data, **settings):
    # No latent carries 100 nats, so that the second reading is one too many.
    watched = {"action": "anneal", "nats": 100, "every": 3, "after": 3, "over": OVER, "inputs": 16}
    return RunConfig(
        data={"name": data}, objective={"name": "beta_vae", "beta": 1}, steps=24, batch_size=8,
        architecture={"name": "fully_connected", "width": 16}, learning_rate=1e-3,
        snapshots=(0, 12, 24), log_every=5, validation=0.25, validation_images=20,
        on_collapse={**watched, **settings} if settings.get("action", "") is not None else None,
    )  # fmt: skip


def test_a_killed_run_acts_as_one_that_was_not(data, tmp_path, monkeypatch):
    module = importlib.import_module("stratigraph.stages.trainer")
    config = config_of(data)
    state = train_run(tmp_path / "whole", config)
    metrics = Run(tmp_path / "whole", config).metrics
    training = metrics.query("split == 'training'").set_index("step")
    weight = training["regulariser_weight"]
    assert AT in weight.index  # the step of the action is logged, whatever log_every says
    assert weight[AT] == 1
    assert weight[10] == (9 - AT) / OVER  # of the update that led to it
    assert weight[15] == weight[24] == 1
    (told,) = [sign for sign in state["signs"] if "annealed" in sign]
    assert told.startswith(f"step {AT}: collapse: 10 of 10 latents carry less than 100 nats")
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1)
    save = module.save_checkpoint
    for stop in (4, 8, 17):  # with a strike, while the weight rises, and after

        def stopped(directory, step, *given, stop=stop):
            save(directory, step, *given)
            if step == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(module, "save_checkpoint", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_run(tmp_path / "killed", config)
        (tmp_path / "killed" / "state.json").unlink()  # which is only told
    monkeypatch.setattr(module, "save_checkpoint", save)
    again = train_run(tmp_path / "killed", config)
    assert snapshot_steps(tmp_path / "killed") == [0, 12, 24]
    for step in (12, 24):
        one, other = (load_weights_of(tmp_path / name, step) for name in ("whole", "killed"))
        assert all(torch.equal(one[name], other[name]) for name in one)
    tables = [tmp_path / name / "metrics" / "metrics.parquet" for name in ("whole", "killed")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert [sign for sign in again["signs"] if "annealed" in sign] == [told]


def test_it_is_the_same_run_until_it_acts(data):
    alone, watched = config_of(data, action=None), config_of(data)
    dataset = alone.dataset()
    kept = {}
    for config in (alone, watched):
        state = initial_state(config, dataset)
        for now in training_states(config, dataset, state, None, watch_of(config, dataset, state)):
            own = torch.cat([p.detach().flatten() for p in now.model.parameters()])
            kept.setdefault(now.step, []).append(own)
    alike = {step: bool(torch.equal(*pair)) for step, pair in kept.items()}
    assert all(alike[step] for step in range(AT + 1))
    assert not any(alike[step] for step in range(AT + 1, 25))


def test_a_run_that_stops_has_its_answer(tmp_path, data, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(path=data))
    with pytest.raises(SystemExit) as ended:
        main(["train", str(file), "--out", str(tmp_path / "out"), "--engine", "local", "--quiet"])
    assert not ended.value.code
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["list", str(tmp_path / "out"), "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["state"], told["step"]) == ("collapsed", AT)
    assert "so it stopped" in told["reason"]
    with pytest.raises(SystemExit):
        main(["show", str(tmp_path / "out"), told["run"]])
    assert f"collapsed at step {AT} of 24" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["verify", str(tmp_path / "out")])
    assert "damaged" not in capsys.readouterr().out


def test_a_run_that_acts_needs_its_watch(data):
    config = config_of(data)
    state = initial_state(config, config.dataset())
    with pytest.raises(ConfigError, match="needs its own CollapseWatch"):
        next(training_states(config, config.dataset(), state))

"""Replicates that a grid counts: their runs, and how many there are beyond the file's."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from stratigraph.cli.main import app
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.records import read_json
from stratigraph.stages import Progress, open_study, repair_study
from stratigraph.stages.replicates import add_replicates
from stratigraph.stages.verify import verify_study
from stratigraph.study import load_config, load_study, read_replicates, set_replicates
from stratigraph.study.grid import grid_size
from stratigraph.study.layout import REPLICATES

FILE = """
name: counted
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: {name: fully_connected, width: 32}
  objective: {beta_vae: {beta: [1, 4]}}
  seed: {replicates: 2, first: 10}
training: {steps: 2, batch_size: 8, validation_images: 16}
probes: {count: 8}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "counted.yaml"
    path.write_text(FILE)
    return path


def test_each_configuration_has_its_own(file):
    config = load_config(file)
    assert [(run.strength, run.seed) for run in config.runs] == [
        (1, 10), (1, 11), (4, 10), (4, 11),
    ]  # fmt: skip
    assert {run.streams for run in config.runs} == {"own"}
    assert len({run.stream_seed for run in config.runs}) == 4
    assert config.replicates == 2
    first = load_config(_changed(file, "{replicates: 2}"))
    assert [run.seed for run in first.runs] == [0, 1, 0, 1]


def _changed(file, seed):
    file.write_text(FILE.replace("{replicates: 2, first: 10}", seed))
    return file


def test_lists_of_seeds_share_their_streams(file):
    config = load_config(_changed(file, "[10, 11]"))
    assert [run.stream_seed for run in config.runs] == [10, 11, 10, 11]
    assert config.replicates is None


@pytest.mark.parametrize(
    ("seed", "told"),
    [
        ("{first: 3}", "replicates is missing"),
        ("{replicates: 0}", "replicates: expected a whole number from 1"),
        ("{replicates: 2, last: 3}", "no key is called 'last'"),
        ("{replicates: 2, first: -1}", "first: expected a whole number from 0"),
        ("{replicates: 1000000000000}", "2,000,000,000,000 runs, more than 1,000"),
    ],
)
def test_what_cannot_be_counted_is_told(file, seed, told):
    with pytest.raises(ConfigError, match=told):
        load_config(_changed(file, seed))


def test_a_grid_is_counted_and_not_built():
    value = {"seed": {"replicates": 3}, "latents": [1, 2]}
    assert grid_size(value) == 6
    assert grid_size(value, 8) == 16
    assert grid_size({"seed": [1, 2, 3]}, 8) == 3


def test_a_study_gains_replicates_and_loses_none(file, tmp_path):
    out = tmp_path / "out"
    before = open_study(file, out)
    assert read_replicates(out) == 0
    set_replicates(out, 2)
    assert not (out / REPLICATES).exists()  # as the file says
    set_replicates(out, 4)
    study = load_study(out)
    assert study.config.replicates == 4
    assert len(study.runs) == 8
    assert before.runs.keys() < study.runs.keys()
    assert [run.config.seed for run in study.runs.values()][:4] == [10, 11, 12, 13]
    assert open_study(file, out).runs.keys() == study.runs.keys()
    with pytest.raises(ConfigError, match="at least the 4"):
        set_replicates(out, 3)
    with pytest.raises(ConfigError, match="runs, more than 10,000"):
        set_replicates(out, 20_000)
    assert read_replicates(out) == 4
    assert verify_study(out).damages == []
    assert verify_study(out).strange == []
    # A file that says more than that counts, and one that gives seeds loses what was trained.
    assert len(open_study(_changed(file, "{replicates: 5, first: 10}"), out).runs) == 10
    listed = CliRunner().invoke(app, ["list", str(out)])
    assert listed.exit_code == 0
    assert "replicate 14" in listed.output


def test_what_says_how_many_is_checked(file, tmp_path):
    out = tmp_path / "out"
    open_study(file, out)
    set_replicates(out, 3)
    path = out / REPLICATES
    assert read_json(path) == {"format": 1, "replicates": 3}
    path.write_text(path.read_text().replace("3", "4", 1))
    with pytest.raises(IntegrityError, match=r"replicates\.json: damaged"):
        load_study(out)
    found = verify_study(out)
    assert [damage.path for damage in found.damages] == [path]
    with pytest.raises(IntegrityError, match=r"Remove it: .* are already trained"):
        repair_study(out, found, LocalEngine(1), Progress(quiet=True))


def test_a_url_holds_how_many_there_are(file, store_url, monkeypatch, tmp_path):
    study = add_replicates(open_study(file, store_url), 3)
    assert len(study.runs) == 6
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "elsewhere"))
    assert len(open_study(store_url).runs) == 6


def test_seeds_are_not_counted(file, tmp_path):
    out = tmp_path / "out"
    open_study(_changed(file, "[0, 1]"), out)
    with pytest.raises(ConfigError, match="its grid lists seeds"):
        set_replicates(out, 4)
    with pytest.raises(DataError, match="no study to add replicates to"):
        set_replicates(tmp_path / "nothing", 4)

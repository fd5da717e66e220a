"""A user's own encoder, objective and measure, named in the study file that stands beside them."""

import shutil
import subprocess
import sys

import pytest

import stratigraph as sg
from stratigraph.errors import ConfigError
from stratigraph.plugins import load_plugin, plugin_digest
from stratigraph.study import load_config
from stratigraph.study.config import parse_config
from stratigraph.study.yaml_file import parse_yaml

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from stratigraph.similarity.measure import Measure, Prepared


class MyEncoder(nn.Module):
    def __init__(self, image_shape, *, width=8):
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.flat = nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.Tanh())
        self.flat(self.pool(torch.zeros(1, *image_shape)))

    def forward(self, images):
        return self.flat(self.pool(images))


@dataclass(frozen=True)
class Squared:
    weight: float
    strength: ClassVar[str | None] = "weight"

    def regulariser(self, posterior, step):
        return self.weight * posterior.mean.square().sum(dim=1).mean()


def _size(x):
    return Prepared(len(x), "size", ((x - x.mean(dim=0)).norm()[None],))


SIZES = Measure(
    name="sizes", source="these tests", larger="more alike", cost="O(np)", prepare=_size,
    compare=lambda a, b: float(min(a.parts[0], b.parts[0]) / max(a.parts[0], b.parts[0])),
    scale=False,
)
NOT_ONE = 3
"""
STUDY = """
name: own
grid:
  data: {name: sprites, size: 32}
  architecture: {encoder: {name: "my_part:MyEncoder", width: [4, 8]}, decoder: fully_connected}
  objective: {"my_part:Squared": {weight: 2}}
  latents: 2
  seed: 0
training: {steps: 2, batch_size: 4, validation_images: 8}
probes: {count: 12}
measures: [debiased_cka, "my_part:SIZES"]
"""


@pytest.fixture
def project(tmp_path):
    """A folder with a module and a study, which leaves nothing behind in this process."""
    (tmp_path / "my_part.py").write_text(MODULE)
    (tmp_path / "own.yaml").write_text(STUDY)
    yield tmp_path
    sys.modules.pop("my_part", None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


def test_a_study_of_ones_own_parts(project):
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "run", str(project / "own.yaml"), "--out",
         str(project / "out"), "--workers", "2", "--quiet"],
        capture_output=True, text=True, cwd=project.parent, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    load_config(project / "own.yaml")
    study = sg.load_study(project / "out")
    assert [run.config.architecture_name for run in study.runs.values()] == [
        "my_part:MyEncoder(width=4) → fully_connected",
        "my_part:MyEncoder → fully_connected",
    ]
    assert all(run.config.strength == 2 for run in study.runs.values())
    layers = study.labels("debiased_cka")["layer"].unique().tolist()
    assert layers[:4] == ["input", "encoder.pool", "encoder.flat", "z_mean"]
    sizes = study.similarity("my_part:SIZES")
    assert float(sizes[0, 0]) == pytest.approx(1)
    assert 0 < float(sizes.min()) < 1

    # The run was made by this code: with other code it is another run.
    (project / "my_part.py").write_text(MODULE + "\n# changed\n")
    shutil.rmtree(next((project / "out" / "runs").iterdir()) / "snapshots" / "000000002")
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "run", str(project / "own.yaml"), "--out",
         str(project / "out"), "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the code of my_part:MyEncoder was" in done.stderr


def test_a_begun_study_runs_nothing_that_lies_in_it(project, monkeypatch):
    """Only the file that a user runs is looked beside; a folder that is opened is not."""
    monkeypatch.chdir(project)
    with pytest.raises(ConfigError, match=r"no module is called 'my_part'\. .* set PYTHONPATH"):
        parse_config(parse_yaml(STUDY, "study.yaml"), STUDY)
    load_config(project / "own.yaml")


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("my_part:MyEncoder", "my_part:Encoder", r"my_part has no 'Encoder'\. Did you mean 'MyE"),
        ("my_part:MyEncoder", "my_part:NOT_ONE", r"encoder: my_part:NOT_ONE is a int; expected"),
        ("my_part:MyEncoder", "my_parts:MyEncoder", r"no module is called 'my_parts'\. It is lo"),
        ("width: [4", "widhts: [4", r"has no option 'widhts'\. Did you mean 'width'\?"),
        ("my_part:Squared", "my_part:NOT_ONE", r"objective: expected my_part:NOT_ONE to be a da"),
        ("my_part:SIZES", "my_part:NOT_ONE", r"measure: expected my_part:NOT_ONE to be a strati"),
        ("my_part:SIZES", "my_part:", r"measure: expected MODULE:NAME, got 'my_part:'"),
    ],
)
def test_a_part_that_is_none(project, found, instead, message):
    (project / "own.yaml").write_text(STUDY.replace(found, instead))
    with pytest.raises(sg.errors.StratigraphError, match=message):
        load_config(project / "own.yaml")


def test_a_module_that_fails(project):
    (project / "own.yaml").write_text(STUDY)
    (project / "my_part.py").write_text("import nothing_of_this_name")
    with pytest.raises(ConfigError, match=r"my_part cannot be imported \(No module named 'nothi"):
        load_config(project / "own.yaml")


def test_the_digest_is_of_the_file():
    assert plugin_digest("json:loads") == plugin_digest("json:dumps")
    assert plugin_digest("json:loads") != plugin_digest("csv:reader")
    assert load_plugin("x", "os.path:join") is not None

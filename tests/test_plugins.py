"""A user's own encoder, objective and measure, named in the study file that stands beside them."""

import shutil
import subprocess
import sys

import pytest

import stratigraph as sg
from stratigraph import plugins
from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.models import architecture_of
from stratigraph.plugins import load_plugin, plugin_digest
from stratigraph.stages.compare import compare_study
from stratigraph.stages.export import export_study
from stratigraph.stages.progress import Progress
from stratigraph.study import load_config
from stratigraph.study.parse import parse_config
from stratigraph.study.yaml_file import parse_yaml
from stratigraph.training import RunConfig, initial_state, training_states

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


def test_a_study_of_ones_own_parts(project, capsys):
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "train", str(project / "own.yaml"), "--out",
         str(project / "out"), "--workers", "2", "--quiet"],
        capture_output=True, text=True, cwd=project.parent, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for stage in ("extract", "compare"):
        with pytest.raises(SystemExit, match="0"):
            main([stage, str(project / "out"), "--workers", "1", "--quiet"])
    # Known as one's own, it finds its module beside the file that it was made of.
    with pytest.raises(SystemExit, match="0"):
        main(["verify", str(project / "out")])
    assert "2 of 2 runs at their end: all as they were written" in capsys.readouterr().out
    study = sg.load_study(project / "out")
    assert [run.config.architecture_name for run in study.runs.values()] == [
        "my_part:MyEncoder(width=4) → fully_connected",
        "my_part:MyEncoder → fully_connected",
    ]
    assert all(run.config.strength == 2 for run in study.runs.values())
    layers = study.labels("debiased_cka")["layer"].unique().tolist()
    assert layers[:4] == ["input", "encoder.pool", "encoder.flat", "z_mean"]
    with pytest.raises(SystemExit, match="0"):
        main(["measures", "my_part:SIZES"])
    assert capsys.readouterr().out.startswith("sizes\n")
    export_study(study, project / "copy")
    assert (project / "copy" / "similarity" / "my_part.SIZES.parquet").is_file()
    sizes = study.similarity("my_part:SIZES")
    assert float(sizes[0, 0]) == pytest.approx(1)
    assert 0 < float(sizes.min()) < 1

    # Scores and runs were made by this code: with other code they are others.
    assert compare_study(study, LocalEngine(), Progress(quiet=True)) == []
    (project / "my_part.py").write_text(MODULE + "\n# changed\n")
    made = compare_study(study, LocalEngine(), Progress(quiet=True))
    assert made == ["my_part:SIZES"]
    shutil.rmtree(next((project / "out" / "runs").iterdir()) / "snapshots" / "000000002")
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "train", str(project / "own.yaml"), "--out",
         str(project / "out"), "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the code of my_part:MyEncoder was" in done.stderr


def test_a_begun_study_runs_nothing_that_lies_in_it(project, monkeypatch):
    """Only the file that a user runs is looked beside; a folder that is opened is not."""
    monkeypatch.chdir(project)
    with pytest.raises(
        ConfigError,
        match=r"no module is called 'my_part'\. .* PYTHONPATH to the folder that holds my_part\.py",
    ):
        parse_config(parse_yaml(STUDY, "study.yaml"), STUDY)
    monkeypatch.syspath_prepend("")
    (project / "runs").mkdir()
    with pytest.raises(ConfigError, match=r"no module is called 'my_part'"):
        load_config(project / "own.yaml")
    (project / "runs").rmdir()
    plugins._forbidden.discard(project)
    load_config(project / "own.yaml")


BAD = """
from dataclasses import dataclass, field
from typing import ClassVar
from torch import nn
from my_part import MyEncoder, Squared

class Fails(MyEncoder):
    def forward(self, images):
        raise ValueError("no images today")

def nothing(image_shape):
    return None

def no_shape():
    return nn.Identity()

def flat(image_shape, latents):
    return nn.Linear(latents, 7)

def whole(image_shape, latents):
    return nn.Identity()

def either(image_shape, latents=0):
    return nn.Identity()

whole.whole_architecture = True
unsigned = dict

@dataclass(frozen=True)
class Refusing(Squared):
    def __post_init__(self):
        raise ValueError("nothing pleases me")

@dataclass(frozen=True)
class Worded(Squared):
    strength: ClassVar[str | None] = "colour"

@dataclass(frozen=True)
class Each(Squared):
    def regulariser(self, posterior, step):
        return posterior.mean.square().sum(dim=1)

@dataclass(frozen=True)
class Bare:
    weight: float = field(default_factory=lambda: 2.0)
    strength: ClassVar[str | None] = "weight"
    def terms(self, given):
        return given.reconstruction()
"""


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("encoder: Fails", r"bad_part:Fails fails on an image \(ValueError: no images today\)"),
        ("encoder: nothing", r"bad_part:nothing: expected a torch.nn.Module, got a NoneType"),
        ("encoder: no_shape", r"bad_part:no_shape cannot be made \(TypeError: no_shape\(\) takes"),
        ("encoder: unsigned", r"bad_part:unsigned does not say what its options are"),
        # The second where shapes are types, as in the tests.
        (
            "decoder: flat",
            r"flat: expected images \(1, 1, 32, 32\) of .*\(1, 7\)|flat fails on an im",
        ),
        ("whole: whole", r"bad_part:whole: expected a stratigraph.models.VAE, got a Identity"),
        ("objective: Refusing", r"Refusing: it cannot be made \(ValueError: nothing pleases me\)"),
        (
            "objective: Worded",
            r"Worded: strength: expected the name of a numeric parameter.*, got 'colour'",
        ),
        ("objective: Each", r"Each: regulariser: expected a tensor of one number, .*\[8\]"),
        ("objective: Bare", r"Bare: terms: expected stratigraph.objectives.Terms, got a Tensor"),
    ],
)
def test_a_part_that_misbehaves_is_named(project, monkeypatch, part, message):
    (project / "bad_part.py").write_text(BAD)
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "bad_part", raising=False)
    place, name = part.split(": ")
    name = f"bad_part:{name}"
    parts = {"encoder": "fully_connected", "decoder": "fully_connected"}
    with pytest.raises(ConfigError, match=message):
        config = RunConfig(
            data={"name": "sprites", "size": 32},
            objective=(
                "vae" if place != "objective" else
                {"name": name} if name.endswith("Bare") else {"name": name, "weight": 1}
            ),
            architecture=name if place == "whole" else {**parts, place: name}
            if place != "objective" else parts,
            latents=2, steps=1, batch_size=8,
        )  # fmt: skip
        dataset = config.dataset()
        list(training_states(config, dataset, initial_state(config, dataset)))


def test_one_part_at_both_places_is_written_so_that_it_is_read_again(project, monkeypatch):
    (project / "bad_part.py").write_text(BAD)
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "bad_part", raising=False)
    both = {"encoder": "bad_part:either", "decoder": "bad_part:either"}
    assert architecture_of(both).plain() == both
    assert architecture_of(architecture_of(both).plain()) == architecture_of(both)


def test_the_strength_of_a_default_is_known(project, monkeypatch):
    (project / "bad_part.py").write_text(BAD)
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "bad_part", raising=False)
    config = RunConfig(data={"name": "sprites"}, objective="bad_part:Bare", steps=1)
    assert config.strength == 2.0


def test_a_script_that_ends_the_program(project):
    (project / "own.yaml").write_text(STUDY)
    (project / "my_part.py").write_text("raise SystemExit(0)")
    with pytest.raises(ConfigError, match=r"my_part cannot be imported \(SystemExit: 0\)"):
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
    assert plugin_digest("numpy:ones") == plugin_digest("numpy:zeros")
    assert plugin_digest("numpy:ones") != plugin_digest("pandas:concat")
    assert load_plugin("x", "numpy:linalg.norm") is load_plugin("x", "numpy.linalg:norm")


@pytest.mark.parametrize("name", ["subprocess:run", "idlelib.idle:main", "this:s", "builtins:dict"])
def test_nothing_is_taken_of_pythons_own_modules_of_which_some_act_when_imported(name):
    with pytest.raises(
        ConfigError, match="is one of Python's own modules; give yours another name"
    ):
        load_plugin("x", name)

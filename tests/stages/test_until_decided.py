"""A study that grows in planned looks: what is fixed, what goes on after a kill, where it ends."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from stratigraph.cli.main import app
from stratigraph.errors import ConfigError, IntegrityError
from stratigraph.evidence.boundaries import thresholds
from stratigraph.evidence.claims import CLAIMS, ask
from stratigraph.evidence.family import PRIMARY
from stratigraph.records import read_json, write_json
from stratigraph.stages import open_study, until_decided
from stratigraph.stages.looks import find_looks, fix_looks, plan_looks, read_looks
from stratigraph.stages.replicates import add_replicates
from stratigraph.stages.until_decided import begin_looks
from stratigraph.study import load_study
from stratigraph.testing.planted import Plan, planted

FILE = """
name: growing
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: {name: fully_connected, width: 32}
  objective: {beta_vae: {beta: [1, 4]}}
  seed: {replicates: 2}
training: {steps: 2, batch_size: 8, validation_images: 16}
snapshots: {kind: explicit, steps: [0, 1, 2]}
probes: {count: 8}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "growing.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def all_learned(monkeypatch):
    """In two steps nothing is learned, which would end it."""
    monkeypatch.setattr(
        "stratigraph.evidence.runs.judge_runs",
        lambda errors, floor, room: (0.0, dict.fromkeys(errors, (True, ""))),
    )


def run(file, out, *options):
    return CliRunner().invoke(
        app, ["run", str(file), "--out", str(out), "--workers", "1", "--quiet", *options]
    )


def test_the_primary_questions_are_those_that_are_written_down():
    questions = ask(planted(Plan(seeds=2), 0), CLAIMS)
    assert [q.key for q in questions if q.family == "primary"] == list(PRIMARY)


@pytest.mark.parametrize(
    ("most", "fewest", "looks"),
    [(8, 2, (4, 6, 8)), (12, 4, (4, 6, 8, 12)), (10, 4, (4, 6, 8, 10)), (9, 5, (5, 6, 8, 9)),
     (3, 2, (3,)), (20, 4, (4, 6, 8, 12, 18, 20)), (6, 6, (6,))],
)  # fmt: skip
def test_the_usual_looks(most, fewest, looks):
    assert plan_looks(most, fewest) == looks


def test_a_plan_is_fixed_before_the_first_look(tmp_path):
    fix_looks(tmp_path, (4, 6))
    before = (tmp_path / "looks.json").read_bytes()
    fix_looks(tmp_path, [4, 6])
    assert (tmp_path / "looks.json").read_bytes() == before
    assert read_looks(tmp_path) == (4, 6)
    assert read_json(tmp_path / "looks.json")["thresholds"]["0.05/6"] == pytest.approx(
        list(thresholds((4, 6), 0.05 / 6))
    )
    with pytest.raises(ConfigError, match=r"its looks are planned at 4, 6 replicates, not"):
        fix_looks(tmp_path, (4, 8))
    other = tmp_path / "other"
    other.mkdir()
    write_json(other / "findings.json", {})
    with pytest.raises(ConfigError, match="findings were already seen"):
        fix_looks(other, (4, 6))


STANDING = {"p": 0.1, "verdict": "supported", "replicates": 4, "settled": True, "outlook": ""}


@pytest.mark.parametrize(
    ("looks", "standing", "told"),
    [
        ({}, STANDING, "looks is missing"),
        ({"looks": "4, 6"}, STANDING, "looks is not a list"),
        ({"looks": [4, 6.5]}, STANDING, r"looks\[1\] is not a whole number"),
        ({"looks": [4, 6]}, {"p": 0.1}, "4.corrected.q.verdict is missing"),
        ({"looks": [4, 6]}, {**STANDING, "p": "0"}, "q.p is not a finite number"),
        ({"looks": [4, 6]}, {**STANDING, "verdict": "true"}, "q.verdict is not a verdict"),
    ],
)
def test_a_plan_or_a_standing_that_says_nonsense_is_refused(tmp_path, looks, standing, told):
    study = SimpleNamespace(path=tmp_path, config=SimpleNamespace(replicates=6))
    write_json(tmp_path / "looks.json", {"format": 1, **looks})
    held = {"4": {"corrected": {"q": standing}}}
    write_json(tmp_path / "standings.json", {"format": 1, "looks": held})
    with pytest.raises(IntegrityError, match=told):
        find_looks(study, "corrected")


def test_a_study_between_two_looks_goes_on_to_the_next(file, tmp_path):
    out = tmp_path / "out"
    study = begin_looks(open_study(file, out), None, (2, 4))
    assert begin_looks(add_replicates(study, 3), None).config.replicates == 4
    study = add_replicates(study, 5)
    with pytest.raises(ConfigError, match="has 5 replicates, more than the 4 of its last look"):
        begin_looks(study, None)


@pytest.mark.full
@pytest.mark.usefixtures("without_ink", "all_learned")
def test_a_study_grows_look_by_look_and_goes_on_where_it_stopped(file, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:  # killed after the first look, before the next is begun
        patch.setattr(until_decided, "add_replicates", _killed)
        assert run(file, out, "--until-decided", "--looks", "2,3").exit_code == 130
    assert load_study(out).config.replicates == 2
    first = read_json(out / "standings.json")["looks"]["2"]["corrected"]
    refused = run(file, out, "--until-decided", "--looks", "2,4")
    assert (refused.exit_code, isinstance(refused.exception, SystemExit)) == (1, False)
    assert isinstance(refused.exception, ConfigError)

    assert run(file, out, "--until-decided").exit_code == 0  # the plan is known
    study = load_study(out)
    assert study.config.replicates == 3
    assert len(study.runs) == 6
    looks = read_json(out / "standings.json")["looks"]
    assert looks["2"]["corrected"] == first
    open_ = [row for row in study.findings if row["verdict"] == "undecided" and row["standing"]]
    assert open_
    assert {row["standing"]["outlook"] for row in open_} == {"out of budget"}
    for key, now in looks["3"]["corrected"].items():
        was = first.get(key, {"p": None})["p"]
        assert was is None or now["p"] <= was

    before = (out / "findings.json").read_bytes(), (out / "standings.json").read_bytes()
    assert run(file, out, "--until-decided", "--looks", "2,3").exit_code == 0
    assert run(file, out).exit_code == 0
    again = (out / "findings.json").read_bytes(), (out / "standings.json").read_bytes()
    assert again == before

    shown = CliRunner().invoke(app, ["power", str(out), "--json"])
    rows = json.loads(shown.output)
    undecided = {row["key"] for row in study.findings if row["verdict"] == "undecided"}
    assert {row["question"] for row in rows} == undecided


def _killed(study, count):
    raise SystemExit(130)


@pytest.mark.usefixtures("without_ink")
def test_it_ends_where_no_run_learned(file, tmp_path):
    assert run(file, tmp_path / "out", "--until-decided", "--looks", "2,3").exit_code == 0
    assert load_study(tmp_path / "out").config.replicates == 2


def test_where_questions_stood_is_not_forgotten_without_a_word(tmp_path):
    fix_looks(tmp_path, (2, 3))
    first, second = (
        SimpleNamespace(path=tmp_path, config=SimpleNamespace(replicates=held)) for held in (2, 3)
    )
    assert find_looks(first, "corrected").before == {}
    with pytest.raises(IntegrityError, match="nothing of the look at 2 replicates"):
        find_looks(second, "corrected")


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ("", ["--until-decided"], "such as --most 8"),
        ("", ["--until-decided", "--looks", "four"], "expected numbers separated by commas"),
        ("", ["--until-decided", "--most", "1"], "at least the 2 replicates"),
        ("", ["--most", "8"], "it is only for --until-decided"),
        ("seed: [0, 1]", ["--until-decided", "--most", "8"], "its grid lists seeds"),
    ],
)
def test_what_cannot_grow_is_refused(file, tmp_path, change, options, told):
    if change:
        file.write_text(FILE.replace("seed: {replicates: 2}", change))
    found = run(file, tmp_path / "out", *options)
    assert told in str(found.exception) + found.output
    assert not (tmp_path / "out" / "runs").exists()

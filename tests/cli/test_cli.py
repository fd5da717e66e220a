"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.cli.main import main

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def call(capsys):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        code = stopped.value.code
        shown = capsys.readouterr()
        return (0 if code is None else code), shown.out, shown.err

    return run


@pytest.fixture
def copied(tiny_study, tmp_path):
    """A copy of the study, to be written into."""
    return shutil.copytree(tiny_study.path, tmp_path / "copied")


def test_run_prints_the_answer_and_where_the_report_is(call, copied, without_ink):
    code, out, _ = call("run", copied, "--quiet", "--workers", "1")
    assert code == 0
    assert "The encoder is learned before the decoder" in out
    assert "95 % interval" in out
    assert f"picture: {copied / 'figures' / 'answer.webp'}" in out
    assert out.splitlines()[-1] == f"report: {copied / 'report' / 'index.html'}"


@pytest.mark.parametrize("stage", ["train", "extract", "compare", "report"])
def test_each_stage_is_a_command(call, copied, without_ink, stage):
    workers = () if stage == "report" else ("--workers", "1")
    code, _, err = call(stage, copied, "--quiet", *workers)
    assert code == 0, err


def test_list_and_show(call, tiny_study):
    code, out, _ = call("list", tiny_study.path)
    assert code == 0
    assert out.count("done") == 4
    code, out, _ = call("list", tiny_study.path, "--json")
    facts = json.loads(out)
    assert [f["snapshots"] for f in facts] == [4] * 4
    code, out, _ = call("show", tiny_study.path, facts[0]["run"][:5])
    assert code == 0
    assert "snapshots  0, 2, 5, 12" in out
    code, out, _ = call("show", tiny_study.path, facts[0]["run"], "--json")
    assert json.loads(out)["config"]["objective"] == {"name": "beta_vae", "beta": 1}


def test_a_run_of_which_nothing_is_heard_is_called_interrupted(call, tiny_study, tmp_path):
    import os

    from stratigraph.records import sealed_json

    shutil.copytree(tiny_study.path, tmp_path / "study")
    state = next((tmp_path / "study" / "runs").iterdir()) / "state.json"
    state.write_bytes(sealed_json({"state": "running", "step": 5, "steps": 12, "pid": 1}))
    assert call("list", tmp_path / "study")[1].count("running") == 1
    os.utime(state, (1e9, 1e9))
    _, out, _ = call("list", tmp_path / "study")
    assert "interrupted  5/12" in out
    assert "the next `stratigraph run` resumes" in out


def test_compare_explains_its_plans(call, tiny_study):
    code, out, _ = call("compare", tiny_study.path, "--quiet", "--explain", "--workers", "1")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == tiny_study.measures()
    assert "vectors" in out


def test_measures_say_what_they_promise(call):
    code, out, _ = call("measures", "--json")
    facts = {fact["name"]: fact for fact in json.loads(out)}
    assert code == 0
    assert "rotation" in facts["debiased_cka"]["invariant"]
    assert call("measures")[1].count("  source") == len(facts)
    one = call("measures", "cka")[1]
    assert one.startswith("debiased_cka  (also cka)\n")
    assert "streamed over inputs" in one
    assert "  use         The default" in one
    assert call("measures", "ckaa")[0] == 2


def test_version_and_module(tiny_study):
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
    )
    assert done.stdout.startswith("stratigraph 0.")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("beta_vae", "beta_vea"), 2, "'beta_vea'. Did you mean 'beta_vae'"),
        (("steps: 12", "stepz: 12"), 2, "no key is called 'stepz'. Did you mean 'steps'?"),
        (("beta: [1, 4]", "beta: [1, -4]"), 2, "beta: expected a finite number ≥ 0, got -4"),
        (("beta: [1, 4]", "beta: [.nan]"), 2, "got nan"),
        (("beta: [1, 4]", "beta: []"), 2, "the list is empty"),
        (("seed: [0, 1]", "seed: [1, 1]"), 2, "1 is in the list twice"),
        (("steps: 12", "steps: 0"), 2, "training: steps: expected a whole number from 1"),
        (
            ("kind: log, count: 4, first: 2", "kind: explicit, steps: [99]"),
            2,
            "step 99 comes after",
        ),
        (("kind: log, count: 4, first: 2", "kind: explicit, steps: [5, 2]"), 2, "must increase"),
        (("name: tiny", "name: no"), 0, ""),
        (("name: tiny", "name: ../x"), 2, "name: expected 1 to 100"),
        (("name: tiny", "name: tiny\nname: two"), 2, "is on line 2 and again here"),
        (("debiased_cka", "ckaa"), 2, "'ckaa'"),
        (("- debiased_cka", "- soft_matching"), 2, "depends on the units themselves"),
        (("name: sprites", "name: sprits"), 2, "Did you mean 'sprites'"),
        (("size: 32, cache: false", "size: 33, cache: false"), 2, "size 33"),
        (("{count: 24}", "!!python/object:os.system {count: 24}"), 2, "tags (tag:yaml.org"),
        (("{count: 24}", "*probes"), 2, "aliases"),
        (("probes: {count: 24}", "probes: {count: 2}"), 2, "probes: count: expected"),
        (("probes: {count: 24}", "probes: {count: 900000}"), 2, "900000 probes requested"),
        (("probes:", "activations: {layers: [enc.*]}\nprobes:"), 2, "no layer 'enc.*'"),
    ],
)
def test_a_bad_study_is_told_in_one_line(call, tiny_file, tmp_path, change, code, message):
    text = tiny_file.read_text()
    assert change[0] in text
    path = tmp_path / "bad.yaml"
    path.write_text(text.replace(*change, 1))
    out = tmp_path / "out"
    given, _, err = call("train", path, "--out", out, "--quiet", "--workers", "1")
    assert given == code, err
    assert message in err
    assert "Traceback" not in err
    if code:
        assert not (out / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "absent.yaml"), 3, "absent.yaml: no such study file or folder"),
        (("list", "."), 3, "study.yaml is missing"),
        (("run", "STUDY", "--workers", "0"), 2, "workers: expected 1 to 1024, got 0"),
        (("run", "STUDY", "--engine", "rey"), 2, "--engine: unknown name 'rey'"),
        (("train", "STUDY", "--device", "cuda:7"), 2, "device: 'cuda:7' cannot be used here"),
        (("run", "FILE", "--max-runs", "3"), 2, "grid: 4 runs, more than 3"),
        (("train", "STUDY", "--device", "meta"), 2, "device: 'meta' cannot be used here"),
        (("show", "STUDY", "zzz"), 2, "has no run 'zzz'"),
    ],
)
def test_a_bad_command_is_told_in_one_line(
    call, tiny_study, tiny_file, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    places = {"STUDY": tiny_study.path, "FILE": tiny_file}
    given, _, err = call(*(places.get(a, a) for a in arguments))
    assert given == code
    assert message in err
    assert "Traceback" not in err


def test_help_does_not_load_torch():
    code = "import sys, stratigraph.cli.main; sys.exit('torch' in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(SOURCE), "PATH": ""}
    )

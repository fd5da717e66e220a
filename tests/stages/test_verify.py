"""Verify names what is damaged; repair makes that anew, to the same bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.records import read_json, write_json
from stratigraph.stages import open_study, repair_study, verify_study
from stratigraph.stages.progress import Progress
from stratigraph.study import load_study


@pytest.fixture
def copied(tiny_study, tmp_path) -> Path:
    shutil.copytree(tiny_study.path, tmp_path / "study")
    return tmp_path / "study"


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", "state.json", "current.json"))
    }


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_whole_study(copied):
    found = verify_study(copied)
    assert found.damages == []
    files = [p for p in copied.rglob("*") if p.is_file() and not p.name.endswith(".lock")]
    # The first is not flushed, the other a hint: neither holds anybody up.
    files = [p for p in files if p.name not in ("state.json", "current.json")]
    assert found.files == len(files)
    assert found.bytes == sum(p.stat().st_size for p in files)


def test_each_kind_of_damage_is_named_and_mended(copied, capsys):
    before = hashes(copied)
    runs = sorted((copied / "runs").iterdir())
    hurt = [
        runs[0] / "snapshots" / "000000005" / "weights.safetensors",
        runs[1] / "metrics" / "metrics.parquet",
        runs[1] / "representations" / "000000002" / "z_mean.npy",
        runs[2] / "observed" / "tables" / "layers.parquet",
        runs[2] / "config.json",
        copied / "similarity" / "debiased_cka" / "values.npy",
        copied / "jackknife" / "debiased_cka" / "scores.npy",
        copied / "findings.json",
    ]
    for path in hurt:
        damage(path)
    shutil.rmtree(runs[3] / "snapshots" / "000000002")
    ours = [copied / "notes.txt", copied / "site" / "manifest.json", copied / "report" / "a.tex"]
    for path in ours:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    gone = runs[3] / "snapshots" / "000000002"
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(copied), "--json"])
    assert stopped.value.code == 3
    found = json.loads(capsys.readouterr().out)
    told = found["damaged"]
    strange = {copied / "notes.txt", copied / "site", copied / "report" / "a.tex"}
    assert {Path(path) for path in found["strange"]} == strange
    named = {Path(entry["path"]) for entry in told}
    records = {p if p.suffix == ".json" else p.parent for p in hurt}
    assert named == {*records, gone}
    assert all(str(entry["path"]) in entry["reason"] for entry in told)

    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(copied), "--repair", "--quiet", "--workers", "1"])
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert out.count("repaired  ") == len(named)
    assert out.splitlines()[-1].endswith("all as they were written")
    assert all(path.read_text() == "{}" for path in ours)
    after = hashes(copied)
    config = f"runs/{runs[2].name}/config.json"
    assert {path for path in before if after[path] != before[path]} == {config}
    # What it was begun under was lost with the file, and is not made up.
    assert set(read_json(copied / config)["conditions"].values()) == {"unknown"}


def test_a_run_in_training_is_not_trained_by_a_repair(copied):
    run = sorted((copied / "runs").iterdir())[0]
    shutil.rmtree(run / "snapshots" / "000000012")
    (run / "state.json").unlink()
    damage(run / "snapshots" / "000000005" / "weights.safetensors")
    found = verify_study(copied)
    left = repair_study(copied, found, LocalEngine(1), Progress(quiet=True))
    assert left == []
    assert load_study(copied).runs[run.name].steps == [0, 2]


def test_a_damaged_study_file_is_put_back_by_its_owner(copied, tiny_file):
    text = (copied / "study.yaml").read_bytes()
    (copied / "study.yaml").write_bytes(text.replace(b"seed: [0, 1]", b"seed: [0, 2]"))
    with pytest.raises(IntegrityError, match="If you changed it yourself"):
        load_study(copied)
    found = verify_study(copied)
    assert [d.path.name for d in found.damages] == ["study.yaml"]
    with pytest.raises(IntegrityError, match="Nothing else says what the study is"):
        repair_study(copied, found, LocalEngine(1), Progress(quiet=True))
    open_study(tiny_file, copied)
    assert (copied / "study.yaml").read_bytes() == text
    assert verify_study(copied).damages == []


def test_a_torn_state_holds_nobody_up(copied):
    run = sorted((copied / "runs").iterdir())[0]
    (run / "state.json").write_bytes(b"")
    study = load_study(copied)
    assert study.runs[run.name].state["state"] == "unknown"
    from stratigraph.stages import run_stage

    run_stage("train", study, LocalEngine(1))
    assert study.runs[run.name].state["state"] == "done"


def test_no_study(tmp_path):
    with pytest.raises(DataError, match=r"study\.yaml is missing"):
        verify_study(tmp_path)


def test_a_run_of_another_device_is_not_removed_before_it_can_be_made_again(copied):
    run = sorted((copied / "runs").iterdir())[0]
    held = read_json(run / "config.json")
    weights = run / "snapshots" / "000000005" / "weights.safetensors"
    damage(weights)
    found = verify_study(copied)
    for changed, message in (
        ({"conditions": {**held["conditions"], "device": "cuda"}}, "device was cuda and is cpu"),
        ({"drift": [{"step": 3, "conditions": held["conditions"]}]}, "continued under changed c"),
    ):
        write_json(run / "config.json", {**held, **changed})
        with pytest.raises(ConfigError, match=message):
            repair_study(copied, found, LocalEngine(1), Progress(quiet=True))
        assert weights.is_file()


def test_folders_behind_links_are_of_the_study(copied):
    (copied / "runs").rename(copied.parent / "elsewhere")
    (copied / "runs").symlink_to(copied.parent / "elsewhere")
    found = verify_study(copied)
    assert (found.damages, found.strange) == ([], [])
    assert found.files > 300


def test_what_goes_while_it_is_looked_at_is_no_damage(copied, monkeypatch):
    import shutil

    from stratigraph.stages import verify

    checked = verify.check_item

    def gone_first(path: Path) -> None:
        if path.name == "000000005":
            shutil.rmtree(path)
        checked(path)

    monkeypatch.setattr(verify, "check_item", gone_first)
    assert {d.reason.rpartition(": ")[2] for d in verify_study(copied).damages} == {"missing"}


def test_a_damaged_representation_alone_is_read_again(copied, capsys):
    """It may be removed once it was compared, and yet is made anew when it is to be repaired."""
    before = hashes(copied)
    place = next(copied.glob("runs/*/representations/000000005/z_mean.npy"))
    damage(place)
    with pytest.raises(SystemExit, match="0"):
        main(["verify", str(copied), "--repair", "--quiet", "--workers", "1"])
    assert "repaired" in capsys.readouterr().out
    assert hashes(copied) == before


def test_a_link_is_told_and_not_followed(copied, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "private.txt").touch()
    (copied / "runs" / "linked").symlink_to(tmp_path / "elsewhere")
    (copied / "linked").symlink_to(tmp_path / "elsewhere")
    found = verify_study(copied)
    assert (found.damages, found.strange) == ([], [copied / "linked"])

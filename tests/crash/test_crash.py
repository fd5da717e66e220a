"""Nothing is lost: kills, full disks, broken disks, lost power, at every operation on a file.

``make test`` tries some operations of some stages; ``make test-crash`` every one of all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.durable import exchange

DRIVER = Path(__file__).parent / "driver.py"
STAGES = ("train", "extract", "compare", "assess", "report")


def drive_url(folder: Path, mode: str, every: int) -> dict:
    """What came of stopping every so many operations at a study's URL."""
    command = [sys.executable, DRIVER.with_name("url_driver.py"), folder]
    command += ["--mode", mode, "--every", str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\nat a URL, {mode}: {found | {'wrong': len(found['wrong'])}}")
    return found


def drive(folder: Path, stage: str, every: dict[str, int], mutation: str = "") -> list[dict]:
    """What the driver counted in each mode, of which it tries every so many."""
    command = [sys.executable, DRIVER, stage, folder]
    command += ["--mode", *every, "--every", *map(str, every.values())]
    command += ["--mutation", mutation] if mutation else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counted = json.loads(done.stdout.splitlines()[-1])
    for mode, found in zip(every, counted, strict=True):
        print(f"\n{stage}, {mode} {mutation}: {found | {'wrong': len(found['wrong'])}}")
    return counted


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("stage", "every"),
    [
        pytest.param("train", {"kill": 31, "full": 41, "power": 10**9}, marks=pytest.mark.full),
        pytest.param("compare", {"kill": 17, "power": 10**9}, marks=pytest.mark.full),
    ],
)
def test_some_operations(tmp_path, stage, every):
    for found in drive(tmp_path, stage, every):
        assert found["wrong"] == []
        assert found["operations"] > 40


@pytest.mark.full
def test_some_operations_at_a_url(tmp_path):
    found = drive_url(tmp_path, "kill", 97)
    assert found["wrong"] == []
    assert found["killed"] >= 3


@pytest.mark.crash
@pytest.mark.parametrize(("mode", "every"), [("kill", 3), ("full", 11), ("broken", 11)])
def test_operations_at_a_url(tmp_path, mode, every):
    found = drive_url(tmp_path, mode, every)
    assert found["wrong"] == []
    assert found["killed" if mode == "kill" else "storage"] > 20


@pytest.mark.crash
@pytest.mark.parametrize("mode", ["kill", "full", "broken", "power"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_operation(tmp_path, stage, mode):
    (found,) = drive(tmp_path, stage, {mode: 7 if mode == "power" else 1})
    assert found["wrong"] == []
    if mode == "kill":
        assert found["killed"] == found["operations"] == found["tried"]
    if mode in ("full", "broken"):  # the others lose nothing: the driver looks at each
        assert found["storage"] > 0


@pytest.mark.crash
@pytest.mark.parametrize(
    ("mutation", "stage", "mode", "every"),
    [("write_in_place", "train", "kill", 7), ("forget_the_optimiser", "train", "kill", 7),
     ("remove_the_old_checkpoint_first", "train", "power", 10**9),
     ("forget_to_flush_files", "train", "power", 10**9),
     ("forget_to_flush_folders", "train", "power", 10**9),
     ("keep_quiet", "assess", "full", 1), ("leave_what_was_replaced", "compare", "broken", 2)],
)  # fmt: skip
def test_a_fault_put_in_on_purpose_is_caught(tmp_path, mutation, stage, mode, every):
    (found,) = drive(tmp_path, stage, {mode: every}, mutation)
    assert found["wrong"]


@pytest.mark.crash
def test_without_an_exchange_in_one_step(tmp_path):
    """As on macOS and some network file systems: two renames, and the first is undone."""
    (found,) = drive(tmp_path, "train", {"kill": 1}, "no_exchange")
    assert found["wrong"] == []
    assert found["killed"] == found["operations"]


def test_two_folders_trade_places(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system has no renameat2")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "absent")

"""Files that chance has changed: ours are never taken for whole, others crash and flood nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.errors import ConfigError, DataError
from stratigraph.records import load_snapshot
from stratigraph.stages.verify import check_item

from .mutate import KINDS, mutated

SOURCE = Path(__file__).parents[2] / "src"
OURS = (
    "study.yaml", "findings.json", "floors.json", "runs/*/config.json", "runs/*/metrics/*.parquet",
    "runs/*/metrics/manifest.json", "runs/*/snapshots/*2/*.safetensors", "similarity/*/values.npy",
    "similarity/*/labels.parquet", "probes/*/images.npy", "jackknife/*/pairs.npy",
)  # fmt: skip


def read_all(kind: str, count: int, folder: Path) -> str:
    """What the process says that reads so many mutations of a kind."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("mutate.py")), kind, str(count), str(folder)],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux limits it")
def test_a_few_of_each_foreign_format(tmp_path):
    told = read_all("all", 12, tmp_path)
    assert len(told.splitlines()) == len(KINDS)


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux limits it")
@pytest.mark.parametrize("kind", KINDS)
def test_two_thousand_of_each_foreign_format(tmp_path, kind):
    assert "2000 mutations" in read_all(kind, 2000, tmp_path)


def _notice_all(study, folder: Path, pattern: str, count: int) -> None:
    own = next(iter(sorted(study.path.glob(pattern))))
    place = own.relative_to(study.path)
    alone = not (own.parent / "manifest.json").exists()
    item = folder / (place.name if alone else place.parent.name)
    if alone:
        shutil.copy(own, item)
    else:
        shutil.copytree(own.parent, item)
    file = item if alone else item / place.name
    content, tried = own.read_bytes(), 0
    check_item(item)
    for number in range(count):
        changed = mutated(content, number)
        if changed != content:
            tried += 1
            file.write_bytes(changed)
            with pytest.raises((DataError, ConfigError)):
                check_item(item)
    assert tried > 0.9 * count


@pytest.mark.parametrize("pattern", OURS)
def test_a_few_of_each_of_our_formats_are_all_noticed(tiny_study, tmp_path, pattern):
    _notice_all(tiny_study, tmp_path, pattern, 20)


@pytest.mark.full
@pytest.mark.parametrize("pattern", OURS)
def test_two_thousand_of_each_of_our_formats_are_all_noticed(tiny_study, tmp_path, pattern):
    _notice_all(tiny_study, tmp_path, pattern, 2000)


def test_a_folder_that_is_renamed_and_a_file_that_is_gone(tiny_study, tmp_path):
    """What had been opened says what is missing, and where."""
    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    import stratigraph as sg

    study = sg.load_study(folder)
    run = next(iter(study.runs.values()))
    (run.path / "snapshots" / "000000012" / "weights.safetensors").unlink()
    with pytest.raises(DataError, match=r"weights\.safetensors: missing"):
        load_snapshot(run.path, 12, run.model(0))
    folder.rename(tmp_path / "elsewhere")
    for read in (lambda: run.metrics, lambda: study.findings, lambda: sg.load_study(folder)):
        with pytest.raises((DataError, ValueError), match=r"no metrics yet|no findings|no study"):
            read()

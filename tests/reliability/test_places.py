"""Places that give or take nothing: a TMPDIR that is full, or is none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from stratigraph.cli.main import main
from stratigraph.errors import StorageError
from stratigraph.records import scratch_folder, scratch_room

SOURCE = Path(__file__).parents[2] / "src"
ADVICE = "point TMPDIR to a folder on a larger disk"


def test_without_a_place_for_temporary_files_nothing_is_trained(
    tiny_file, tmp_path, monkeypatch, capsys
):
    """torch takes one as it trains: each run would have failed, of something else's words."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tiny_file), "--out", str(out), "--workers", "1", "--quiet"])
    told = capsys.readouterr().err
    assert ended.value.code == 6
    assert told.startswith("stratigraph: no room for temporary files (No usable temporary")
    assert ADVICE in told
    assert told.count("\n") == 1
    assert not list(out.rglob("state.json"))


def test_other_files_faults_are_not_taken_for_those_of_temporary_ones(tmp_path):
    with pytest.raises(FileNotFoundError), scratch_folder():
        (tmp_path / "nothing").read_bytes()
    with pytest.raises(StorageError, match=ADVICE), scratch_folder() as folder:
        (folder / "nothing").read_bytes()
    assert not folder.exists()
    with pytest.raises(StorageError, match=ADVICE), scratch_room():
        raise OSError(28, "No space left on device")


# In a file system of 64 KB, of which 4 are left: enough for Python to find it usable.
FULL = (
    'mount -t tmpfs -o size=64k tmpfs "$1" && head -c 61440 /dev/zero > "$1/x" && shift && '
    'exec "$@"'
)


@pytest.mark.full
def test_a_temporary_folder_that_fills(tiny_file, tmp_path):
    """Its user is told in a line, with 6; what needs none, or little, does not care."""
    full = tmp_path / "full"
    full.mkdir()
    within = ["unshare", "-Urm", "sh", "-c", FULL, "sh", str(full)]
    if subprocess.run([*within, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a full disk takes a mount namespace, which this user may not make")
    zeros = np.zeros((200_000, 200))
    np.savez_compressed(tmp_path / "a.npz", a=zeros, b=zeros)  # unpacked into a file
    for arguments, code in (
        (["plan", tiny_file, "--workers", "2"], 6),
        (["compare", tmp_path / "a.npz", tmp_path / "a.npz"], 6),
        (["run", tiny_file, "--out", tmp_path / "out", "--workers", "2", "--quiet"], 0),
    ):
        done = subprocess.run(
            [*within, sys.executable, "-m", "stratigraph", *map(str, arguments)],
            env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "TMPDIR": str(full)},
            capture_output=True, text=True, check=False, timeout=250,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        if code:
            assert done.stderr.count("\n") == 1, done.stderr
            assert "TMPDIR" in done.stderr
    assert not list((tmp_path / "out").rglob(".new-*"))

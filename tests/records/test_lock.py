"""One writer: of all that start at once one wins, and the others are told which."""

from __future__ import annotations

import os
import re
import time

import pytest

from stratigraph.errors import BusyError, StorageError
from stratigraph.records import locked

RIVALS = 4


def rival(folder, go: int, told: int, end: int) -> None:
    """In a fork: wait for the start, try, tell, and hold what was won until the end."""
    os.read(go, 1)
    began = time.monotonic()
    try:
        with locked(folder):
            os.write(told, b"won %d\n" % os.getpid())
            os.read(end, 1)
    except BusyError as error:
        late = time.monotonic() - began > 1
        pid = re.search(r"written by pid (\d+) on ", str(error))
        os.write(told, b"late\n" if late else b"lost %s\n" % (pid[1] if pid else "?").encode())
    os._exit(0)


@pytest.mark.parametrize("starts", [20, pytest.param(200, marks=pytest.mark.full)])
def test_simultaneous_starts(tmp_path, starts):
    for _ in range(starts):
        pipes = [os.pipe() for _ in range(3)]
        (go, started), (answers, told), (end, ended) = pipes
        children = []
        for _ in range(RIVALS):
            child = os.fork()
            if child == 0:
                os.close(ended)
                rival(tmp_path / "run", go, told, end)
            children.append(child)
        os.write(started, b"!" * RIVALS)
        lines: list[bytes] = []
        while len(lines) < RIVALS:
            lines += os.read(answers, 4096).splitlines()
        os.close(ended)
        for child in children:
            os.waitpid(child, 0)
        for descriptor in (go, started, answers, told, end):
            os.close(descriptor)
        winners = [line.split()[1] for line in lines if line.startswith(b"won")]
        assert len(winners) == 1, lines
        assert sorted(lines) == sorted([b"won " + winners[0]] + [b"lost " + winners[0]] * 3)


def test_a_lock_of_a_process_that_died_is_free(tmp_path):
    child = os.fork()
    if child == 0:
        with locked(tmp_path):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with locked(tmp_path):
        pass


def test_locks_with_names_are_apart(tmp_path):
    with locked(tmp_path), locked(tmp_path, "report"), pytest.raises(BusyError):
        locked(tmp_path, "report").__enter__()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=r"writing .* failed"),
        locked(tmp_path / "file" / "run"),
    ):
        pass

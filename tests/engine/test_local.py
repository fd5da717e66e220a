"""The processes of the local engine outlive a map, as long as nothing makes them unfit."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import engine_tasks as tasks
import pytest

from stratigraph.engine import LocalEngine


def processes(engine):
    """The two processes of an engine: each of two tasks waits until both have begun."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(2)]
        found = {outcome.value for outcome in engine.map(tasks.process, places)}
    assert len(found) == 2
    return found


@pytest.fixture
def engine():
    return LocalEngine(2)


def test_the_next_map_finds_them_there(engine):
    first = processes(engine)
    assert os.getpid() not in first
    assert processes(engine) == first
    assert [o.failure.kind for o in engine.map(tasks.fail_on_three, [3])] == ["raised"]
    assert processes(engine) == first  # an exception is no harm to them


def test_they_are_born_again_where_relative_paths_lead_elsewhere(engine, tmp_path, monkeypatch):
    first = processes(engine)
    monkeypatch.chdir(tmp_path)
    assert [o.value for o in engine.map(tasks.folder, [0])] == [str(tmp_path)]
    assert not processes(engine) & first
    monkeypatch.setenv("STRATIGRAPH_ANYTHING", "1")
    assert [o.value for o in engine.map(tasks.variable, ["STRATIGRAPH_ANYTHING"])] == ["1"]


def test_none_is_left_of_a_map_that_was_abandoned(engine):
    first = processes(engine)
    outcomes = engine.map(tasks.square, range(9))
    next(outcomes)
    outcomes.close()
    assert not processes(engine) & first


def test_one_that_dies_at_rest_costs_nothing(engine):
    for process in processes(engine):
        os.kill(process, signal.SIGKILL)
    assert sorted(o.value for o in engine.map(tasks.square, range(5))) == [0, 1, 4, 9, 16]


def test_maps_within_each_other_have_their_own(engine):
    outer = engine.map(tasks.square, range(5))
    first = next(outer).value
    assert sorted(o.value for o in engine.map(tasks.square, range(3))) == [0, 1, 4]
    assert sorted([first, *(o.value for o in outer)]) == [0, 1, 4, 9, 16]


def test_they_end_with_the_engine_and_with_the_program():
    code = """
import os
from stratigraph.engine import LocalEngine
from test_local import processes
first, second = LocalEngine(2), LocalEngine(2)
gone, there = processes(first), processes(second)
del first
for pid in gone:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        continue
    raise SystemExit(f"{pid} lives")
print(*there)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    there = [int(pid) for pid in ran.stdout.split()]
    assert len(there) == 2
    for pid in there:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

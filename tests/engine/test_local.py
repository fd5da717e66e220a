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
from stratigraph.plugins import load_plugin
from stratigraph.testing.engines import fail_on_three, square


def processes(engine):
    """The two processes of an engine: each of two tasks waits until both have begun."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(2)]
        found = {outcome.value for outcome in engine.map(tasks.process, places)}
    assert len(found) == 2
    return found


def lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def engine():
    return LocalEngine(2)


def test_the_next_map_finds_them_there(engine):
    first = processes(engine)
    assert os.getpid() not in first
    assert processes(engine) == first
    assert [o.failure.kind for o in engine.map(fail_on_three, [3])] == ["raised"]
    assert processes(engine) == first  # an exception is no harm to them


def test_they_are_born_again_where_relative_paths_lead_elsewhere(engine, tmp_path, monkeypatch):
    first = processes(engine)
    monkeypatch.chdir(tmp_path)
    assert [o.value for o in engine.map(tasks.folder, [0])] == [str(tmp_path)]
    assert not processes(engine) & first
    monkeypatch.setenv("STRATIGRAPH_ANYTHING", "1")
    assert [o.value for o in engine.map(tasks.variable, ["STRATIGRAPH_ANYTHING"])] == ["1"]


def test_they_are_born_again_where_a_user_s_module_has_changed(engine, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_user_s_own.py"
    file.write_text("def answer(x):\n    return 1\n")
    function = load_plugin("measures", "a_user_s_own:answer")
    assert [o.value for o in engine.map(function, [0])] == [1]
    file.write_text("def answer(x):\n    return 22\n")
    assert [o.value for o in engine.map(function, [0])] == [22]
    del sys.modules["a_user_s_own"]


def test_a_forked_process_does_not_take_its_parent_s(engine):
    """The thread that would answer was not forked with them."""
    first = processes(engine)
    child = os.fork()
    if not child:
        own = False
        try:
            own = engine._pools.take().surroundings[0] == os.getpid()
        finally:
            os._exit(0 if own else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert processes(engine) == first


def test_none_is_left_of_a_map_that_was_abandoned(engine):
    first = processes(engine)
    outcomes = engine.map(square, range(9))
    next(outcomes)
    outcomes.close()
    assert not any(map(lives, first))


def test_one_that_dies_at_rest_costs_nothing(engine):
    for process in processes(engine):
        os.kill(process, signal.SIGKILL)
    assert sorted(o.value for o in engine.map(square, range(5))) == [0, 1, 4, 9, 16]


def test_maps_within_each_other_have_their_own(engine):
    outer = engine.map(square, range(5))
    first = next(outer).value
    assert sorted(o.value for o in engine.map(square, range(3))) == [0, 1, 4]
    assert sorted([first, *(o.value for o in outer)]) == [0, 1, 4, 9, 16]


def test_they_end_with_the_engine_and_with_the_program():
    code = """
import time
from stratigraph.engine import LocalEngine
from test_local import lives, processes
first, second = LocalEngine(2), LocalEngine(2)
gone, there = processes(first), processes(second)
del first
deadline = time.monotonic() + 60
while any(map(lives, gone)):
    assert time.monotonic() < deadline
    time.sleep(0.02)
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
    assert not any(map(lives, there))

"""What every engine promises."""

import re

import engine_tasks as tasks
import pytest

from stratigraph.engine import Engine
from stratigraph.errors import ConfigError


def test_every_outcome_once_with_its_value(engine):
    assert isinstance(engine, Engine)
    outcomes = list(engine.map(tasks.square, range(9)))
    assert sorted(o.index for o in outcomes) == list(range(9))
    assert all(o.failure is None and o.value == o.index**2 for o in outcomes)
    assert list(engine.map(tasks.square, [])) == []


def test_an_exception_ends_its_own_task_alone(engine):
    outcomes = {o.index: o for o in engine.map(tasks.fail_on_three, range(6))}
    assert [outcomes[i].value for i in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    failure = outcomes[3].failure
    assert failure.kind == "raised"
    assert failure.message == "ValueError: three is not welcome"
    assert isinstance(failure.error, ValueError)
    assert "fail_on_three" in failure.traceback
    assert outcomes[3].value is None


def test_an_error_that_no_other_process_can_load_ends_its_own_task_alone(engine):
    outcomes = {o.index: o for o in engine.map(tasks.fail_badly_on_three, range(6))}
    assert [outcomes[i].value for i in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    failure = outcomes[3].failure
    assert (failure.kind, failure.error) == ("raised", None)
    assert failure.message == "Bad: three of four"


@pytest.mark.parametrize("function", [tasks.die_on_two])
def test_a_killed_process_ends_its_own_task_alone(engine, function):
    if engine.workers == 1:
        pytest.skip("with one worker the tasks run in this process")
    outcomes = {o.index: o for o in engine.map(function, range(5))}
    assert sorted(outcomes) == list(range(5))
    assert outcomes[2].failure.kind == "killed"
    assert re.search("died (2|5) times", outcomes[2].failure.message)
    assert [outcomes[i].value for i in (0, 1, 3, 4)] == [0, 1, 3, 4]


def test_tasks_are_read_lazily(engine):
    drawn = []
    results = engine.map(tasks.square, (drawn.append(i) or i for i in range(50)))
    next(results)
    assert len(drawn) <= 2 * engine.workers
    results.close()


def test_tasks_have_one_thread(engine):
    assert [o.value for o in engine.map(tasks.threads, range(2))] == [1, 1]


@pytest.mark.parametrize("workers", [0, -1, 10**6])
def test_bad_numbers_of_workers(engine, workers):
    with pytest.raises(ConfigError, match=rf"workers: expected 1 to \d+, got {workers}"):
        type(engine)(workers=workers)


def test_what_tasks_say_is_heard_while_they_run(engine, tmp_path):
    names = [tmp_path / f"heard-{number}" for number in range(4)]
    heard = []

    def hear(index, facts):
        heard.append((index, facts["name"]))
        names[index].touch()

    values = {o.index: o.value for o in engine.map(tasks.say_and_wait, names, heard=hear)}
    assert values == {i: name.name for i, name in enumerate(names)}
    assert set(heard) == set(values.items())


def test_nobody_need_listen(engine):
    assert sorted(o.value for o in engine.map(tasks.say, range(3))) == [0, 1, 2]


def test_titles_explain_themselves(tiny_study):
    from stratigraph.engine.protocol import title_of
    from stratigraph.pairs import by_vectors, pairwise
    from stratigraph.stages.train import TrainTask, run_task

    run = next(iter(tiny_study.runs.values()))
    task = TrainTask(run.path, run.config.to_dict(), "cpu", False)
    title = title_of(run_task, task, 3, 4)
    assert title == f"train beta_vae beta=1 seed=0 ({run.run_id[:4]})"
    assert title_of(pairwise._compare, pairwise._CompareTask, 11, 40) == "compare block 12 of 40"
    product = by_vectors._ProductTask
    assert title_of(by_vectors._multiply, product, 0, None) == "compare block 1"
    assert title_of(tasks.square, 7, 0, 9) == "square 1 of 9"

"""What every engine promises."""

import pytest

from stratigraph.errors import ConfigError
from stratigraph.testing.engines import CHECKS, square


@pytest.mark.parametrize("check", CHECKS)
def test_contract(engine, check, monkeypatch):
    # It changes with every test, and with what stands in the environment processes are born again.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    check(engine)


@pytest.mark.parametrize("workers", [0, -1, 10**6])
def test_bad_numbers_of_workers(engine, workers):
    with pytest.raises(ConfigError, match=rf"workers: expected 1 to \d+, got {workers}"):
        type(engine)(workers=workers)


def test_titles_explain_themselves(tiny_study):
    from stratigraph.engine.protocol import title_of
    from stratigraph.pairs import by_vectors, pair_by_pair
    from stratigraph.stages.train import TrainTask, run_task

    run = next(iter(tiny_study.runs.values()))
    task = TrainTask(run.path, run.config.to_dict(), "cpu", False)
    title = title_of(run_task, task, 3, 4)
    assert title == f"train beta_vae beta=1 seed=0 ({run.run_id[:4]})"
    assert (
        title_of(pair_by_pair._compare, pair_by_pair._CompareTask, 11, 40)
        == "compare block 12 of 40"
    )
    product = by_vectors._ProductTask
    assert title_of(by_vectors._multiply, product, 0, None) == "compare block 1"
    assert title_of(square, 7, 0, 9) == "square 1 of 9"

"""A study that changes under the page: nobody waits in a circle, no damage passes as a score."""

from __future__ import annotations

import os
import shutil
import threading

import pytest

from stratigraph.errors import IntegrityError
from stratigraph.records.files import read_json, write_json
from stratigraph.web import watch
from stratigraph.web.query import Query
from stratigraph.web.views.catalog import VIEWS
from stratigraph.web.watch import Watched

from .conftest import start, stop


@pytest.fixture
def study(tiny_study, tmp_path):
    path = tmp_path / "study"
    shutil.copytree(tiny_study.path, path)
    return path


@pytest.mark.parametrize("times", [5, pytest.param(25, marks=pytest.mark.full)])
def test_many_who_ask_while_the_study_changes_all_get_answers(study, monkeypatch, times):
    monkeypatch.setattr(watch, "FRESH", 0.0)
    watched = Watched(study)
    run = next(iter(watched.study("corrected").runs))
    asked = {"y_runs": run, "x_runs": run}
    done = threading.Event()
    wrong = []

    def ask(name, query):
        try:
            for _ in range(times):
                VIEWS[name](watched, Query(query))
        except Exception as error:
            wrong.append(error)

    def change():
        while not done.is_set():
            os.utime(study / "study.yaml")
            os.utime(study / "findings.json")

    changing = threading.Thread(target=change, daemon=True)
    changing.start()
    threads = [
        threading.Thread(target=ask, args=one, daemon=True)
        for one in [("heat", asked), ("states", {}), ("heat", asked), ("models", {})] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    changing.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


@pytest.mark.parametrize("damage", [pytest.param("cut", marks=pytest.mark.full), "changed"])
def test_a_matrix_that_is_damaged_under_the_page_is_told(study, damage):
    process, page = start(study)
    try:
        run = next(iter((study / "runs").iterdir())).name
        ask = {"y_runs": run, "x_runs": run}
        assert isinstance(page.ask("heat", **ask), tuple)
        values = study / "similarity" / "debiased_cka" / "values.npy"
        if damage == "cut":
            os.truncate(values, 200)
        else:
            content = bytearray(values.read_bytes())
            content[-1] ^= 1
            values.write_bytes(content)
        for way in ({"y_step": "first"}, {"y_step": "all"}):
            while len(found := page.ask("heat", **ask, **way)) == 2 and found[0] != 422:
                pass  # what was read before is believed for half a second
            assert "values.npy" in found[1]
        # The rest of the page stays.
        assert page.ask("overview")["name"] == "tiny"
        assert process.poll() is None
    finally:
        assert stop(process) == 0


def test_scores_are_not_read_past_the_end(study):
    from stratigraph.web.matrix import Scores

    path = study / "similarity" / "debiased_cka" / "values.npy"
    scores = Scores(path)
    assert scores.at(0, 0) == pytest.approx(1)
    os.truncate(path, 1000)
    with pytest.raises(IntegrityError, match="shorter than when it was written"):
        scores.at(5, 5)


def test_a_run_that_fell_silent_is_shown_so_to_who_has_asked_before(study):
    run = next(iter((study / "runs").iterdir()))
    file = run / "state.json"
    state = {key: value for key, value in read_json(file).items() if key != "seal"}
    write_json(file, {**state, "state": "running", "step": 3})
    long_ago = file.stat().st_mtime - watch.SILENT - 1
    process, page = start(study)
    try:
        status, headers, _ = page.get("/api/states")
        assert headers["etag"] is None
        assert headers["cache-control"] == "no-store"
        assert page.ask("states")["runs"][run.name][0] == "running"
        os.utime(file, (long_ago, long_ago))
        assert page.ask("states")["runs"][run.name][0] == "interrupted"
        (shown,) = (one for one in page.ask("overview")["runs"] if one["id"] == run.name)
        assert shown["state"] == "interrupted"
        assert status == 200
    finally:
        assert stop(process) == 0


@pytest.mark.parametrize(
    ("reason", "signs", "warning"),
    [
        ("", [], ""),
        ("", ["step 5: one"], "step 5: one"),
        ("my own", ["step 5: one", "step 9: two"], "step 9: two (and 1 before)"),
    ],
)
def test_a_warning_is_no_reason(study, reason, signs, warning):
    run = next(iter((study / "runs").iterdir()))
    state = {key: value for key, value in read_json(run / "state.json").items() if key != "seal"}
    write_json(run / "state.json", {**state, "reason": reason, "signs": signs})
    watched = Watched(study)
    assert VIEWS["states"](watched, Query({})).facts["runs"][run.name][2:4] == [reason, warning]
    runs = VIEWS["overview"](watched, Query({})).facts["runs"]
    (row,) = (row for row in runs if row["id"] == run.name)
    assert (row["state"], row["reason"], row["warning"]) == ("done", reason, warning)


def test_a_run_whose_losses_are_damaged_does_not_hide_the_others(study):
    run = next(iter((study / "runs").iterdir()))
    (run / "metrics" / "metrics.parquet").write_bytes(b"no table")
    process, page = start(study)
    try:
        runs = {one["id"]: one for one in page.ask("overview")["runs"]}
        assert runs[run.name]["reason"] == "its losses are damaged"
        assert runs[run.name]["loss"] is None
        assert sum(one["loss"] is not None for one in runs.values()) == 3
    finally:
        assert stop(process) == 0

"""The page needs nothing but the study's folder: no data set is opened, nothing is fetched."""

from __future__ import annotations

import shutil
import socket

import pytest

from stratigraph.engine import LocalEngine
from stratigraph.errors import InputError
from stratigraph.stages.extract import extract_study
from stratigraph.stages.progress import Progress
from stratigraph.study import load_study
from stratigraph.web.query import Query
from stratigraph.web.views.catalog import VIEWS
from stratigraph.web.watch import Watched


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("a data set was opened, or something was fetched")


@pytest.fixture
def nothing_else(monkeypatch):
    """No way to a data set or to the network: where an opened study says they are is not asked."""
    monkeypatch.setattr("stratigraph.training.config.load_dataset", _refuse)
    monkeypatch.setattr("stratigraph.data.download.fetch", _refuse)
    monkeypatch.setattr("stratigraph.data.cache.cache_dir", _refuse)
    monkeypatch.setattr(socket, "create_connection", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)


def _asked(run: str, other: str) -> dict[str, dict[str, str]]:
    """Each view with what it has to be given."""
    of_run = {"run": run, "step": "12"}
    return {
        "heat": {"y_runs": run, "x_runs": other},
        "curve": {"y_run": run, "x_run": other, "y_layer": "z_mean", "x_layer": "z_mean"},
        "pair": {
            "y_run": run, "x_run": other, "y_step": "12", "x_step": "12",
            "y_layer": "z_mean", "x_layer": "z_mean",
        },
        "losses": {"runs": run},
        "latents": {"run": run},
        "probes": {"run": run},
        "posterior": of_run,
        "decoded": of_run,
        "traversal": of_run,
    }  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_of_the_folder_alone(name, tiny_study, nothing_else):
    watched = Watched(tiny_study.path)
    given = _asked(*list(tiny_study.runs)[:2]).get(name, {})
    answer = VIEWS[name](watched, Query(given))
    assert answer.facts or answer.png


def test_a_study_of_before_images_were_kept_says_what_to_do(tiny_study, tmp_path):
    shutil.copytree(tiny_study.path, tmp_path / "older")
    (record,) = (tmp_path / "older" / "probes").glob("*-shown")
    shutil.rmtree(record)
    run = next(iter(tiny_study.runs))
    with pytest.raises(
        InputError, match=r"have not been kept in it yet.*`stratigraph extract` keeps"
    ):
        VIEWS["probes"](Watched(tmp_path / "older"), Query({"run": run}))
    study = load_study(tmp_path / "older")
    assert extract_study(study, LocalEngine(1), Progress(quiet=True)) == 0  # nothing is read anew
    assert VIEWS["probes"](Watched(tmp_path / "older"), Query({"run": run})).png

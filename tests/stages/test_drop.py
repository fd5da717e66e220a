"""Representations go once they were compared; what needs them again reads them again."""

from __future__ import annotations

import shutil

import pytest

from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.stages import run_chance, run_study
from stratigraph.stages.current import is_finished
from stratigraph.stages.drop import are_read, drop_representations
from stratigraph.stages.verify import verify_study
from stratigraph.study import chance_path, load_config, similarity_path
from stratigraph.web.query import Query
from stratigraph.web.views.pair import pair
from stratigraph.web.watch import Watched


@pytest.fixture(scope="module")
def dropped(tiny_study, tiny_file, tmp_path_factory, blank_figures):
    folder = tmp_path_factory.mktemp("dropped")
    shutil.copytree(tiny_study.path, folder / "study")
    file = folder / "study.yaml"
    file.write_text(tiny_file.read_text().replace("representations: keep\n", ""))
    with blank_figures():
        return run_study(file, folder / "study", engine=LocalEngine(1))


def scored(study, *, layer, step):
    run = next(iter(study.runs))
    asked = {"y_run": run, "y_step": step, "y_layer": layer, "x_run": run, "x_step": "12"}
    return pair(Watched(study.path), Query({**asked, "x_layer": "z_mean"})).facts


def test_a_study_is_finished_and_whole_without_them(dropped, tiny_study):
    assert not list(dropped.path.glob("runs/*/representations*"))
    assert not are_read(dropped)
    assert is_finished(dropped)
    assert not verify_study(dropped.path).damages
    assert dropped.findings == tiny_study.findings


def test_a_pair_that_findings_read_keeps_its_interval_and_null(dropped, tiny_study):
    kept, full = (scored(study, layer="z_mean", step="5") for study in (dropped, tiny_study))
    assert kept["interval"] == pytest.approx(full["interval"], abs=1e-6)
    assert (kept["null"], kept["unread"]) == (full["null"], False)
    other = scored(dropped, layer="encoder.conv1", step="5")
    assert (other["interval"], other["unread"]) == (None, True)


@pytest.mark.full
def test_chance_reads_them_again_and_drops_them(dropped):
    matrix = similarity_path(dropped.path, "debiased_cka") / "values.npy"
    before = matrix.stat().st_mtime_ns
    run_chance(dropped, LocalEngine(1), null=19, measures=["debiased_cka"])
    assert (chance_path(dropped.path, "debiased_cka") / "cells.parquet").is_file()
    assert not are_read(dropped)
    assert matrix.stat().st_mtime_ns == before  # it was of the same representations


def test_they_stay_where_the_study_file_says_so(tiny_study, tiny_file, tmp_path):
    assert drop_representations(tiny_study) == 0
    assert are_read(tiny_study)
    file = tmp_path / "study.yaml"
    file.write_text(tiny_file.read_text().replace("keep\n", "some\n"))
    with pytest.raises(ConfigError, match="representations: 'some' is not known"):
        load_config(file)

"""A study that an earlier version wrote: it opens, it is whole, and nothing of it is done again.

``study-format-1.tar.xz``: `stratigraph run` of a study of one run of two steps, by version 0.1.0 at
the commit that added this file, with torch 2.13 on a CPU; figures and report left out. A later
format keeps this file and adds its own.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

import stratigraph as sg
from stratigraph.engine import LocalEngine
from stratigraph.stages import run_stage, verify_study

ARCHIVE = Path(__file__).with_name("study-format-1.tar.xz")
# The first row of the matrix, as it was printed when the study was made: the input against
# (input, encoder.conv1, z_mean, decoder.dense1) of step 0, then of step 2.
FIRST_ROW = [1.0, 0.992861, 0.11541, 0.221596, 1.0, 0.992885, 0.167515, 0.302444]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("golden") / "study"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(place, filter="data")
    return place


def test_it_is_whole_and_says_what_it_said(folder):
    assert verify_study(folder).damages == []
    study = sg.load_study(folder)
    (run,) = study.runs.values()
    assert run.run_id == "a0e3834890dc"  # the name follows from the configuration as it did then
    assert run.state["state"] == "done"
    assert run.steps == [0, 2]
    assert study.similarity("debiased_cka").values[0] == pytest.approx(FIRST_ROW, abs=1e-6)
    said = {finding["key"]: finding["verdict"] for finding in study.findings}
    assert len(said) == 23
    assert said["encoder_first"] == "inconclusive"
    assert set(run.metrics["split"]) == {"training", "validation"}


def test_its_weights_still_represent_the_same(folder):
    """The network, its initialisation and the probes are those of then, to float32's accuracy."""
    study = sg.load_study(folder)
    (run,) = study.runs.values()
    from stratigraph.pairs.coordinates import read_coordinates
    from stratigraph.study import probe_images, representations_path

    images = probe_images(run.config, study.config.probes)
    read = sg.capture(run.model(2), images, ["encoder.conv1"])["encoder.conv1"].flatten(1)
    kept = read_coordinates(representations_path(run.path, 2) / "encoder.conv1.npy")
    assert sg.linear_cka(read, np.asarray(kept)) == pytest.approx(1, abs=1e-5)


def test_nothing_of_it_is_done_again(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.npy")}
    before |= {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}
    study = sg.load_study(folder)
    for stage in ("train", "extract", "compare"):
        run_stage(stage, study, LocalEngine(1))
    assert {p: p.stat().st_mtime_ns for p in before} == before

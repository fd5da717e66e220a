"""Networks that read the probes of other data: from the study file to report, export and plan."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import stratigraph as sg
from stratigraph.data import load_dataset
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.evidence import gather
from stratigraph.records import read_json, save_snapshot
from stratigraph.report.across_data import across_data
from stratigraph.report.data import ReportData
from stratigraph.report.sections import sections
from stratigraph.stages import (
    Progress,
    assess_study,
    export_study,
    open_study,
    run_study,
    verify_study,
)
from stratigraph.stages.compare import compare_study
from stratigraph.stages.current import is_finished
from stratigraph.stages.extract import extract_study
from stratigraph.stages.task import reading_digest
from stratigraph.study import load_config, load_study, probe_images, representations_path
from stratigraph.training import initial_state

FILE = """
name: two sets
grid:
  data: [{name: sprites, size: 32, cache: false}, {name: solids, size: 16, cache: false}]
  architecture: {name: fully_connected, width: 24}
  objective: {beta_vae: {beta: 1}}
  latents: 3
  seed: {replicates: 2}
training: {steps: 6, batch_size: 8, learning_rate: 1e-3, validation_images: 16}
snapshots: {kind: explicit, steps: [0, 3, 6]}
probes: {count: 24PROBES}
measures: [debiased_cka, {name: procrustes_similarity, pairs: claims}]
representations: keep
"""
DATA = ", data: [own, solids, sprites]"


def write(folder, probes=DATA):
    path = folder / "study.yaml"
    path.write_text(FILE.replace("PROBES", probes))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory, blank_figures):
    folder = tmp_path_factory.mktemp("two")
    with blank_figures():
        return run_study(write(folder), folder / "out", engine=LocalEngine(1))


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The same study untrained, of which only what is read on other probes is compared."""
    folder = tmp_path_factory.mktemp("read")
    file = write(folder)
    text = file.read_text().replace("replicates: 2", "replicates: 1")
    file.write_text(text.replace(", {name: procrustes_similarity, pairs: claims}", ""))
    study = open_study(file, folder / "out")
    engine, progress = LocalEngine(1), Progress(quiet=True)
    for run in study.runs.values():
        for step in (0, 6):
            state = initial_state(run.config, run.dataset())
            save_snapshot(run.path, step, state.model, {"run_id": run.run_id})
    extract_study(study, engine, progress)
    for other in study.others():
        extract_study(other, engine, progress)
        compare_study(other, engine, progress)
    return study


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy")
    return load_study(tmp_path / "copy")


def assess(study):
    return assess_study(study, LocalEngine(1), Progress(quiet=True))


def test_what_a_network_reads_of_its_own_is_as_without(read, tmp_path):
    alone = load_config(write(tmp_path, ""))
    assert set(read.runs) < {run.run_id for run in alone.runs}
    assert not alone.others
    for run in read.runs.values():
        about = read_json(representations_path(run.path, 6) / "manifest.json")["about"]
        bare = type(read)(read.path, alone, read.runs)
        assert {key: about[key] for key in reading_digest(bare, run)} == reading_digest(bare, run)
        # And read on its own set, it is what it is.
        own = read.others()[0 if run.config.data["name"] == "solids" else 1]
        assert own.shown(run) == run.config
        assert own.steps(run) == [0, 6]
        for name in ("encoder.dense1.npy", "z_mean.npy", "decoder.output.npy"):
            one, other = (
                representations_path(run.path, 6, way) / name for way in ("", own.way.folder)
            )
            assert one.read_bytes() == other.read_bytes()


def test_networks_of_other_data_are_compared_on_the_same_probes(read):
    solids, sprites = read.others()
    assert [one.way.folder for one in read.others()] == ["-on-solids", "-on-sprites"]
    for other in (solids, sprites):
        labels = other.labels("debiased_cka")
        assert labels["probes"].nunique() == 1
        assert set(labels["step"]) == {0, 6}
        matrix = other.similarity("debiased_cka").values
        data = labels["data"].to_numpy()
        inputs = ((labels["layer"] == "input") & (labels["step"] == 6)).to_numpy()
        # The same images in the same order, whatever they were made to fit.
        across = matrix[np.ix_(inputs & (data == "sprites"), inputs & (data == "solids"))]
        assert (across > 0.6).all()
        assert (across < 1.0).all()
    kept = {path.name for path in (read.path / "probes").iterdir()}
    assert len(kept) == 4  # of each set which images, and the first of them: no set is kept twice


@pytest.mark.full
def test_claims_report_and_figure(made):
    evidence = gather(made)
    table = evidence.across["debiased_cka"].table
    assert set(table["shown_x"]) == {"solids", "sprites"}
    assert (table["run_x"] != table["run_y"]).all()
    assert (table["step_x"] == table["step_y"]).all()
    assert np.isfinite(evidence.across["debiased_cka"].values[table["last_x"].astype(bool)]).all()
    for pairs in (evidence.to_final, evidence.final, evidence.within):
        assert set(pairs["debiased_cka"].table["data_x"]) == {"solids", "sprites"}
        same = pairs["debiased_cka"].table
        assert (same["data_x"] == same["data_y"]).all()
    found = {row["key"]: row for row in made.findings}
    for key in ("encoders_generic", "decoders_specific", "encoder_first_in_every_data_set"):
        assert found[key]["verdict"] == "undecided", found[key]["why"]
    shown = across_data(ReportData(made))
    one = shown[(shown["layer"] == "encoder.dense1") & (shown["probes"] == "solids")]
    trained = one[one["trained"]].set_index(["one", "two"])
    assert dict(trained["pairs"]) == {
        ("sprites", "sprites"): 1,
        ("solids", "solids"): 1,
        ("sprites", "solids"): 4,
    }
    page = (made.path / "report" / "index.html").read_text()
    assert "What depends on the data?</h2>" in page
    sketches = sections(ReportData(made))["across-data"]
    assert [sketch.kind for sketch in sketches] == ["across-data"]
    panels = sketches[0].draw().axes
    assert [axis.get_title() for axis in panels[:2]] == ["shown solids", "shown sprites"]
    assert panels[0].images[0].get_array().shape == (
        len(set(one["layer"]) | set(shown["layer"])),
        4,
    )


@pytest.mark.full
def test_nothing_is_made_twice_and_what_is_lost_is_made_again(copied):
    assert is_finished(copied)
    whole = (copied.path / "findings.json").read_bytes()
    matrix = copied.path / "similarity-on-solids" / "debiased_cka" / "values.npy"
    scores = matrix.read_bytes()
    run = next(iter(copied.runs.values()))
    shutil.rmtree(representations_path(run.path, 0, "-on-solids"))
    shutil.rmtree(matrix.parent)
    shutil.rmtree(copied.path / "jackknife-on-solids")
    assert not is_finished(copied)
    assess(copied)
    assert (copied.path / "findings.json").read_bytes() == whole
    assert matrix.read_bytes() == scores
    assert not verify_study(copied.path).damages


@pytest.mark.full
def test_an_export_holds_them(made, tmp_path):
    export_study(made, tmp_path / "kept")
    held = sg.load_study(tmp_path / "kept")
    assert [one.measures() for one in held.others()] == [one.measures() for one in made.others()]
    here, there = (gather(study).across["debiased_cka"] for study in (made, held))
    keys = ["run_x", "run_y", "layer_x", "step_x", "shown_x"]
    assert here.table[keys].equals(there.table[keys])
    np.testing.assert_allclose(here.values[:, 0], there.values[:, 0], atol=1e-6)


def test_images_that_fit_are_those_of_the_other_set(read):
    run = next(run for run in read.runs.values() if run.config.data["name"] == "sprites")
    shown = read.others()[0].shown(run)
    images = probe_images(shown, read.config.probes, (1, 32, 32))
    solids = load_dataset("solids", size=16, cache=False)
    own = probe_images(shown, read.config.probes)
    assert images.shape == (24, 1, 32, 32)
    assert own.shape == (24, *solids.image_shape)
    luma = (own * own.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    halves = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    assert (halves - luma).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("probes", "measures", "message"),
    [
        (", data: [solids]", "debiased_cka", "begin the list with own"),
        (", data: [own, solid]", "debiased_cka", r"probes: data: no data set .* Did you mean 's"),
        (", data: [own, solids, {name: solids, size: 16, cache: false}]", "debiased_cka", "twice"),
        (", data: [own, solids, solids]", "debiased_cka", "is in the list twice"),
        (DATA, "procrustes_similarity", "compared by debiased_cka; add it to `measures`"),
    ],
)
def test_what_cannot_be_asked_is_said(tmp_path, probes, measures, message):
    path = write(tmp_path, probes)
    path.write_text(path.read_text().replace("[debiased_cka, {", f"[{measures}, {{"
                    if measures == "debiased_cka" else "[{"))  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_sets_of_one_name_are_told_apart(tmp_path):
    path = write(tmp_path, ", data: [own, {name: solids, size: 32}, {name: solids, size: 8}]")
    ways = load_config(path).others
    assert [way.folder for way in ways] == ["-on-solids", "-on-solids_2"]
    text = path.read_text().replace("{name: solids, size: 16, cache: false}]", "{name: sprites}]")
    path.write_text(text.replace("{name: solids, size: 8}", "sprites"))
    with pytest.raises(ConfigError, match="the grid has several data sets called sprites"):
        load_config(path)

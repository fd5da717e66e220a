"""A study whose measures are certified to a tolerance, against the same study compared exactly."""

from __future__ import annotations

import importlib
import shutil

import numpy as np
import pytest

import stratigraph as sg
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.records import MANIFEST, read_json, read_text, write_record, write_text
from stratigraph.stages import assess_study, compare_study
from stratigraph.stages.export import pairs_of
from stratigraph.stages.progress import Progress
from stratigraph.study import MeasureConfig
from stratigraph.study.parse import parse_config

QUIET = Progress(quiet=True)
TOLERANCE = 0.01
MEASURES = ("procrustes_similarity", "linear_cka", "debiased_cka")


def with_measures(study, folder, measures):
    """The study copied, its measures exchanged."""
    shutil.copytree(study.path, folder)
    text = read_text(folder / "study.yaml")
    head = text[: text.index("measures:")]
    write_text(folder / "study.yaml", f"{head}measures:\n{measures}")
    return sg.load_study(folder)


@pytest.fixture(scope="module")
def exact(tiny_study, tmp_path_factory):
    rows = "".join(f"  - {{name: {name}, pairs: claims}}\n" for name in MEASURES)
    study = with_measures(tiny_study, tmp_path_factory.mktemp("exact") / "study", rows)
    compare_study(study, LocalEngine(1), QUIET)
    return study


@pytest.fixture(scope="module")
def certified(tiny_study, tmp_path_factory):
    rows = "".join(
        f"  - {{name: {name}, pairs: claims, tolerance: {TOLERANCE}}}\n" for name in MEASURES
    )
    study = with_measures(tiny_study, tmp_path_factory.mktemp("certified") / "study", rows)
    assert compare_study(study, LocalEngine(1), QUIET) == list(MEASURES)
    return study


def test_the_exact_scores_of_trained_layers_are_inside(exact, certified):
    measure = "procrustes_similarity"
    study = certified
    found, true = study.similarity(measure), exact.similarity(measure).to_numpy()
    low, high = found.lower.to_numpy(), found.upper.to_numpy()
    known = np.isfinite(true)
    assert np.array_equal(np.isfinite(found.to_numpy()), known)
    assert ((low <= true + 1e-6) & (true <= high + 1e-6))[known].all()
    assert (high - low)[known].max() <= TOLERANCE
    assert np.array_equal(found.to_numpy()[known], ((low + high) / 2)[known])
    assert found.attrs["tolerance"] == TOLERANCE
    assert found.attrs["plan"].startswith("certified")


def test_it_is_not_done_again_and_not_taken_for_exact(certified, exact, tmp_path):
    assert compare_study(certified, LocalEngine(1), QUIET) == []
    assert "lower" not in exact.similarity("procrustes_similarity").coords
    rows = "  - {name: procrustes_similarity, pairs: claims}\n"
    changed = with_measures(certified, tmp_path / "study", rows)
    assert compare_study(changed, LocalEngine(1), QUIET) == ["procrustes_similarity"]
    changed = sg.load_study(changed.path)
    true = exact.similarity("procrustes_similarity").to_numpy()
    found = changed.similarity("procrustes_similarity").to_numpy()
    assert np.array_equal(found, true, equal_nan=True)


@pytest.mark.parametrize("measure", ["linear_cka", "debiased_cka"])
def test_cka_of_a_file_that_asks_for_a_tolerance_is_exact(exact, certified, measure):
    found, true = certified.similarity(measure), exact.similarity(measure)
    assert np.array_equal(found.to_numpy(), true.to_numpy(), equal_nan=True)
    assert "lower" not in found.coords
    assert "tolerance" not in found.attrs


def test_certified_cka_that_a_study_has_kept_is_read_and_made_exact(exact, certified, tmp_path):
    """As earlier versions left it: intervals beside the scores, and the tolerance in the record."""
    study = sg.load_study(shutil.copytree(certified.path, tmp_path / "study"))
    folder = study.path / "similarity" / "debiased_cka"
    values = np.load(folder / "values.npy")
    about = read_json(folder / MANIFEST)["about"]
    labels = (folder / "labels.parquet").read_bytes()
    shutil.rmtree(folder)

    def fill(files):
        files.array("values.npy", values)
        files.array("lower.npy", values - 0.005)
        files.array("upper.npy", values + 0.005)
        files.add("labels.parquet", labels)

    write_record(folder, fill, {**about, "tolerance": TOLERANCE})
    kept = sg.load_study(study.path)
    assert kept.similarity("debiased_cka").attrs["tolerance"] == TOLERANCE
    assert (kept.similarity("debiased_cka").lower < kept.similarity("debiased_cka")).any()
    assert compare_study(kept, LocalEngine(1), QUIET) == ["debiased_cka"]
    found = sg.load_study(study.path).similarity("debiased_cka")
    assert "lower" not in found.coords
    true = exact.similarity("debiased_cka").to_numpy()
    assert np.array_equal(found.to_numpy(), true, equal_nan=True)


def test_workers_do_not_change_a_bit(certified, tmp_path):
    other = sg.load_study(shutil.copytree(certified.path, tmp_path / "study"))
    shutil.rmtree(other.path / "similarity" / "procrustes_similarity")
    assert compare_study(other, LocalEngine(2), QUIET) == ["procrustes_similarity"]
    for part in ("values", "lower", "upper"):
        name = f"similarity/procrustes_similarity/{part}.npy"
        assert (other.path / name).read_bytes() == (certified.path / name).read_bytes()


def test_bands_do_not_change_a_bit(certified, tmp_path, monkeypatch):
    """Written a row at a time, from blocks in another order than the rows."""
    other = sg.load_study(shutil.copytree(certified.path, tmp_path / "study"))
    shutil.rmtree(other.path / "similarity" / "procrustes_similarity")
    monkeypatch.setattr(importlib.import_module("stratigraph.stages.matrix_record"), "BAND", 1)
    assert compare_study(other, LocalEngine(1), QUIET) == ["procrustes_similarity"]
    for part in ("values", "lower", "upper"):
        name = f"similarity/procrustes_similarity/{part}.npy"
        assert (other.path / name).read_bytes() == (certified.path / name).read_bytes()


def test_an_export_has_the_intervals(certified, exact):
    pairs = pairs_of(certified, "procrustes_similarity")
    true = exact.similarity("procrustes_similarity").values[pairs["row_x"], pairs["row_y"]]
    assert (pairs["lower"] <= true + 1e-6).all()
    assert (pairs["upper"] >= true - 1e-6).all()
    assert (pairs["upper"] - pairs["lower"]).max() <= TOLERANCE
    assert list(pairs_of(exact, "linear_cka")) == ["row_x", "row_y", "value"]


def test_findings_say_so(certified):
    study = certified
    assess_study(study, LocalEngine(1), QUIET)
    by_procrustes = [row for row in study.findings if "procrustes_similarity" in row["of_all_runs"]]
    assert by_procrustes
    for row in by_procrustes:
        said = f"Scores are certified: procrustes_similarity to ± {TOLERANCE / 2:g}; intervals"
        assert said in row["why"]
    # Where probes are left out, the CKA of all of them is computed exactly.
    assert not any("debiased_cka to ±" in row["why"] for row in study.findings)


def test_a_tolerance_that_cannot_be_kept_is_refused(tiny_study):
    for name, tolerance, match in (
        ("rsa_pearson", 0.1, "rsa_pearson has no certified form; procrustes_similarity"),
        ("deconfounded_cka", 0.1, "deconfounded_cka has no certified form"),
        ("debiased_cka", 0.1, "exact debiased_cka is cheaper"),
        ("procrustes_similarity", 0, "expected a number from 1e-06 to 1"),
        ("procrustes_similarity", "small", "got 'small'"),
    ):
        with pytest.raises(ConfigError, match=match):
            MeasureConfig(name, tolerance=tolerance)
    table = {
        "name": "t",
        "grid": {"data": "sprites", "objective": "vae"},
        "training": {"steps": 1},
        "measures": [
            {"name": "procrustes_similarity", "tolerance": 0.02},
            {"name": "cka", "tolerance": 0.02},
        ],
    }
    MeasureConfig("procrustes", tolerance=0.1)  # a short name has the form that it is short for
    config = parse_config(table)
    assert config.measures == (
        MeasureConfig("procrustes_similarity", ("all",), 0.02),
        MeasureConfig("debiased_cka", ("all",)),
    )

"""One study from its file to its report, and what must hold of the whole path."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import stratigraph as sg
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError, IntegrityError
from stratigraph.stages import open_study, run_stage, run_study
from stratigraph.study import Study


def _hashes(folder: Path, *parts: str) -> dict[str, str]:
    """Hashes of every file of the study that holds a result."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in parts
        for path in sorted(folder.glob(part))
        if path.is_file()
        and path.name not in ("state.json", "config.json", "current.json", ".lock")
    }


def _results(source: Path, out: Path | None = None, workers: int = 1) -> Study:
    """Every stage but the report, which takes longer than all others and is drawn elsewhere."""
    study, engine = open_study(source, out), LocalEngine(workers)
    for stage in ("train", "extract", "compare", "assess"):
        run_stage(stage, study, engine)
    return study


RESULTS = ("runs/**/*", "similarity/**/*", "jackknife/**/*", "probes/**/*", "findings.json")


def test_every_stage_leaves_its_files(tiny_study):
    folder = tiny_study.path
    assert [run.state["state"] for run in tiny_study.runs.values()] == ["done"] * 4
    for run in tiny_study.runs.values():
        assert run.steps == [0, 2, 5, 12]
        assert {p.name for p in (run.path / "representations").iterdir()} == {
            f"{step:09d}" for step in run.steps
        }
        assert not (run.path / "checkpoint").exists()
    assert (folder / "report" / "index.html").is_file()
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".webp", ".json"}
    assert not list(folder.rglob(".new-*"))


def test_two_workers_give_the_bytes_of_one(tiny_study, tiny_file, tmp_path):
    other = _results(tiny_file, tmp_path / "two", workers=2)
    one, two = _hashes(tiny_study.path, *RESULTS), _hashes(other.path, *RESULTS)
    assert len(one) > 80
    assert one == two


def test_a_second_run_writes_nothing(tiny_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.npy")}
    before |= {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}
    _results(folder)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_missing_snapshot_record_is_extracted_again_to_the_same_bytes(tiny_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    before = _hashes(folder, *RESULTS)
    shutil.rmtree(next(folder.glob("runs/*/representations/000000005")))
    shutil.rmtree(folder / "similarity" / "debiased_cka")
    _results(folder)
    assert _hashes(folder, *RESULTS) == before


def test_a_damaged_snapshot_is_told_and_nothing_is_made_of_it(tiny_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    weights = next(folder.glob("runs/*/snapshots/000000005/weights.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    shutil.rmtree(weights.parents[2] / "representations")
    with pytest.raises(IntegrityError, match=r"weights\.safetensors: damaged"):
        run_study(folder, engine=LocalEngine(1))


def test_a_matrix_says_what_read_its_representations(tiny_study, tmp_path):
    """And a difference among them is told: float32 depends on versions in its last digits."""
    import io

    from rich.console import Console

    from stratigraph.records import read_json, sealed_json
    from stratigraph.stages import compare_study
    from stratigraph.stages.progress import Progress

    (own,) = tiny_study.similarity("debiased_cka").attrs["read_by"]
    assert f'"torch":"{torch.__version__}"' in own
    shutil.copytree(tiny_study.path, tmp_path / "study")
    study = sg.load_study(tmp_path / "study")
    record = next(iter(study.runs.values())).path / "representations" / "000000005"
    manifest = read_json(record / "manifest.json")
    manifest["about"]["read_by"]["torch"] = "1.0"
    (record / "manifest.json").write_bytes(sealed_json(manifest))
    told = io.StringIO()
    compare_study(study, LocalEngine(1), Progress(console=Console(file=told, width=400)))
    assert "representations were read under 2 conditions" in told.getvalue()
    assert len(sg.load_study(study.path).similarity("debiased_cka").attrs["read_by"]) == 2


def test_the_matrix_agrees_with_the_measure_on_activations(tiny_study):
    study = sg.load_study(tiny_study.path)
    matrix = study.similarity("debiased_cka")
    labels = study.labels("debiased_cka")
    run = next(iter(study.runs.values()))
    from stratigraph.study import probe_images

    images = probe_images(run.config, study.config.probes)

    def at(step: int, layer: str) -> tuple[int, torch.Tensor]:
        row = labels.query("run == @run.run_id and step == @step and layer == @layer").index[0]
        model = run.model(step)
        noise = torch.zeros(len(images), run.config.latents)
        read = sg.capture(model, images, [layer], call=lambda x, rows: model(x, noise[rows]))
        return row, read[layer]

    for a, b in ((("encoder.conv2"), ("decoder.deconv1")), (("z_mean"), ("encoder.dense"))):
        (i, x), (j, y) = at(2, a), at(12, b)
        expected = sg.debiased_cka(x.double(), y.double())
        assert float(matrix[i, j]) == pytest.approx(expected, abs=1e-5)


def test_matrices_are_symmetric_with_a_unit_diagonal(tiny_study):
    values = tiny_study.similarity("debiased_cka").values
    np.testing.assert_array_equal(values, values.T)
    np.testing.assert_allclose(np.diag(values), 1, atol=1e-6)


def test_pairs_not_asked_for_are_nan(tiny_study):
    labels = tiny_study.labels("procrustes_similarity")
    values = tiny_study.similarity("procrustes_similarity").values
    runs, layers = labels["run"].to_numpy(), labels["layer"].to_numpy()
    across = runs[:, None] != runs[None, :]
    # Of two runs, findings read one layer at the last step.
    last = (labels["step"] == 12).to_numpy()
    asked = (layers[:, None] == layers[None, :]) & last[:, None] & last[None, :]
    assert np.isnan(values[across & ~asked]).all()
    assert np.isfinite(values[across & asked]).all()
    assert np.isfinite(np.diag(values)).all()


def test_metrics_hold_training_and_held_out_losses(tiny_study):
    metrics = next(iter(tiny_study.runs.values())).metrics
    assert isinstance(metrics, pd.DataFrame)
    assert metrics.query("split == 'validation'")["step"].tolist() == [0, 2, 5, 12]
    assert metrics.query("split == 'training'")["step"].tolist() == [2, 5, 10, 12]
    held_out = metrics.query("split == 'validation'")
    total = held_out["reconstruction"] + held_out["regulariser"]
    np.testing.assert_allclose(held_out["loss"], total, rtol=1e-5)
    assert held_out["loss"].iloc[-1] < held_out["loss"].iloc[0]


def test_another_grid_in_the_same_folder_is_refused(tiny_study, tiny_file, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(tiny_file.read_text().replace("seed: [0, 1]", "seed: [0, 2]"))
    with pytest.raises(ConfigError, match=r"2 runs that .*other\.yaml lacks"):
        run_study(other, tiny_study.path, engine=LocalEngine(1))


def test_a_study_may_grow(tiny_study, tiny_file, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    kept = _hashes(folder, "runs/*/snapshots/**/*")
    more = tmp_path / "more.yaml"
    more.write_text(tiny_file.read_text().replace("seed: [0, 1]", "seed: [0, 1, 2]"))
    study = _results(more, folder)
    assert len(study.runs) == 6
    assert kept.items() <= _hashes(folder, "runs/*/snapshots/**/*").items()
    assert len(study.labels("debiased_cka")) == 6 * 4 * 15


def test_a_run_that_diverges_is_named_and_the_others_go_on(tiny_file, tmp_path, without_ink):
    worse = "beta: 1}\n    dip_vae_i: {lambda_od: 3e37}"
    text = tiny_file.read_text().replace("beta: [1, 4]}", worse).replace("seed: [0, 1]", "seed: 0")
    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    study = run_study(bad, tmp_path / "out", engine=LocalEngine(1))
    states = [run.state for run in study.runs.values()]
    assert [s["state"] for s in states] == ["done", "diverged"]
    assert "not finite at step" in states[1]["reason"]
    html = (study.path / "report" / "index.html").read_text()
    assert "diverged" in html

"""What a study tells TensorBoard, MLflow and Weights & Biases, read back with their own readers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stratigraph.errors import ConfigError, InputError, StorageError
from stratigraph.evidence import similarity_to_final
from stratigraph.integrations import trackers
from stratigraph.integrations.trackers import open_tracker, track_study
from stratigraph.stages import export_study

KEY = "to_final/debiased_cka/encoder.conv1"

pytestmark = pytest.mark.filterwarnings("ignore")  # what trackers warn of is theirs


@pytest.fixture(scope="module")
def expected(tiny_study):
    """Of the first run: held-out losses, and conv1's approach to its final state, by step."""
    run = next(iter(tiny_study.runs.values()))
    losses = run.metrics.query("split == 'validation'").set_index("step")["loss"]
    table = similarity_to_final(tiny_study, "debiased_cka")
    own = table[(table["run"] == run.run_id) & (table["layer"] == "encoder.conv1")]
    return run, losses, own.set_index("step")["similarity"]


def _same(found, wanted):
    assert sorted(found) == sorted(wanted.index)
    for step, value in found.items():
        assert value == pytest.approx(wanted[step], rel=1e-6)


def test_tensorboard(tiny_study, expected, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, losses, approach = expected
    assert track_study(tiny_study, open_tracker("tensorboard", tmp_path / "tb", "tiny")) == 4
    read = EventAccumulator(str(tmp_path / "tb" / run.run_id), size_guidance={"images": 0})
    read.Reload()
    _same({e.step: e.value for e in read.Scalars("loss/validation")}, losses)
    _same({e.step: e.value for e in read.Scalars(KEY)}, approach)
    images = read.Images("layers/debiased_cka")
    assert [e.step for e in images] == run.steps
    assert (images[0].width, images[0].height) == (15 * trackers.CELL, 15 * trackers.CELL)
    with pytest.raises(StorageError, match="twice"):
        open_tracker("tensorboard", tmp_path / "tb", "tiny")


def test_mlflow(tiny_study, expected, tmp_path):
    from mlflow import MlflowClient

    run, losses, approach = expected
    out = tmp_path / "mlflow"
    assert track_study(tiny_study, open_tracker("mlflow", out, "tiny")) == 4
    client = MlflowClient(tracking_uri=out.as_uri())
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 4
    (own,) = (one for one in found if one.data.tags["stratigraph.run"] == run.run_id)
    assert own.info.status == "FINISHED"
    assert own.data.params["objective.name"] == "beta_vae"
    history = client.get_metric_history(own.info.run_id, "loss/validation")
    _same({m.step: m.value for m in history}, losses)
    _same({m.step: m.value for m in client.get_metric_history(own.info.run_id, KEY)}, approach)
    assert len(client.list_artifacts(own.info.run_id, "images")) >= len(run.steps)


def _logged(data):
    """The records of a LevelDB log, which is how wandb writes a run: blocks of 32 KiB of pieces."""
    at, parts = 7, []  # after the file's own header
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or its last piece
            yield b"".join(parts)
            parts = []


def test_wandb_offline(tiny_study, expected, tmp_path, monkeypatch):
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("HOME", str(tmp_path))
    run, losses, approach = expected
    assert track_study(tiny_study, open_tracker("wandb", tmp_path / "out", "tiny")) == 4
    (file,) = (tmp_path / "out" / "wandb").glob(f"offline-run-*-{run.run_id}/*.wandb")
    rows = []
    for data in _logged(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            rows.append(
                {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
            )
    _same({r["_step"]: r["loss/validation"] for r in rows if "loss/validation" in r}, losses)
    _same({r["_step"]: r[KEY] for r in rows if KEY in r}, approach)
    pictured = [row for row in rows if any(key.startswith("layers/debiased_cka") for key in row)]
    assert len(pictured) == len(run.steps)


def test_a_tracker_that_is_not_there_says_so(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="tensorboard"):
        open_tracker("tensorbord", tmp_path / "x", "tiny")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"stratigraph\[trackers\]"):
        open_tracker("wandb", tmp_path / "x", "tiny")
    assert not (tmp_path / "x").exists()


def test_csv_holds_what_parquet_holds(tiny_study, tmp_path):
    for form in ("csv", "parquet"):
        export_study(tiny_study, tmp_path / form, form)
    names = sorted(p.relative_to(tmp_path / "csv") for p in (tmp_path / "csv").rglob("*.csv"))
    assert len(names) == 8
    for name in names:
        one = pd.read_csv(tmp_path / "csv" / name, keep_default_na=False, na_values=[""])
        other = pd.read_parquet((tmp_path / "parquet" / name).with_suffix(".parquet"))
        assert list(one.columns) == list(other.columns)
        for column in other.select_dtypes("number"):
            np.testing.assert_allclose(one[column].astype(float), other[column], rtol=1e-6)


def test_netcdf_opens_in_xarray(tiny_study, tmp_path):
    export_study(tiny_study, tmp_path / "out", "netcdf")
    matrix = tiny_study.similarity("debiased_cka")
    with xr.open_dataarray(tmp_path / "out" / "similarity" / "debiased_cka.nc") as read:
        np.testing.assert_array_equal(read.values, matrix.values.astype(np.float32))
        assert read.name == "debiased_cka"
        assert read["layer_x"].values.tolist() == matrix["layer_x"].values.tolist()
        assert read["step_y"].values.tolist() == matrix["step_y"].values.tolist()
        assert read.attrs["measure"] == "debiased_cka"
    with pytest.raises(InputError, match="netcdf"):
        export_study(tiny_study, tmp_path / "none", "netcd")
    assert not (tmp_path / "none").exists()


def test_what_a_recorded_run_logged_is_told_whatever_its_name():
    logged = {"step": 3, "split": "training", "accuracy": 0.5, "note": "mine", "loss": 1.0}
    run = SimpleNamespace(run_id="a", metrics=pd.DataFrame([logged]))
    found = list(trackers._scalars(run, {}, pd.DataFrame()))
    assert found == [(3, "accuracy/training", 0.5), (3, "loss/training", 1.0)]


def test_a_run_is_over_for_the_tracker_that_fails(tiny_study):
    told = []

    class Fails:
        def begin(self, *given):
            told.append("begin")

        def at(self, *given):
            raise OSError("full")

        def end(self):
            told.append("end")

    with pytest.raises(OSError, match="full"):
        track_study(tiny_study, Fails())
    assert told == ["begin", "end"]


def test_every_way_is_exported(tiny_study, tmp_path):
    shutil.copytree(tiny_study.path, tmp_path / "study")
    shutil.copytree(
        tiny_study.path / "similarity" / "procrustes_similarity",
        tmp_path / "study" / "similarity-published" / "procrustes_similarity",
    )
    ways = replace(tiny_study.config, ways=("corrected", "published"))
    export_study(replace(tiny_study, path=tmp_path / "study", config=ways), tmp_path / "out")
    names = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.parquet")}
    assert {
        "labels.parquet", "labels-published.parquet", "similarity/debiased_cka.parquet",
        "similarity/procrustes_similarity.parquet",
        "similarity-published/procrustes_similarity.parquet",
    } <= names  # fmt: skip

"""Studies that an earlier version left at a URL: they are read, verified, and gone on with.

``url-format-1.tar.xz``: what `stratigraph` 0.1.0 left at two `file://` URLs at the commit before
the one that added this file, with torch 2.13 on a CPU, of a study of one run of six steps:
``whole`` trained, extracted and compared; ``half`` stopped in its training, at step 3. Their
inventories were called catalogues, and had a fencing token and a holder.
"""

from __future__ import annotations

import importlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

import stratigraph as sg
from stratigraph.engine import LocalEngine
from stratigraph.errors import DataError
from stratigraph.remote import verify_url
from stratigraph.remote.inventory import read_newest
from stratigraph.remote.store import open_store
from stratigraph.stages import run_stage

ARCHIVE = Path(__file__).with_name("url-format-1.tar.xz")
RUN = "4f8f9f0d747b"


@pytest.fixture
def old(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "work"))
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "store", filter="data")
    return f"file://{tmp_path}/store"


def test_a_whole_one_is_read_and_nothing_of_it_is_published_again(old):
    before = read_newest(open_store(f"{old}/whole"), f"runs/{RUN}/ledger")
    assert json.loads(Path(f"{old[7:]}/whole/runs/{RUN}/ledger/{before.number:09d}.json")
                      .read_text())["format"] == 1  # fmt: skip
    assert verify_url(f"{old}/whole").damaged == {}
    study = sg.load_study(f"{old}/whole")
    (run,) = study.runs.values()
    assert (run.run_id, run.steps, run.state["state"]) == (RUN, [0, 2, 6], "done")
    assert np.isfinite(study.similarity("debiased_cka").values).sum() > 6
    for stage in ("train", "extract", "compare"):
        run_stage(stage, study, LocalEngine(1))
    assert read_newest(open_store(f"{old}/whole"), f"runs/{RUN}/ledger") == before


def test_a_stopped_one_goes_on_from_where_it_was(old, monkeypatch, tmp_path):
    module, begun = importlib.import_module("stratigraph.stages.trainer"), []
    real = module.load_checkpoint
    monkeypatch.setattr(module, "load_checkpoint", lambda *a: begun.append(real(*a)) or begun[-1])
    study = sg.load_study(f"{old}/half")
    run_stage("train", study, LocalEngine(1), allow_drift=True)  # this machine's torch is newer
    (run,) = study.runs.values()
    assert (run.state["state"], begun) == ("done", [3])
    assert set(run.metrics["step"]) == {0, 2, 4, 6}
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "elsewhere"))
    assert next(iter(sg.load_study(f"{old}/half").runs.values())).steps == [0, 2, 6]
    assert verify_url(f"{old}/half").damaged == {}
    store = open_store(f"{old}/half")
    assert not store.walk(f"runs/{RUN}/checkpoint")  # the old version's, which counts no longer
    assert read_newest(store, f"runs/{RUN}/ledger").by.startswith("pid")


def test_damage_in_an_old_one_is_found_and_struck_out(old):
    (file,) = Path(f"{old[7:]}/whole/runs/{RUN}/snapshots/000000002").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"weights\.safetensors: damaged"):
        sg.load_study(f"{old}/whole")
    found = verify_url(f"{old}/whole", repair=True)
    assert list(found.damaged) == [f"runs/{RUN}/snapshots/000000002"]
    assert found.back == set()
    assert verify_url(f"{old}/whole").damaged == {}

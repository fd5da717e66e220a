"""Studies that are sealed and nonsense: one line and exit code 3, and no more of the page than 4xx.

Anybody can seal a file: a seal says that bytes are those that were written, not who wrote them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stratigraph.cli.main import main
from stratigraph.durable import sha256
from stratigraph.errors import StratigraphError
from stratigraph.records import sealed_json
from stratigraph.stages.verify import verify_study
from stratigraph.study import load_study
from stratigraph.web.query import Query
from stratigraph.web.views.catalog import VIEWS
from stratigraph.web.watch import Watched

GONE = object()
LONG = 10**400
# file → what stands where in it instead; and which of the commands then cannot go on.
FORGED = [
    ("runs/*/config.json", "config", [], "verify"),
    ("runs/*/config.json", "run_id", None, "verify"),
    ("runs/*/state.json", "step", "many", ""),
    ("runs/*/state.json", "state", GONE, ""),
    ("runs/*/state.json", "signs", [1], ""),
    ("runs/*/state.json", "step", LONG, ""),
    ("findings.json", "findings", {}, "verify"),
    ("findings.json", "findings", [1], "verify"),
    ("findings.json", "findings", GONE, "verify"),
    ("floors.json", "floors", [], "verify"),
    ("current.json", "report", 3, ""),
    ("runs/*/metrics/manifest.json", "files", [], "show verify"),
    ("runs/*/metrics/manifest.json", "about", None, "show verify"),
    ("runs/*/metrics/manifest.json", "format", "1", "show verify"),
    ("runs/*/metrics/manifest.json", "files", {"metrics.parquet": 1}, "show verify"),
    ("runs/*/metrics/manifest.json", "files", {"a\0b": {"bytes": 1, "sha256": ""}}, "show verify"),
    ("runs/*/metrics/manifest.json", "files", {"../x": {"bytes": 1, "sha256": ""}}, "show verify"),
    ("runs/*/observed/scores/manifest.json", "files", None, "show verify"),
    ("similarity/debiased_cka/manifest.json", "about", [], "verify export"),
    ("similarity/debiased_cka/manifest.json", "files", GONE, "verify export"),
    ("probes/*-shown/manifest.json", "about", {"max_value": "x"}, "verify"),
]  # fmt: skip
TABLES = [
    ("runs/*/metrics", "metrics.parquet", lambda t: t.drop(columns="split"), "show verify"),
    ("runs/*/metrics", "metrics.parquet", lambda t: t.assign(step="x"), "show verify"),
    ("runs/*/observed/scores", "scores.parquet", lambda t: t.assign(value="x"), "show verify"),
    ("runs/*/observed/tables", "latents.parquet", lambda t: t.drop(columns="kl"), "verify"),
    ("similarity/debiased_cka", "labels.parquet", lambda t: t.iloc[1:], "verify export"),
    ("similarity/debiased_cka", "labels.parquet", lambda t: t.assign(layer=1), "verify export"),
    ("similarity/debiased_cka", "labels.parquet", lambda t: t.assign(step=None), "verify export"),
    ("similarity/debiased_cka", "values.npy", lambda a: a[1:], "verify export"),
    ("similarity/debiased_cka", "values.npy", lambda a: a.astype("U3"), "verify export"),
    ("similarity/debiased_cka", "values.npy", lambda a: a.ravel(), "verify export"),
    ("jackknife/debiased_cka", "pairs.npy", lambda a: a[:, :1], "verify"),
    ("jackknife/debiased_cka", "scores.npy", lambda a: a[1:], "verify"),
    ("probes/*-shown", "images.npy", lambda a: a[0, 0, 0], "verify"),
]  # fmt: skip


@pytest.fixture
def copy(tiny_study, tmp_path) -> Path:
    shutil.copytree(tiny_study.path, tmp_path / "study")
    return tmp_path / "study"


def _views(folder: Path, run: str) -> None:
    """Each view of the page answers, or says what is wrong with an error of ours: 4xx."""
    try:
        watched = Watched(folder)
    except StratigraphError:
        return
    for name in ("overview", "states", "losses", "latents", "models", "convergence", "probes"):
        asked = {"run": run} if name in ("latents", "probes") else {}
        try:
            json.dumps(VIEWS[name](watched, Query(asked)).facts, allow_nan=False)
        except StratigraphError as error:
            assert str(error)


def _commands(capsys, folder: Path, run: str, refused: str) -> None:
    for name, *more in (["list"], ["show", run], ["verify"], ["export", "--out", f"{folder}-x"]):
        with pytest.raises(SystemExit) as ended:
            main([name, str(folder), *more])
        heard = capsys.readouterr()
        assert "Traceback" not in heard.err
        assert heard.err.count("\n") <= 1, heard.err
        assert ended.value.code in (0, 3), (name, heard.err)
        if name in refused.split():
            assert ended.value.code == 3, name
    _views(folder, run)


@pytest.mark.parametrize(("pattern", "key", "value", "refused"), FORGED)
def test_json_that_says_something_else(copy, capsys, pattern, key, value, refused):
    path = sorted(copy.glob(pattern))[0]
    run = (
        path.relative_to(copy).parts[1] if "runs" in pattern else next(iter(load_study(copy).runs))
    )
    held = json.loads(path.read_text())
    del held["seal"]
    held[key] = value
    if value is GONE:
        del held[key]
    path.write_bytes(sealed_json(held))
    _commands(capsys, copy, run, refused)


@pytest.mark.parametrize(("pattern", "name", "change", "refused"), TABLES)
def test_tables_and_arrays_of_another_form(copy, capsys, pattern, name, change, refused):
    record = sorted(copy.glob(pattern))[0]
    run = (
        record.relative_to(copy).parts[1]
        if "runs" in pattern
        else next(iter(load_study(copy).runs))
    )
    file = record / name
    if file.suffix == ".npy":
        np.save(file, change(np.load(file)))
    else:
        change(pd.read_parquet(file)).to_parquet(file, index=False)
    manifest = json.loads((record / "manifest.json").read_text())
    del manifest["seal"]
    manifest["files"][name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    (record / "manifest.json").write_bytes(sealed_json(manifest))
    _commands(capsys, copy, run, refused)
    assert [damage.path for damage in verify_study(copy).damages] == [record]

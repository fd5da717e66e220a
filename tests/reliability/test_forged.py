"""Studies that are sealed and nonsense: one line and exit code 3, and no more of the page than 4xx.

Anybody can seal a file: a seal says that bytes are those that were written, not who wrote them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stratigraph.cli.main import main
from stratigraph.durable import sha256
from stratigraph.errors import ConfigError, DataError, StratigraphError
from stratigraph.records import sealed_json
from stratigraph.report.power import power
from stratigraph.stages.export import export_study
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
    ("findings.json", "ways_compared", [{"key": "x", "difference": 1}], "verify"),
    ("floors.json", "floors", [], "verify"),
    ("floors.json", "floors", {"x": {"of": {"mse": {"floor": 1, "room": None}}}}, "verify"),
    ("current.json", "report", 3, ""),
    ("runs/*/metrics/manifest.json", "files", [], "show verify"),
    ("runs/*/metrics/manifest.json", "files", {}, "show verify"),
    ("similarity/debiased_cka/manifest.json", "about", {}, "verify export"),
    ("influence/debiased_cka/manifest.json", "files", {}, "verify"),
    ("udr/*/manifest.json", "files", {}, "verify export"),
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
    ("runs/*/observed/scores", "scores.parquet", lambda t: t.assign(of_x="x"), "show verify"),
    ("runs/*/observed/tables", "latents.parquet", lambda t: t.iloc[1:], "verify"),
    ("runs/*/observed/tables", "latents.parquet", lambda t: t.assign(regime="x"), "verify"),
    ("runs/*/metrics", "metrics.parquet", lambda t: t.assign(kl="x"), "show verify"),
    ("influence/debiased_cka", "turned.parquet", lambda t: t.assign(contrast=[[1, 2]] * len(t)),
     "verify"),
    ("influence/debiased_cka", "probes.parquet", lambda t: t.assign(influence=b"x"), "verify"),
    ("udr/*", "udr.parquet", lambda t: pd.concat([t, t]), "verify export"),
    ("similarity/debiased_cka", "labels.parquet", lambda t: t.iloc[[0, *range(len(t) - 1)]],
     "verify export"),
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


def _reseal(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    held = json.loads(path.read_text())
    del held["seal"]
    change(held)
    path.write_bytes(sealed_json(held))


def test_findings_of_a_newer_version_are_refused(copy):
    _reseal(copy / "findings.json", lambda held: held.update(format=99))
    with pytest.raises(ConfigError, match=r"written in format 99, this version reads up to 2"):
        load_study(copy).findings  # noqa: B018


@pytest.mark.parametrize("lost", ["least", "level", "parts", "p"])
def test_power_of_findings_that_lack_what_it_follows_from(copy, lost):
    def lose(held: dict[str, Any]) -> None:
        one = next(row for row in held["findings"] if row["estimates"])
        for part in (one, *one["estimates"].values()):
            part.pop(lost, None)

    _reseal(copy / "findings.json", lose)
    with pytest.raises(DataError, match="run `stratigraph assess"):
        power(copy)


EXPORTED = [
    ("labels", lambda t: t.drop(columns="step"), "list"),
    ("labels", lambda t: t.assign(step=""), "list"),
    ("metrics", lambda t: t.drop(columns="run"), "show"),
    ("metrics", lambda t: t.assign(loss=[[1.0]] * len(t)), "show"),
    ("scores", lambda t: t.assign(n="x"), "show"),
    ("similarity/debiased_cka", lambda t: t.assign(row_x="x"), ""),
    ("similarity/debiased_cka", lambda t: t.assign(value="x"), ""),
]


@pytest.mark.parametrize(("name", "change", "refused"), EXPORTED)
def test_exported_tables_of_another_form(tiny_study, tmp_path, capsys, name, change, refused):
    out = tmp_path / "out"
    export_study(tiny_study, out)
    file = out / f"{name}.parquet"
    change(pd.read_parquet(file)).to_parquet(file, index=False)
    _reseal(
        out / "export.json", lambda held: held["files"].update({f"{name}.parquet": sha256(file)})
    )
    if not refused:  # no command reads the matrices of an export
        with pytest.raises(DataError, match=f"{file}: not readable"):
            load_study(out).similarity("debiased_cka")
        return
    with pytest.raises(SystemExit) as ended:
        main([refused, str(out), *([next(iter(tiny_study.runs))] if refused == "show" else [])])
    assert ended.value.code == 3
    heard = capsys.readouterr().err
    assert heard.count("\n") == 1
    assert f"{file}: not readable" in heard

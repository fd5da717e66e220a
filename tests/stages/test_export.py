"""Exports: what is copied, what is never followed, and that they open again for reading."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.errors import (
    ConfigError,
    DataError,
    InputError,
    IntegrityError,
    UnsafeFileError,
)
from stratigraph.records import read_json, write_json
from stratigraph.stages import open_study
from stratigraph.stages.export import export_study, pairs_of
from stratigraph.stages.verify import verify_study
from stratigraph.study import load_study
from stratigraph.study.layout import EXPORT

KEPT = Path(__file__).parents[2] / "studies" / "results"


@pytest.fixture(scope="module", params=["parquet", "csv", "netcdf"])
def exported(request, tiny_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / request.param
    export_study(tiny_study, out, request.param)
    return out


def test_it_opens_for_reading(exported, tiny_study):
    study = load_study(exported)
    assert study.export is not None
    assert study.config == tiny_study.config
    assert study.measures() == tiny_study.measures()
    assert study.scores() == tiny_study.scores()
    assert study.findings == tiny_study.findings
    assert study.findings_are_current()
    for measure in study.measures():
        held, whole = study.similarity(measure), tiny_study.similarity(measure)
        assert held.dims == whole.dims
        np.testing.assert_array_equal(held.values, whole.values.astype(np.float32))
        pd.testing.assert_frame_equal(
            study.labels(measure), tiny_study.labels(measure), check_dtype=False
        )
        assert held.attrs["representations"] == whole.attrs["representations"]
    for run_id, run in study.runs.items():
        own = tiny_study.runs[run_id]
        assert run.config == own.config
        assert run.steps == own.steps
        assert run.state == {"state": "exported", "step": 12}
        pd.testing.assert_frame_equal(run.metrics, own.metrics, check_dtype=False)
        with pytest.raises(InputError, match="exported without its weights"):
            run.model()
    own, kept = tiny_study.disentanglement(), study.disentanglement()
    pd.testing.assert_frame_equal(kept, own, check_dtype=False, check_like=True)


def test_it_is_not_run(exported, tiny_file, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*")}
    for source, out in ((exported, None), (tiny_file, exported)):
        with pytest.raises(ConfigError, match="is an export of a study, without its weights"):
            open_study(source, out)
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(exported), "--port", "0"])
    with pytest.raises(InputError, match="is an export already"):
        export_study(load_study(exported), tmp_path / "again")
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*")} == before


def test_a_report_is_drawn_of_it_elsewhere(exported, tmp_path, without_ink, capsys):
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*")}
    with pytest.raises(SystemExit, match="0"):
        main(["report", str(exported), "--out", str(tmp_path / "drawn")])
    assert "serve" not in capsys.readouterr().out  # which refuses an export
    page = (tmp_path / "drawn" / "report" / "index.html").read_text()
    assert all(row["statement"] in page for row in load_study(exported).findings[:3])
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*")} == before


def test_every_changed_byte_of_it_is_found(exported, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    assert verify_study(copy).damages == []
    for path in (one for one in sorted(copy.rglob("*")) if one.is_file() and one.name != EXPORT):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert [damage.path for damage in verify_study(copy).damages] == [path]
        path.write_bytes(content)
    (copy / "of-the-user.txt").touch()
    assert verify_study(copy).strange == [copy / "of-the-user.txt"]
    (copy / "findings.json").write_text("{}")
    with pytest.raises(IntegrityError, match="its bytes are not those that were exported"):
        _ = load_study(copy).findings
    with pytest.raises(SystemExit, match="3"):
        main(["verify", str(copy), "--repair"])
    assert "Nothing here can make it again" in capsys.readouterr().err
    (copy / EXPORT).write_text((copy / EXPORT).read_text().replace('"runs"', '"Runs"'))
    with pytest.raises(IntegrityError):
        load_study(copy)


@pytest.mark.parametrize("name", ["paper-small", "architectures"])
def test_what_an_older_version_kept_opens(name, capsys):
    """`studies/results`: exports of before ``export.json``, study file and findings unsealed."""
    study = load_study(KEPT / name)
    assert len(study.findings) > 30
    assert {run.state["state"] for run in study.runs.values()} == {"exported"}
    assert all(run.steps[-1] == run.config.steps for run in study.runs.values())
    assert "debiased_cka" in study.measures()
    pairs = study.export.table("similarity/procrustes_similarity")
    assert pairs["row_x"].max() < len(study.labels("procrustes_similarity"))
    with pytest.raises(SystemExit, match="0"):
        main(["list", str(KEPT / name)])
    assert capsys.readouterr().out.count("exported") == len(study.runs)
    with pytest.raises(SystemExit, match="0"):
        main(["verify", str(KEPT / name)])
    assert "not checked, since it is an export of an older version" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="is an export"):
        open_study(KEPT / name)


@pytest.mark.parametrize("place", ["report", "report/index.html", "figures", "findings.json"])
def test_a_link_is_not_followed(place, tiny_study, tmp_path):
    """What it points at is not of the study, whatever is there."""
    study, private = tmp_path / "study", tmp_path / "private"
    shutil.copytree(tiny_study.path, study)
    (study / place).rename(private)
    (study / place).symlink_to(private)
    with pytest.raises(UnsafeFileError, match="a link, which a study does not hold"):
        export_study(load_study(study), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["similarity/debiased_cka", "runs/RUN/metrics", "runs/RUN"])
def test_no_table_is_read_through_a_link(place, tiny_study, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(tiny_study.path, study)
    place = study / place.replace("RUN", next(iter(tiny_study.runs)))
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFileError, match="a link, which a study does not hold"):
        export_study(load_study(study), tmp_path / "out")


@pytest.mark.parametrize(("first", "second"), [("parquet", "csv"), ("csv", "netcdf")])
def test_exporting_again_leaves_one_export(first, second, tiny_study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("the user's own")
    for form in (first, second):
        export_study(tiny_study, tmp_path / "out", form)
    study = load_study(tmp_path / "out")
    assert study.labels("debiased_cka").shape == tiny_study.labels("debiased_cka").shape
    found = verify_study(tmp_path / "out")
    assert found.damages == []
    assert found.strange == [tmp_path / "out" / "notes.txt"]


def test_an_export_that_was_interrupted_is_not_whole(tiny_study, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stratigraph.stages.export.pairs_of", killed)
    with pytest.raises(KeyboardInterrupt):
        export_study(tiny_study, tmp_path / "out")
    with pytest.raises(DataError, match="its export was interrupted; export the study again"):
        load_study(tmp_path / "out")
    monkeypatch.undo()
    export_study(tiny_study, tmp_path / "out")
    assert load_study(tmp_path / "out").export is not None


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret"])
def test_an_export_names_no_file_outside(name, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "out")
    about = read_json(tmp_path / "out" / EXPORT)
    write_json(tmp_path / "out" / EXPORT, {**about, "files": {**about["files"], name: "0" * 64}})
    with pytest.raises(UnsafeFileError, match="which is outside the export"):
        verify_study(tmp_path / "out")


def test_what_nobody_listed_is_not_copied(tiny_study, tmp_path):
    study, private = tmp_path / "study", tmp_path / "private.html"
    shutil.copytree(tiny_study.path, study)
    private.write_text("a secret")
    (study / "report" / "x.html").symlink_to(private)
    (study / "figures" / "x.pdf").symlink_to(private)
    (study / "figures" / "y.pdf").write_text("not of the study")
    export_study(load_study(study), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").rglob("*")}
    assert "index.html" in names
    assert not names & {"x.html", "x.pdf", "y.pdf"}


def test_a_study_is_not_exported_into_one(tiny_study, tmp_path):
    shutil.copytree(tiny_study.path, tmp_path / "study")
    with pytest.raises(sg.errors.StorageError, match="holds a study"):
        export_study(tiny_study, tmp_path / "study")


def test_pairs_are_each_there_once(tiny_study):
    table = pairs_of(tiny_study, "debiased_cka")
    k = len(tiny_study.labels("debiased_cka"))
    assert len(table) == k * (k + 1) // 2
    assert (table["row_x"] <= table["row_y"]).all()

"""Findings of a real study: from the command line, from Python, and in both ways."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import stratigraph as sg
from stratigraph.cli.assess import tell_findings
from stratigraph.cli.main import app
from stratigraph.engine import LocalEngine
from stratigraph.errors import DataError, InputError, StorageError
from stratigraph.evidence import gather
from stratigraph.stages import Progress, assess_study, export_study, verify_study
from stratigraph.study import select_pairs
from stratigraph.study.layout import basis_path
from stratigraph.study.selection import claim_pairs


@pytest.fixture
def copied(tiny_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    return sg.load_study(folder)


def assess(study, **options):
    return assess_study(study, LocalEngine(1), Progress(quiet=True), **options)


def test_a_run_leaves_findings_that_the_study_and_the_report_have(tiny_study):
    held = json.loads((tiny_study.path / "findings.json").read_text())
    assert held["runs"] == 4
    assert held["ways"] == ["corrected"]
    assert tiny_study.findings == held["findings"]
    assert {row["claim"] for row in held["findings"]} == set(range(1, 20))
    page = (tiny_study.path / "report" / "index.html").read_text()
    assert page.index("<h2>All findings</h2>") < page.index("<h2>More to look at</h2>")
    assert "The encoder is learned before the decoder." in page


def test_assessing_twice_gives_the_same_bytes(copied):
    before = (copied.path / "findings.json").read_bytes()
    assess(copied)
    assert (copied.path / "findings.json").read_bytes() == before


def test_the_command_prints_the_table_and_json(copied):
    shown = CliRunner().invoke(app, ["assess", str(copied.path), "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "The encoder is learned before the decoder." in shown.output
    assert "UNDECIDED" in shown.output
    as_json = CliRunner().invoke(app, ["assess", str(copied.path), "--quiet", "--json"])
    assert json.loads(as_json.output) == copied.findings


def test_the_published_way_is_read_on_demand_beside_the_corrected_one(copied):
    before = {p: p.read_bytes() for p in (copied.path / "similarity").rglob("*.npy")}
    rows = assess(copied, published=True)
    assert {row["way"] for row in rows} == {"corrected", "published"}
    for path, content in before.items():
        assert path.read_bytes() == content
    other = copied.read("published")
    assert other.measures() == ["linear_cka", "procrustes_similarity"]
    labels = other.labels("linear_cka")
    # No snapshot before 2 % of 12 steps: the untrained network is not among them.
    assert sorted(labels["step"].unique()) == [2, 5, 12]
    # Fresh noise: the sample of one run differs from step to step, and from the corrected way's.
    matrix = other.similarity("linear_cka").values
    row = labels[(labels["layer"] == "z_sample") & (labels["step"] == 5)].index[0]
    last = labels[
        (labels["layer"] == "z_sample")
        & (labels["step"] == 12)
        & (labels["run"] == labels["run"][row])
    ].index[0]
    assert matrix[row, last] < 0.9
    progress = next(
        r for r in rows if r["way"] == "published" and r["key"] == "encoder_first_progress"
    )
    assert progress["verdict"] == "not asked"
    assert progress["why"] == "There is no snapshot of the untrained network to count from."
    compared = {row["key"]: row for row in reversed(copied.ways_compared)}  # by CKA first
    one = compared["encoder_first"]
    assert one["measures"] == {"corrected": "debiased_cka", "published": "linear_cka"}
    values = one["values"]["corrected"] - one["values"]["published"]
    assert one["difference"]["value"] == pytest.approx(values)
    assert "encoder_first_progress" not in compared
    told = [line for line in tell_findings(rows, copied.ways_compared) if "published way's" in line]
    assert "less the published way's linear_cka, of all runs" in told[0]
    assert len(told) == len(copied.ways_compared)
    kept = pd.read_parquet(basis_path(copied.path, "published") / "rows.parquet")
    assert "linear_cka" in set(kept["measure"])
    assert verify_study(copied.path).damages == []


def test_the_evidence_is_that_of_the_matrices(tiny_study):
    evidence = gather(tiny_study)
    matrix = tiny_study.similarity("debiased_cka")
    labels = tiny_study.labels("debiased_cka")
    place = {
        key: i for i, key in enumerate(zip(labels["run"], labels["step"], labels["layer"],
                                           strict=True))
    }  # fmt: skip
    for kind in (evidence.to_final, evidence.final, evidence.within):
        pairs = kind["debiased_cka"]
        assert pairs.values.shape[1] == 1 + 6  # 24 probes: groups of four
        for row in pairs.table.sample(min(40, len(pairs)), random_state=0).itertuples():
            i = place[row.run_x, row.step_x, row.layer_x]
            j = place[row.run_y, row.step_y, row.layer_y]
            expected = matrix.values[i, j]
            found = pairs.values[row.Index, 0]
            assert found == pytest.approx(expected, abs=1e-6) or np.isnan(expected)
    assert (evidence.to_final["debiased_cka"].table["run_x"]
            == evidence.to_final["debiased_cka"].table["run_y"]).all()  # fmt: skip
    assert (evidence.final["debiased_cka"].table["run_x"]
            != evidence.final["debiased_cka"].table["run_y"]).all()  # fmt: skip


def test_claim_pairs_are_the_selection(tiny_study):
    labels = tiny_study.labels("debiased_cka")
    mask = select_pairs(labels, ("claims",))
    pairs = claim_pairs(labels)
    assert mask[pairs[:, 0], pairs[:, 1]].all()
    apart = pairs[pairs[:, 0] != pairs[:, 1]]  # a selection has the whole diagonal besides
    assert len(apart) == np.triu(mask, 1).sum()


def test_observations_cover_every_run_step_and_layer(tiny_study):
    evidence = gather(tiny_study)
    assert len(evidence.latents) == 4 * 4
    assert (evidence.latents[["active", "mixed", "passive"]].sum(axis=1) == 10).all()
    layers = evidence.layers
    assert len(layers) == len(tiny_study.labels("debiased_cka"))
    first = layers[layers["step"] == 0].dropna(subset=["remaining"])
    last = layers[layers["step"] == 12].dropna(subset=["remaining"])
    assert first["remaining"].to_numpy() == pytest.approx(1.0)
    assert last["remaining"].to_numpy() == pytest.approx(0.0)


def test_a_study_without_the_cka_or_without_findings_says_what_to_do(copied, tmp_path):
    (copied.path / "findings.json").unlink()
    with pytest.raises(InputError, match="stratigraph assess"):
        _ = copied.findings
    shutil.rmtree(copied.path / "similarity" / "debiased_cka")
    with pytest.raises(DataError, match="no similarity matrix of debiased_cka"):
        assess(copied)


def test_an_unknown_way_is_refused(tiny_study):
    with pytest.raises(InputError, match="published"):
        tiny_study.read("publish")


def test_an_export_holds_every_pair_and_no_weights(tiny_study, tmp_path):
    out = tmp_path / "kept"
    shown = CliRunner().invoke(app, ["export", str(tiny_study.path), "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert not list(out.rglob("*.safetensors"))
    pairs = pd.read_parquet(out / "similarity" / "debiased_cka.parquet")
    labels = pd.read_parquet(out / "labels.parquet")
    matrix = tiny_study.similarity("debiased_cka").values
    assert len(pairs) == np.isfinite(np.triu(matrix)[np.triu_indices(len(matrix))]).sum()
    expected = matrix[pairs["row_x"], pairs["row_y"]]
    np.testing.assert_allclose(pairs["value"], expected, rtol=1e-6)
    assert labels["row"].tolist() == list(range(len(matrix)))
    assert json.loads((out / "findings.json").read_text())["findings"] == tiny_study.findings
    kept = (out / "basis" / "corrected" / "rows.parquet").read_bytes()
    assert kept == (basis_path(tiny_study.path, "corrected") / "rows.parquet").read_bytes()
    assert (out / "report" / "index.html").is_file()
    figures = {path.name for path in (tiny_study.path / "figures").iterdir()} - {"manifest.json"}
    assert {path.name for path in (out / "figures").iterdir()} == figures
    assert set(pd.read_parquet(out / "metrics.parquet")["run"]) == set(tiny_study.runs)


def test_an_export_onto_a_file_is_refused(tiny_study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="expected a folder"):
        export_study(tiny_study, tmp_path / "file")

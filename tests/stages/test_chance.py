"""What a study keeps of chance is what calibrate says of the same layers, and the page says it."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.report.data import ReportData
from stratigraph.report.drawing import Sketch, draw
from stratigraph.report.figures import draw_chance
from stratigraph.report.probe_data import chance_tables
from stratigraph.stages import Progress, run_chance
from stratigraph.stages.chance import score_chance
from stratigraph.study import chance_path, load_study, probe_factors, representations_path
from stratigraph.web.query import Query
from stratigraph.web.views.pair import pair
from stratigraph.web.watch import Watched


@pytest.fixture(scope="module")
def studied(tiny_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("chance") / "tiny"
    shutil.copytree(tiny_study.path, out)
    study = load_study(out)
    run_chance(study, LocalEngine(1), null=19, measures=["procrustes_similarity"])
    return study


def kept(study, name):
    return pd.read_parquet(chance_path(study.path, "procrustes_similarity") / f"{name}.parquet")


def layers(study, run, step, names):
    folder = representations_path(study.runs[run].path, step)
    return {name: np.asarray(read_coordinates(folder / f"{name}.npy")) for name in names}


def test_cells_and_the_best_are_those_of_calibrate(studied):
    cells, best = kept(studied, "cells"), kept(studied, "best")
    pairs = cells.drop_duplicates(["run_x", "run_y"])
    configs = {run: one.config for run, one in studied.runs.items()}
    assert sorted(pairs["kind"]) == ["seeds", "seeds", "strengths"]
    for row in pairs.itertuples():
        one, other = configs[row.run_x], configs[row.run_y]
        assert one.seed != other.seed
        assert (one.strength == other.strength) == (row.kind == "seeds")
    row = pairs.iloc[0]
    own = cells[(cells["run_x"] == row["run_x"]) & (cells["run_y"] == row["run_y"])]
    names = own["layer_x"].unique()
    assert not {"input", "z_sample"} & set(names)  # of one input and one noise in all runs
    x, y = (layers(studied, row[side], 12, names) for side in ("run_x", "run_y"))
    wanted = sg.calibrate(x, y, "procrustes_similarity", null=19)
    for name in ("value", "p", "calibrated", "threshold"):
        np.testing.assert_allclose(own[name], wanted[name].values.ravel(), atol=1e-9)
    found = best[(best["run_x"] == row["run_x"]) & (best["run_y"] == row["run_y"])]
    found = found.set_index(["summary", "layer"])
    assert found.loc[("matrix", ""), "p"] == wanted["p_matrix"].item()
    assert found.loc[("row", "z_mean"), "value"] == pytest.approx(
        wanted["value_row"].sel(x="z_mean").item()
    )
    cell = own[(own["layer_x"] == "z_mean") & (own["layer_y"] == "z_mean")].iloc[0]
    first = [layers(studied, row[side], 0, ["z_mean"])["z_mean"] for side in ("run_x", "run_y")]
    assert cell["untrained"] == pytest.approx(sg.procrustes_similarity(*first), abs=1e-6)


def test_it_is_kept_until_it_is_asked_for_otherwise(studied):
    record = chance_path(studied.path, "procrustes_similarity")
    before = (record / "cells.parquet").stat().st_mtime_ns
    said = []
    progress = Progress(quiet=True)
    progress.say = said.append
    run_chance(studied, LocalEngine(1), progress, null=19, measures=["procrustes_similarity"])
    assert (record / "cells.parquet").stat().st_mtime_ns == before
    assert said[-1] == "chance: nothing was left to do"


def test_the_report_and_the_page_say_it(studied):
    found = chance_tables(ReportData(studied))["procrustes_similarity"]
    assert (found.null, found.within, found.pairs) == (19, "", 2)
    cells = kept(studied, "cells")
    same = cells[(cells["kind"] == "seeds") & (cells["layer_x"] == "z_mean")]
    same = same[same["layer_y"] == "z_mean"]
    row = found.layers.set_index("layer").loc["z_mean"]
    assert row["value"] == pytest.approx(same["value"].mean())
    assert row["threshold_max"] == same["threshold"].max()
    matrix = ReportData(studied).scored["procrustes_similarity"].to_final
    own = matrix[(matrix["layer"] == "z_mean") & (matrix["step"] == 0)]["similarity"].mean()
    assert row["own"] == pytest.approx(own)
    tables = {"procrustes_similarity": found.layers}
    assert draw(Sketch("chance", lambda: draw_chance(tables))).width

    one = same.iloc[0]
    ends = {"y_layer": "z_mean", "x_layer": "z_mean", "y_step": "12", "x_step": "12"}
    ends |= {"y_run": one["run_y"], "x_run": one["run_x"], "measure": "procrustes_similarity"}
    facts = pair(Watched(studied.path), Query(ends)).facts
    assert facts["chance"]["threshold"] == pytest.approx(one["threshold"], abs=1e-4)
    assert facts["chance"]["how"] == "19 permutations of the probes"
    earlier = pair(Watched(studied.path), Query(ends | {"y_step": "0"})).facts
    assert earlier["chance"] is None


def test_within_a_factor_and_by_a_measure_from_the_command_line(tiny_study, tmp_path, capsys):
    out = tmp_path / "tiny"
    shutil.copytree(tiny_study.path, out)
    arguments = ["compare", str(out), "--null", "19", "--null-within", "shape", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--measure", "debiased_cka", "--workers", "1"])
    assert not ended.value.code
    study = load_study(out)
    assert not chance_path(out, "procrustes_similarity").exists()
    cells = pd.read_parquet(chance_path(out, "debiased_cka") / "cells.parquet")
    row = cells[cells["kind"] == "seeds"].iloc[0]
    factors, names = probe_factors(study.runs[row["run_x"]].config, study.config.probes)
    shapes = factors[:, names.index("shape")]
    x, y = (layers(study, row[f"run_{s}"], 12, cells["layer_x"].unique()) for s in "xy")
    wanted = sg.calibrate(x, y, null=19, groups=shapes)
    assert row["threshold"] == pytest.approx(wanted["threshold"].values[0, 0], abs=1e-9)
    assert chance_tables(ReportData(study))["debiased_cka"].within == "shape"
    for bad, why in (
        ({"within": "colour"}, "sprites has no factor 'colour'; expected one of shape"),
        ({"measures": ["linear_cka"]}, "'linear_cka' cannot be compared with chance"),
    ):
        with pytest.raises(ConfigError, match=why):
            score_chance(study, LocalEngine(1), Progress(quiet=True), null=19, **bad)
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(out), "--null", "18", "--quiet", "--workers", "1"])
    assert ended.value.code == 2
    assert "--null: expected a whole number ≥ 19" in capsys.readouterr().err


def test_a_study_of_one_run_has_nothing_to_compare(tiny_study, tmp_path):
    out = tmp_path / "one"
    shutil.copytree(tiny_study.path, out)
    study = load_study(out)
    for run in list(study.runs.values())[1:]:
        shutil.rmtree(run.path / "snapshots")
    with pytest.raises(ConfigError, match="no two runs at their last step"):
        run_chance(load_study(out), LocalEngine(1), null=19)

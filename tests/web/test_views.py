"""What the views answer with, against what the study holds."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from stratigraph.pairs.chance import draw_orders
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.permuted import score_permuted
from stratigraph.report import interactive
from stratigraph.report.data import ReportData
from stratigraph.report.gain_data import gains
from stratigraph.report.image_data import to_image
from stratigraph.similarity.cka import DEBIASED_CKA, debiased_cka
from stratigraph.study import observed_path, probe_images, representations_path


@pytest.fixture(scope="module")
def runs(tiny_study):
    return list(tiny_study.runs)


def _row(labels, run, step, layer):
    chosen = (labels["run"] == run) & (labels["step"] == step) & (labels["layer"] == layer)
    (row,) = labels.index[chosen]
    return row


def test_the_overview_has_runs_findings_and_colours(served, tiny_study):
    facts = served.ask("overview")
    assert facts["name"] == "tiny"
    assert [run["id"] for run in facts["runs"]] == list(tiny_study.runs)
    for run in facts["runs"]:
        metrics = tiny_study.runs[run["id"]].metrics.query("split == 'validation'")
        assert run["loss"] == pytest.approx(metrics["loss"].iloc[-1], abs=1e-3)
        assert (run["state"], run["step"], run["steps_kept"][-1]) == ("done", 12, 12)
    assert [row["claim"] for row in facts["findings"]]
    assert facts["measures"]["corrected"]["debiased_cka"] == "Debiased CKA"
    assert len(facts["colours"]["scores"]) == 33


def test_a_map_is_cut_from_the_matrix(served, tiny_study, runs):
    a, b = runs[:2]
    facts, values = served.ask(
        "heat", y_runs=a, x_runs=f"{a},{b}", y_step="first", x_step="all",
        x_layers="z_mean,encoder.conv1",
    )  # fmt: skip
    matrix, labels = tiny_study.similarity("debiased_cka").values, tiny_study.labels("debiased_cka")
    rows = [_row(labels, p["run"], p["step"], p["layer"]) for p in facts["rows"]]
    columns = [_row(labels, p["run"], p["step"], p["layer"]) for p in facts["columns"]]
    assert {p["step"] for p in facts["rows"]} == {0}
    assert [p["layer"] for p in facts["columns"][:2]] == ["z_mean", "encoder.conv1"]
    assert len(columns) == 2 * 2 * len(tiny_study.runs[a].steps)
    np.testing.assert_allclose(values[0], matrix[np.ix_(rows, columns)], rtol=1e-6)


def test_a_moving_map_has_a_frame_for_each_step(served, tiny_study, runs):
    a = runs[0]
    facts, values = served.ask("heat", y_runs=a, x_runs=a, y_step="moving", x_step="last")
    steps = tiny_study.runs[a].steps
    assert facts["steps"] == steps
    assert (facts["y_moves"], facts["x_moves"]) == (True, False)
    for k, step in enumerate(steps):
        still, own = served.ask("heat", y_runs=a, x_runs=a, y_step=step, x_step="last")
        np.testing.assert_array_equal(values[k], own[0])
        assert still["steps"] == []


def test_a_difference_is_of_two_maps(served, runs):
    a, b = runs[:2]
    sides = {"y_runs": a, "x_runs": a, "y_step": "moving", "x_step": "moving"}
    _, one = served.ask("heat", **sides)
    _, other = served.ask("heat", **{**sides, "y_runs": b, "x_runs": b})
    facts, values = served.ask("heat", **sides, minus_y_runs=b, minus_x_runs=b)
    np.testing.assert_array_equal(values, one - other)
    assert facts["minus"] == "Debiased CKA"
    status, said = served.ask("heat", **sides, minus_y_runs=b, minus_x_runs=f"{a},{b}")
    assert status == 400
    assert "two maps of one shape" in said


def test_a_map_too_large_is_refused_before_it_is_cut(served, runs, monkeypatch):
    from stratigraph.web.query import Query
    from stratigraph.web.views import heat
    from stratigraph.web.watch import Watched

    monkeypatch.setattr(heat, "MOST_CELLS", 100)
    with pytest.raises(ValueError, match="225 cells, and 100 are shown"):
        heat.heat(Watched(served.path), Query({"y_runs": runs[0], "x_runs": runs[0]}))


def test_a_cell_has_an_interval_and_a_null(served, tiny_study, runs):
    a = runs[0]
    ends = {
        "y_run": a, "y_step": 0, "y_layer": "encoder.conv1",
        "x_run": a, "x_step": 12, "x_layer": "encoder.conv2",
    }  # fmt: skip
    facts = served.ask("pair", **ends)
    files = [
        representations_path(tiny_study.runs[a].path, ends[f"{s}_step"])
        / f"{ends[f'{s}_layer']}.npy"
        for s in "yx"
    ]
    x, y = (read_coordinates(file) for file in files)
    assert facts["value"] == pytest.approx(debiased_cka(x, y), abs=1e-4)
    low, high = facts["interval"]
    assert low < facts["value"] < high
    # The null's spread is exact; permutations are its witness.
    sides = [[torch.from_numpy(np.ascontiguousarray(one))] for one in (x, y)]
    orders, _ = draw_orders(len(x), 4000)
    sampled = score_permuted(sides, DEBIASED_CKA, orders, 1 << 30)[0]
    assert facts["null"]["sd"] == pytest.approx(sampled.std(), rel=0.08)
    assert abs(sampled.mean() - facts["null"]["mean"]) < 4 * sampled.std() / 4000**0.5
    full = served.ask("pair", measure="procrustes_similarity", full=1,
                      **{**ends, "x_layer": "encoder.conv1"})  # fmt: skip
    assert full["null"]["mean"] < full["value"]
    assert full["interval"] is None


def test_a_pair_over_training(served, tiny_study, runs):
    a, b = runs[:2]
    facts = served.ask("curve", y_run=a, y_layer="z_mean", x_run=b, x_layer="z_mean")
    matrix, labels = tiny_study.similarity("debiased_cka").values, tiny_study.labels("debiased_cka")
    lines = {line["key"]: line["values"] for line in facts["lines"]}
    assert lines["together"][-1] == lines["to_x_end"][-1] == lines["to_y_end"][-1]
    for k, step in enumerate(facts["steps"]):
        here = matrix[_row(labels, a, step, "z_mean"), _row(labels, b, step, "z_mean")]
        there = matrix[_row(labels, a, step, "z_mean"), _row(labels, b, 12, "z_mean")]
        for key, value in (("together", here), ("to_x_end", there)):
            if np.isfinite(value):
                assert lines[key][k] == pytest.approx(value, abs=1e-4)
            else:
                assert lines[key][k] is None
    own = served.ask("curve", y_run=a, y_layer="z_mean", x_run=a, x_layer="z_mean")
    assert [line["key"] for line in own["lines"]] == ["to_end"]
    assert own["lines"][0]["values"][-1] == 1


def test_convergence_is_what_the_report_shows(served, tiny_study):
    data = ReportData(tiny_study)
    curves = interactive.curves_of(data, data.scored["debiased_cka"])
    for label in served.ask("convergence")["configurations"]:
        facts = served.ask("convergence", configuration=label)
        (own,) = (one for one in curves if one["configuration"] == label)
        assert {key: facts[key] for key in ("steps", "mean", "low", "high")} == {
            key: own[key] for key in ("steps", "mean", "low", "high")
        }
        encoder = next(part for part in facts["parts"] if part["part"] == "encoder")
        means = np.array(own["mean"]).reshape(len(own["layers"]), -1)
        rows = [layer["part"] == "encoder" for layer in own["layers"]]
        np.testing.assert_allclose(encoder["values"], means[rows].mean(0), atol=1e-3)
        beside = {one["line"]: one for one in facts["scores"]}
        assert beside.keys() == {"encoder", "mean", "decoder", "mig", "udr"}
        table = gains(data, data.first)
        own = table[(table["configuration"] == label) & (table["line"] == "mig")]
        np.testing.assert_allclose(beside["mig"]["values"], own["mean"], atol=1e-3)


def test_the_map_of_models_has_every_run(served, runs):
    facts = served.ask("models")
    assert {track["run"] for track in facts["tracks"]} == set(runs)
    assert sum(facts["explained"]) <= 1 + 1e-6


def test_latents_are_those_observed(served, tiny_study, runs):
    facts = served.ask("latents", run=runs[0])
    table = pd.read_parquet(observed_path(tiny_study.runs[runs[0]].path) / "latents.parquet")
    counts = pd.crosstab(table["step"], table["regime"])
    for regime in counts:
        assert facts["regimes"][regime] == counts[regime].tolist()
    assert sum(sum(counts) for counts in facts["regimes"].values()) == len(table)


def _pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)), dtype=float) / 255


def test_the_real_decoder_draws(served, tiny_study, runs):
    run = tiny_study.runs[runs[0]]
    images = probe_images(run.config, tiny_study.config.probes)
    for step in (0, 12):
        model = run.model(step).eval()
        with torch.inference_mode():
            mean, log_var = model.encode(images[3:4])
            image = to_image(model.decode(mean), run.config.reconstruction)[0, ..., 0]
            moved = mean.clone()
            moved[0, 2] = 2.5
            last = to_image(model.decode(moved), run.config.reconstruction)[0, ..., 0]
        facts = served.ask("posterior", run=run.run_id, step=step, probe=3)
        np.testing.assert_allclose(facts["mean"], mean[0], atol=1e-4)
        np.testing.assert_allclose(facts["sd"], (0.5 * log_var[0]).exp(), atol=1e-4)
        drawn = _pixels(served.ask("decoded", run=run.run_id, step=step, probe=3))
        np.testing.assert_allclose(drawn, image, atol=1 / 255)
        z = ",".join(f"{x:.6f}" for x in mean[0].tolist())
        again = _pixels(served.ask("decoded", run=run.run_id, step=step, z=z))
        np.testing.assert_allclose(again, image, atol=2 / 255)
        grid = _pixels(served.ask("traversal", run=run.run_id, step=step, probe=3))
        side = image.shape[0]
        cell = grid[2 * (side + 1) : 2 * (side + 1) + side, 8 * (side + 1) : 8 * (side + 1) + side]
        np.testing.assert_allclose(cell, last, atol=1 / 255)
    row = _pixels(served.ask("probes", run=run.run_id))
    np.testing.assert_allclose(row[:, 3 * 33 : 3 * 33 + 32], images[3, 0], atol=1 / 255)


@pytest.mark.parametrize(
    ("view", "parameters"),
    [
        ("overview", {}), ("heat", {"sides": 1}), ("convergence", {}), ("models", {}),
        ("latents", {"run": 1}), ("losses", {"runs": 1}),
    ],
)  # fmt: skip
def test_every_view_has_its_numbers_as_a_table(served, runs, view, parameters):
    given = {"y_runs": runs[0], "x_runs": runs[1]} if "sides" in parameters else {}
    given |= {name: runs[0] for name in parameters if name != "sides"}
    text = served.ask(view, **given, format="csv")
    table = pd.read_csv(io.BytesIO(text))
    assert len(table) > 1
    if view == "heat":
        _, values = served.ask(view, **given)
        np.testing.assert_allclose(table["value"], values.ravel(), rtol=1e-5)
        assert set(table["y_run"]) == {runs[0]}


@pytest.mark.parametrize(
    ("view", "parameters", "said"),
    [
        ("heat", {}, "y_runs: expected a value"),
        ("heat", {"y_runs": "nope", "x_runs": "nope"}, "no run is called 'nope'"),
        ("heat", {"y_runs": "RUN", "x_runs": "RUN", "measure": "ckaa"}, "debiased_cka"),
        ("heat", {"y_runs": "RUN", "x_runs": "RUN", "y_step": "-1"}, "whole number"),
        ("heat", {"y_runs": "RUN", "x_runs": "RUN", "y_layers": "encoder.conv9"}, "encoder.conv"),
        ("heat", {"y_runs": "RUN", "x_runs": "RUN", "way": "published"}, "published way"),
        ("pair", {"y_run": "RUN", "x_run": "RUN", "y_step": 11}, "nothing compared at step 11"),
        ("decoded", {"run": "RUN", "z": "1,2"}, "expected 10 numbers"),
        ("decoded", {"run": "RUN", "z": ",".join(["nan"] * 10)}, "expected 10 numbers"),
        ("decoded", {"run": "RUN", "step": 11}, "no snapshot at step 11"),
        ("posterior", {"run": "RUN", "probe": 24}, "from 0 to 23"),
        ("losses", {"runs": ",".join(map(str, range(65)))}, "at most 64 runs"),
        ("convergence", {"configuration": "<img src=x>"}, "not known"),
    ],
)
def test_what_cannot_be_shown_says_why(served, runs, view, parameters, said):
    given = {key: runs[0] if value == "RUN" else value for key, value in parameters.items()}
    status, error = served.ask(view, **given)
    assert status == 400
    assert said in error


def test_answers_are_asked_for_once(served, runs):
    path = f"/api/heat?y_runs={runs[0]}&x_runs={runs[0]}"
    _, headers, _ = served.get(path)
    tag = {"If-None-Match": headers["etag"]}
    assert served.get(path, **tag)[0] == 304
    assert served.get(f"{path}&x_step=first", **tag)[0] == 200
    assert (
        served.get(
            "/static/main.js", **{"If-None-Match": served.get("/static/main.js")[1]["etag"]}
        )[0]
        == 304
    )


def test_json_is_json_to_every_reader(served):
    def refuse(constant):
        raise AssertionError(constant)

    for view in ("overview", "states", "convergence", "models"):
        json.loads(served.get(f"/api/{view}")[2], parse_constant=refuse)

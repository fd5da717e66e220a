"""Similarity to the final state, progress above the untrained network, and when it is reached."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stratigraph.evidence import part_of, similarity_to_final, steps_to_reach

STEPS = (0, 10, 100, 1000)


def planted(curves: dict[str, list[float]], steps=STEPS):
    """A study of one run whose layers have the given similarity to their final state."""
    rows, finals = [], []
    for step in steps:
        for layer in curves:
            rows.append(
                {"run": "r", "data": "d", "architecture": "a", "objective": "o", "strength": 1.0,
                 "latents": 2, "seed": 0, "step": step, "layer": layer}
            )  # fmt: skip
            finals.append(curves[layer][steps.index(step)])
    labels = pd.DataFrame(rows)
    values = np.full((len(rows), len(rows)), np.nan)
    for i, row in enumerate(rows):
        j = next(
            k for k, r in enumerate(rows) if r["step"] == steps[-1] and r["layer"] == row["layer"]
        )
        values[i, j] = values[j, i] = finals[i]
    matrix = xr.DataArray(values, dims=("x", "y"))
    return SimpleNamespace(
        similarity=lambda _: matrix, labels=lambda _: labels, complete=lambda: ["r"]
    )


def test_similarity_untrained_and_progress():
    study = planted({"encoder.conv1": [0.6, 0.8, 0.95, 1.0], "decoder.deconv1": [0.2, 0.1, 0.5, 1]})
    table = similarity_to_final(study, "any").set_index(["layer", "step"])
    assert table.loc[("encoder.conv1", 100), "similarity"] == 0.95
    assert (table.loc["encoder.conv1", "untrained"] == 0.6).all()
    assert table.loc["encoder.conv1", "progress"].tolist() == pytest.approx([0, 0.5, 0.875, 1])
    assert table.loc[("decoder.deconv1", 10), "progress"] == pytest.approx(-0.125)


def test_no_progress_without_room_to_move():
    table = similarity_to_final(planted({"encoder.conv1": [0.99, 0.995, 1.0, 1.0]}), "any")
    assert table["progress"].isna().all()
    assert table["similarity"].notna().all()


def test_no_progress_without_an_untrained_snapshot():
    study = planted({"encoder.conv1": [0.5, 0.7, 0.9, 1.0]}, steps=(5, 10, 100, 1000))
    table = similarity_to_final(study, "any")
    assert table["untrained"].isna().all()
    assert table["progress"].isna().all()


def test_the_first_step_that_reaches_the_threshold():
    curves = {
        "encoder.conv1": [0.95, 0.8, 0.95, 1.0],
        "decoder.deconv1": [0.2, 0.1, 0.89, 1.0],
        "z_mean": [np.nan] * 4,
    }
    table = similarity_to_final(planted(curves), "any")
    reached = steps_to_reach(table, 0.9).set_index("layer")["reached"]
    assert reached["encoder.conv1"] == 0
    assert reached["decoder.deconv1"] == 1000
    assert np.isnan(reached["z_mean"])
    progress = steps_to_reach(table, 0.9, "progress").set_index("layer")["reached"]
    assert progress["encoder.conv1"] == 1000


@pytest.mark.parametrize(
    ("layer", "part"),
    [
        ("input", "input"),
        ("encoder.conv1", "encoder"),
        ("z_mean", "latents"),
        ("z_log_var", "latents"),
        ("z_sample", "sample"),
        ("decoder.output", "decoder"),
    ],
)
def test_parts(layer, part):
    assert part_of(layer) == part

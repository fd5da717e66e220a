"""What a study shows of itself in Python: selection by labels, aliases, tables, ten lines."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.study.label_index import with_labels
from stratigraph.study.tables import findings_table


def matrix():
    labels = {
        "run": ["a", "a", "a", "b", "b"],
        "step": [0, 0, 100, 0, 100],
        "layer": ["z", "c", "z", "z", "z"],
    }
    coordinates = {f"{n}_{axis}": (axis, held) for n, held in labels.items() for axis in "xy"}
    return with_labels(xarray.DataArray(np.arange(25.0).reshape(5, 5), coordinates, ("x", "y")))


def test_a_matrix_is_selected_by_any_labels(tmp_path):
    m = matrix()
    assert m.sel(run_x="a", layer_x="z").values[:, 0].tolist() == [0, 10]
    assert m.sel(step_x=slice(1, None), run_y=["b"]).shape == (2, 2)
    assert m.sel(layer_x=["c", "z"], step_x=[100]).shape == (2, 5)
    one = m.sel(run_x="b", step_x=100, layer_x="z", run_y="a", step_y=0, layer_y="c")
    assert one.shape == ()
    assert one.item() == 21
    again = m.sel(run_x="a").sel(layer_x="z")
    assert again["step_x"].values.tolist() == [0, 100]
    assert (m.isel(x=[0, 2]) == again).all()
    with pytest.raises(KeyError, match="no representation has run_x='c'"):
        m.sel(run_x="c")
    assert (m - m).sum() == 0
    assert xarray.concat([m.isel(x=[0]), m.isel(x=[1, 2])], "x").sel(layer_x="c").shape == (1, 5)
    m.to_netcdf(tmp_path / "m.nc")
    with xarray.open_dataarray(tmp_path / "m.nc") as kept:
        assert kept["layer_y"].values.tolist() == m["layer_y"].values.tolist()


def test_matrices_of_other_representations_are_not_taken_for_the_same():
    m = matrix()
    with pytest.raises(Exception, match=r"(?i)index|align"):
        m + m.isel(x=slice(None, None, -1))


def test_a_study_in_ten_lines_and_by_aliases(tiny_study):
    told = repr(tiny_study)
    assert len(told.splitlines()) <= 10
    assert told.startswith("Study 'tiny'\n  folder")
    assert "debiased_cka" in told
    assert "<table>" in tiny_study._repr_html_()
    run = next(iter(tiny_study.runs.values()))
    assert repr(run).startswith(f"Run {run.run_id}\n  configuration  ")
    m = tiny_study.similarity("cka")
    assert m.identical(tiny_study.similarity("debiased_cka"))
    assert tiny_study.labels("procrustes").equals(tiny_study.labels("procrustes_similarity"))
    own = m.sel(run_x=run.run_id, step_x=run.steps[-1])
    assert set(own["layer_x"].values) == {
        layer for r, s, layer in zip(*(m[f"{n}_x"].values for n in ("run", "step", "layer")),
                                     strict=True)
        if (r, s) == (run.run_id, run.steps[-1])
    }  # fmt: skip
    with pytest.raises(InputError, match="has no similarity matrix 'rsa_cosine'"):
        tiny_study.similarity("rsa_cosine")


def test_a_damaged_study_is_still_shown(tmp_path, tiny_study):
    shutil.copytree(tiny_study.path, tmp_path / "damaged")
    (tmp_path / "damaged" / "findings.json").write_text("{}")
    assert "not readable" in repr(sg.load_study(tmp_path / "damaged"))


def test_findings_are_a_table():
    estimates = {
        "debiased_cka": {"value": 0.3, "lower": 0.2, "upper": 0.4, "null": 0.0, "runs": 4},
        "procrustes_similarity": {"value": 0.1, "lower": None, "upper": None, "null": 0},
    }
    row = {
        "claim": 1, "key": "first", "statement": "It is.", "way": "corrected", "why": "so",
        "verdict": "supported", "p": 0.01, "p_holm": 0.02, "estimates": estimates,
    }  # fmt: skip
    table = findings_table([row, {**row, "key": "other", "verdict": "not asked", "estimates": {}}])
    assert table["measure"].tolist()[:2] == ["debiased_cka", "procrustes_similarity"]
    assert table["p_holm"].tolist()[0] == 0.02
    assert table["p_holm"].isna().tolist() == [False, True, False]
    assert table["upper"].dtype == float
    assert pd.isna(table["value"].iloc[2])


def test_public_names():
    for name in ("cka_interval", "Study", "Run", "plot_heatmap", "InputError", "StratigraphError"):
        assert name in sg.__all__
    assert issubclass(sg.IntegrityError, sg.DataError)

"""What the report says of probes is what the study keeps of them, in order."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from stratigraph.report.data import ReportData
from stratigraph.report.drawing import Sketch, draw
from stratigraph.report.figures import draw_probes
from stratigraph.report.probe_data import probe_tables
from stratigraph.study import influence_path, load_study


def test_probes_are_ordered_by_what_they_speak_for(tiny_study):
    found = probe_tables(ReportData(tiny_study))
    kept = pd.read_parquet(influence_path(tiny_study.path, "debiased_cka") / "turned.parquet")
    pd.testing.assert_frame_equal(found["turned"], kept)
    probes = found["probes"]
    towards = np.sign(kept["contrast"][0]) * probes["influence"]
    assert (towards.diff().dropna() <= 0).all()
    assert probes["out"].tolist() == list(range(1, 25))
    left = kept["contrast"][0] - probes["influence"].cumsum()
    np.testing.assert_allclose(probes["left"], left)
    assert set(found["agreement"]["measure"]) == {"debiased_cka"}
    assert "all, over training" in set(found["agreement"]["kind"])


def test_a_study_of_before_has_no_such_section(tiny_study, tmp_path):
    shutil.copytree(tiny_study.path, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "influence")
    found = probe_tables(ReportData(load_study(tmp_path / "old")))
    assert all(table.empty for table in found.values())


@pytest.mark.parametrize("lacking", [(), ("without",), ("turned", "without", "probes")])
def test_what_is_empty_has_no_panel(tiny_study, lacking):
    tables = probe_tables(ReportData(tiny_study))
    tables |= {name: tables[name].iloc[:0] for name in lacking}
    figure = draw_probes(tables)
    assert len(figure.axes) == 3 - min(len(lacking), 2)
    assert draw(Sketch("probes", lambda: figure)).width

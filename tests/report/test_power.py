"""Power against replicates: the table of a study, its curves, and their figure."""

from __future__ import annotations

import stratigraph as sg
from stratigraph.report.figures.power import draw_power
from stratigraph.report.power import CURVE, power_curves


def test_a_study_says_what_it_lacks(tiny_study):
    table = sg.power(tiny_study.path)
    undecided = {row["key"] for row in tiny_study.findings if row["verdict"] == "undecided"}
    assert set(table.index) == undecided
    assert (table["why"] != "").all()


def test_curves_are_drawn(tiny_study):
    curves = power_curves(tiny_study)
    assert list(curves.index) == list(CURVE)
    curves["planted"] = [n / (n + 4) for n in CURVE]
    (axis, *_) = draw_power(curves).axes
    assert len(axis.lines) == len(curves.columns) + 1

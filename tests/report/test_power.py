"""Power against replicates: the table of a study, its curves, and their figure."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

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


def test_replicates_are_not_what_measures_that_disagree_lack():
    one = {
        "value": 0.12, "lower": 0.03, "upper": 0.2, "p": 0.02, "null": 0.0,
        "error_replicates": 0.03, "error_probes": None, "error_both": 0.0, "freedom": 4.0,
        "replicates": 5, "configurations": 1, "runs": 5, "correlation": False,
        "error": 0.03, "parts": [], "off": 0.0,
    }  # fmt: skip
    row = {
        "key": "q", "claim": 1, "statement": "It is so.", "way": "corrected", "family": "primary",
        "verdict": "undecided", "why": "Why.", "level": 0.05, "least": 0.05, "one_sided": False,
        "estimates": {"debiased_cka": one},
    }  # fmt: skip
    reasons = ("replicates", "measures disagree")
    rows = [{**row, "key": reason, "statement": reason, "reason": reason} for reason in reasons]
    table = sg.power(SimpleNamespace(findings=rows))
    assert table.loc["replicates", "needed"] > 5
    assert table.loc["measures disagree", "needed"] is pd.NA
    assert table.loc["measures disagree", "why"] == "Why."
    assert list(power_curves(SimpleNamespace(findings=rows))) == ["1  replicates"]

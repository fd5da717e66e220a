"""The table of measures in the documentation is the catalogue's, and the examples run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from stratigraph.similarity.catalog import ALIASES, MEASURES
from stratigraph.similarity.uses import USES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "measures.md"


def test_every_measure_is_documented_with_its_promises():
    rows = {
        line.split("|")[1].strip(" `"): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("| `") and line.count("|") == 12
    }
    assert list(rows) == list(MEASURES)
    for name, measure in MEASURES.items():
        promises = ("symmetric", "metric", "rotation", "scale", "translation", "affine", "biased")
        said = ["yes" if getattr(measure, promise) else "–" for promise in promises]
        assert rows[name][0] == measure.larger
        assert rows[name][2:9] == said
        assert rows[name][9] == str(measure.least)
    assert all(f"`{alias}`" in PAGE.read_text("utf-8") for alias in ALIASES)


def test_every_measure_says_when_to_use_it():
    rows = {
        line.split("|")[1].strip(" `"): line.split("|")[2].strip()
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("| `") and line.count("|") == 3
    }
    assert set(USES) == set(MEASURES)
    assert {name: rows[name] for name in MEASURES} == USES


@pytest.mark.parametrize(
    "module", ["similarity.cka", "similarity.procrustes", "pairs.matrix", "pairs.calibrate"]
)
def test_examples_run(module):
    found = doctest.testmod(importlib.import_module(f"stratigraph.{module}"))
    assert found.attempted
    assert not found.failed

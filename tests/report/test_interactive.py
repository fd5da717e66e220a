"""The numbers of the interactive section, and how they stand in the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from stratigraph.report import heat_data, interactive, learning_data, report_path
from stratigraph.report.data import ReportData

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&lt;/script&gt;",
    "\u2028 ' \" \\",
)


class _Scripts(HTMLParser):
    """The scripts of a page, and the names of all its elements."""

    def __init__(self):
        super().__init__()
        self.scripts, self.tags, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1][1] += data


def _scripts(html):
    page = _Scripts()
    page.feed(html)
    return page


def _floats(values):
    return np.array([np.nan if x is None else x for x in values], dtype=float)


@pytest.fixture(scope="module")
def data(tiny_study):
    return ReportData(tiny_study)


def test_maps_are_those_of_the_figures(data):
    found, left_out = interactive.heat_maps(data)
    configurations = data.configurations
    assert left_out == []
    assert [(one["configuration"], one["across"]) for one in found] == [
        (c.label, across) for c in configurations for across in (False, True)
    ]
    # Procrustes similarity was computed to the final state alone, which makes no map.
    assert {one["measure"] for one in found} == {"debiased_cka"}
    runs = {c.label: c.runs for c in configurations}
    for one in found:
        assert one["steps"] == [0, 2, 5, 12]
        assert one["final"] == 12
        maps = [
            heat_data.heat_map(
                data.scored["debiased_cka"], runs[one["configuration"]], step, 12,
                across_seeds=one["across"],
            )
            for step in one["steps"]
        ]  # fmt: skip
        assert one["pairs"] == [heat.pairs for heat in maps]
        assert [len(one["rows"]), len(one["columns"])] == list(maps[0].values.shape)
        assert one["rows"][:2] == ["input", "enc conv1"]
        values = _floats(one["values"]).reshape(len(maps), *maps[0].values.shape)
        np.testing.assert_allclose(values, [heat.values for heat in maps], atol=0.00051)


def test_curves_are_those_of_the_figures(data):
    found = interactive.curves(data)
    assert [one["measure"] for one in found] == ["debiased_cka"] * 2 + ["procrustes_similarity"] * 2
    for one in found:
        table = learning_data.curves(data, data.scored[one["measure"]])
        table = table[table["configuration"] == one["configuration"]]
        layers = [layer["layer"] for layer in one["layers"]]
        assert sorted(layers) == sorted(set(table["layer"]) - {"input"})
        assert one["runs"] == 2
        for name in ("mean", "low", "high"):
            expected = table.pivot_table(name, "layer", "step", dropna=False)
            expected = expected.loc[layers, one["steps"]]
            values = _floats(one[name]).reshape(len(layers), len(one["steps"]))
            np.testing.assert_allclose(values, expected, atol=0.00051)


def test_layers_have_the_ink_of_their_part(data):
    layers = {one["layer"]: one for one in interactive.curves(data)[0]["layers"]}
    assert layers["encoder.conv1"]["colour"] == "#0072b2"
    assert layers["encoder.conv1"]["dash"] == ""
    dashes = {one["part"]: one["dash"] for one in layers.values()}
    assert list(dashes) == ["encoder", "latents", "sample", "decoder"]
    assert len(set(dashes.values())) == 4
    assert len({one["colour"] for one in layers.values()}) == len(layers)


def test_a_part_without_an_ink_of_its_own_is_drawn_too(data, monkeypatch):
    table = learning_data.curves(data, data.scored["debiased_cka"])
    table.loc[table["part"] == "decoder", "part"] = "elsewhere"
    monkeypatch.setattr(learning_data, "curves", lambda *_: table)
    layers = interactive.curves(data)[0]["layers"]
    assert {one["layer"] for one in layers} == set(table["layer"]) - {"input"}
    assert next(one["colour"] for one in layers if one["part"] == "elsewhere") == "#555555"


def _maps_with(monkeypatch, fill):
    """Every map that is asked for has ``fill`` in its first cell, and 0.5 in the three others."""

    def heat_map(scored, runs, row_step, column_step, *, across_seeds):
        values = np.array([[fill, 0.5], [0.5, 0.5]])
        return heat_data.HeatMap(
            ["a", "b"], ["a", "b"], values, row_step, column_step, 1, across_seeds
        )

    monkeypatch.setattr(heat_data, "heat_map", heat_map)


@pytest.mark.parametrize(
    ("value", "written"),
    [(np.nan, None), (np.inf, None), (-0.0001, 0.0), (0.12345, 0.123), (1 - 1e-9, 1.0)],
)
def test_scores_have_three_decimals_and_the_undefined_is_null(data, monkeypatch, value, written):
    _maps_with(monkeypatch, value)
    found, _ = interactive.heat_maps(data)
    back = json.loads(interactive.embed({"heat": found}))["heat"][0]["values"]
    assert back[:4] == [written, 0.5, 0.5, 0.5]
    assert str(back[0]) != "-0.0"


def test_the_first_measure_gives_up_steps_and_another_its_place(data, monkeypatch):
    _maps_with(monkeypatch, 1.0)
    both, left_out = interactive.heat_maps(data)
    cells = sum(len(one["values"]) for one in both) // 2
    assert {one["measure"] for one in both} == {"debiased_cka", "procrustes_similarity"}
    assert left_out == []
    first, left_out = interactive.heat_maps(data, most=cells)
    assert {one["measure"] for one in first} == {"debiased_cka"}
    assert {tuple(one["steps"]) for one in first} == {(0, 2, 5, 12)}
    assert left_out == ["Procrustes similarity"]
    fewer, _ = interactive.heat_maps(data, most=cells // 2)
    assert {tuple(one["steps"]) for one in fewer} == {(0, 12)}
    assert sum(len(one["values"]) for one in fewer) <= cells // 2
    least, _ = interactive.heat_maps(data, most=1)
    assert {tuple(one["steps"]) for one in least} == {(12,)}


def test_the_page_holds_the_numbers(tiny_study, data):
    html = report_path(tiny_study).read_text()
    (attributes, text), (_, script) = _scripts(html).scripts
    assert attributes == {"type": "application/json", "id": "interactive-data"}
    assert json.loads(text) == interactive.interactive_data(data)
    assert "ResizeObserver" in script
    # Hidden until the script shows it.
    assert re.search(r'<section id="explore"[^>]* hidden>', html)
    assert re.search(r'<a [^>]*href="#explore" hidden>', html)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_leave_the_script(tiny_study, name):
    data = ReportData(tiny_study)
    own = [replace(c, label=f"{name}{c.label}") for c in data.configurations]
    data.__dict__["configurations"] = own  # as if the study said so
    explore = interactive.explore(data)
    page = _scripts(f'<script type="application/json">{explore.data}</script><p>after</p>')
    assert page.tags == ["script", "p"]
    data = json.loads(page.scripts[0][1])
    assert data["configurations"] == [c.label for c in own]
    assert {one["configuration"] for one in data["heat"]} == {c.label for c in own}


def test_the_script_never_parses_text_as_html(data):
    script = interactive.explore(data).script
    for banned in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert banned not in script
    assert "</" not in script
    assert "<!--" not in script

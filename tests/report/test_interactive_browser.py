"""The interactive section in a browser, opened as a file."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from stratigraph.report import interactive, report_path
from stratigraph.report.data import ReportData


@pytest.fixture
def open_page(browser):
    """Opens a file; at the end nothing may have been said on the console, fetched, or thrown."""
    pages, said = [], []

    def opened(path, **options):
        page = browser.new_page(**options)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or said.append(request.url),
        )
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert said == []


@pytest.fixture(scope="module")
def data(tiny_study):
    return interactive.interactive_data(ReportData(tiny_study))


def _written(value):
    return "undefined" if value is None else f"{value:.3f}".replace("-", "−")


def _heat(data, configuration, across):
    return next(
        one
        for one in data["heat"]
        if (one["configuration"], one["across"]) == (configuration, across)
    )


def _with(study, data, folder):
    """The study's report with other numbers in it."""
    before, rest = report_path(study).read_text().split('id="interactive-data">', 1)
    _, after = rest.split("</script>", 1)
    path = folder / "other.html"
    path.write_text(f'{before}id="interactive-data">{interactive.embed(data)}</script>{after}')
    return path


def _corner(canvas):
    """The colour in the middle of the map's first cell."""
    left, top, width, height = map(float, canvas.get_attribute("data-place").split())
    with Image.open(io.BytesIO(canvas.screenshot())) as picture:
        return picture.convert("RGB").getpixel((int(left + width / 2), int(top + height / 2)))


def test_the_slider_and_the_pickers_change_the_map(tiny_study, open_page, data):
    page = open_page(report_path(tiny_study))
    one, other = data["configurations"]
    layers = len(data["heat"][0]["rows"])

    canvas = page.locator("#heat-box canvas")

    def picture():
        return canvas.evaluate("c => c.toDataURL()")

    def read(row, column):
        """Go to a cell by keys, from the corner."""
        canvas.focus()
        keys = ["ArrowUp"] * layers + ["ArrowLeft"] * layers
        for key in keys + ["ArrowDown"] * row + ["ArrowRight"] * column:
            page.keyboard.press(key)
        return page.locator("#heat-live").inner_text()

    def expected(configuration, across, step, row, column):
        heat = _heat(data, configuration, across)
        value = heat["values"][(step * layers + row) * layers + column]
        return f"{heat['rows'][row]} × {heat['columns'][column]} (final): {_written(value)}"

    assert page.locator("#heat-shown").inner_text() == "step 0 (2 runs)"
    first = picture()
    assert read(2, 3) == expected(one, False, 0, 2, 3)

    page.locator("#heat-step").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#heat-shown").inner_text() == "step 2 (2 runs)"
    assert page.locator("#heat-step").get_attribute("aria-valuetext") == "step 2"
    # The pointed cell stays, and is read at the new step.
    assert page.locator("#heat-live").inner_text() == expected(one, False, 1, 2, 3)
    page.keyboard.press("End")
    assert page.locator("#heat-shown").inner_text() == "step 12 (2 runs)"
    last = picture()
    assert last != first
    # A layer with itself is 1, the last of viridis.
    assert _corner(canvas) == (253, 231, 37)

    page.select_option("#heat-kind", "across")
    assert page.locator("#heat-shown").inner_text() == "step 12 (1 pair of seeds)"
    assert read(4, 1) == expected(one, True, 3, 4, 1)
    assert picture() != last
    page.select_option("#heat-configuration", other)
    assert read(4, 1) == expected(other, True, 3, 4, 1)
    # Procrustes similarity has no whole maps, so there is nothing to pick.
    assert page.locator("#heat-measure option").all_inner_texts() == ["Debiased CKA"]


def test_the_map_is_read_by_keyboard(tiny_study, open_page, data):
    page = open_page(report_path(tiny_study))
    heat = data["heat"][0]
    page.locator("#heat-step").focus()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    text = page.locator("#heat-live").inner_text()
    assert (
        text == f"{heat['rows'][0]} × {heat['columns'][2]} (final): {_written(heat['values'][2])}"
    )


def test_lines_are_pointed_at_switched_and_hidden(tiny_study, open_page, data):
    page = open_page(report_path(tiny_study))
    cka = data["curves"][0]
    groups = page.locator("#curve-box g[data-line]")
    assert groups.count() == len(cka["layers"])

    def reading(curve, layer, step):
        at = layer * len(curve["steps"]) + step
        mean, low, high = (_written(curve[name][at]) for name in ("mean", "low", "high"))
        return (
            f"{curve['layers'][layer]['name']}, step {curve['steps'][step]}: {mean}, "
            f"range {low} to {high} (2 runs)"
        )

    def point(curve, layer, step):
        """Point at a snapshot's dot of a layer (all its scores are defined)."""
        name = curve["layers"][layer]["layer"]
        dot = page.locator(f"#curve-box g[data-line='{name}'] circle").nth(step)
        dot.scroll_into_view_if_needed()
        box = dot.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        return page.locator("#curve-live").inner_text()

    def apart(curve):
        """A layer that no other comes near at the first snapshot."""
        steps = len(curve["steps"])
        start = [curve["mean"][k * steps] for k in range(len(curve["layers"]))]
        gaps = [min(abs(a - b) for j, b in enumerate(start) if j != k) for k, a in enumerate(start)]
        return gaps.index(max(gaps))

    layer = apart(cka)
    assert point(cka, layer, 0) == reading(cka, layer, 0)
    # Keys go on from there.
    page.locator("#curve-box svg").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#curve-live").inner_text() == reading(cka, layer, 1)

    page.select_option("#curve-measure", "procrustes_similarity")
    procrustes = next(one for one in data["curves"] if one["measure"] == "procrustes_similarity")
    layer = apart(procrustes)
    assert point(procrustes, layer, 0) == reading(procrustes, layer, 0)

    button = page.locator("#curve-legend button").nth(layer)
    assert button.inner_text() == procrustes["layers"][layer]["name"]
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    hidden = f"#curve-box g[data-line='{procrustes['layers'][layer]['layer']}']"
    assert page.locator(hidden).count() == 0
    # It stays hidden in another configuration.
    page.select_option("#curve-configuration", data["configurations"][1])
    assert page.locator(hidden).count() == 0
    page.locator("#curve-legend button").nth(layer).click()
    assert page.locator(hidden).count() == 1


def test_a_narrow_page_does_not_scroll_sideways(tiny_study, open_page):
    page = open_page(report_path(tiny_study), viewport={"width": 390, "height": 800})
    widths = "[...document.querySelectorAll('.drawing > *')].map(n => n.clientWidth)"
    assert max(page.evaluate(widths)) <= 390
    assert page.evaluate("document.getElementById('explore').scrollWidth") <= 390
    page.set_viewport_size({"width": 1200, "height": 800})
    page.wait_for_function("document.querySelector('#curve-box svg').clientWidth > 450")


def test_nothing_is_shown_in_print_or_without_scripts(tiny_study, open_page):
    page = open_page(report_path(tiny_study))
    assert page.locator("#explore").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#explore").is_hidden()
    still = open_page(report_path(tiny_study), java_script_enabled=False)
    assert still.locator("#explore").is_hidden()
    assert still.locator("nav a[href='#explore']").is_hidden()
    still.locator("#heat-maps > summary").click()  # folds need no script
    assert still.locator("#heat-maps img").first.is_visible()


def test_hostile_names_are_text(tiny_study, open_page, data, tmp_path):
    name = "</script><img src=x onerror=alert(1)>"
    text = json.dumps(data).replace(json.dumps(data["configurations"][0]), json.dumps(name))
    renamed = json.loads(text.replace('"enc conv1"', json.dumps(name)))
    page = open_page(_with(tiny_study, renamed, tmp_path))
    assert page.locator("#heat-configuration option").first.inner_text() == name
    assert page.locator("#curve-legend button").first.inner_text() == name
    assert page.locator("#explore img").count() == 0
    page.locator("#heat-box canvas").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#heat-live").inner_text().startswith(name)


def test_the_undefined_is_grey_and_a_gap(tiny_study, open_page, data, tmp_path):
    holed = json.loads(json.dumps(data))
    holed["heat"][0]["values"][0] = None
    for name in ("mean", "low", "high"):
        holed["curves"][0][name][1] = None
    page = open_page(_with(tiny_study, holed, tmp_path))
    canvas = page.locator("#heat-box canvas")
    assert _corner(canvas) == (0xD9, 0xD9, 0xD9)
    canvas.focus()
    page.keyboard.press("ArrowUp")
    assert page.locator("#heat-live").inner_text() == "input × input (final): undefined"
    line = page.locator("#curve-box g[data-line]").first
    assert line.locator("circle").count() == 3
    assert line.locator("path").get_attribute("d").count("M") == 2

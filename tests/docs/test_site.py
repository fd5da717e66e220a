"""The site is built without a warning, and opens from its folder without a network."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pages import DOCS

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"|<link\s([^>]*)>")
NO_LOAD = ("canonical", "next", "prev", "index", "search", "author", "license")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that `make docs` makes, made here: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.fixture
def offline(browser):
    """A page of a browser without a network; to ask for one is an error, and so is a fault."""
    wrong = []
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.context.set_offline(True)
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    page.close()
    assert wrong == []


def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        for source, link in LOADED.findall(page.read_text(encoding="utf-8")):
            target = source or re.search(r'href="([^"]*)"', link)[1]
            if not any(f'rel="{kind}"' in link for kind in NO_LOAD):
                assert "//" not in target, f"{page.name}: {target}"
                assert (page.parent / target.split("?")[0]).exists() or target.startswith("data:")


def test_mathematics_is_drawn_and_a_telephone_needs_no_sideways_scroll(site, offline):
    for name in ("index", "reference/each-measure", "reference/studies", "start/compare"):
        offline.goto((site / f"{name}.html").as_uri())
        wide = offline.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{name}: {wide} pixels"
        if name == "reference/each-measure":
            offline.wait_for_selector("mjx-container svg", timeout=60_000)
            assert offline.locator("mjx-merror").count() == 0


def test_search_finds_a_page(site, offline):
    offline.goto((site / "search.html").as_uri() + "?q=procrustes")
    offline.wait_for_selector("#search-results li a", timeout=60_000)
    assert "Each measure" in offline.locator("#search-results").inner_text()

"""How the site is built: `make docs`. What it needs is in the extra ``docs``.

Nothing of the site is fetched when it is read: MathJax lies in it, and a test opens it without a
network.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import files
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_site"), str(HERE.parent / "src")]

from stratigraph.version import __version__  # noqa: E402

project = "stratigraph"
author = "The stratigraph authors"
copyright = "2026, The stratigraph authors"
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "generated",
]
exclude_patterns = ["_build", "_site"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tests run the notebooks; their outputs are kept in them
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # else each page would name a server
default_role = "py:obj"
autodoc_typehints = "none"  # arguments are described in words
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "stratigraph"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which a folder without a server refuses
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
mathjax_path = "mathjax/tex-svg.js"

# Pages of the repository that the site shows, and where.
SHOWN = {
    "SECURITY.md": "project/security.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
FILE = re.compile(r"^<!-- file: (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+)([\w./-]+)(#[\w-]+)?\)")


def lead_inside(app: object, docname: str, source: list[str]) -> None:
    """Links that leave docs/ lead to the page that shows their file; a folder's name is left."""
    up = "../" * docname.count("/")

    def shown(match: re.Match[str]) -> str:
        text = (HERE.parent / match[1]).read_text(encoding="utf-8")
        text = re.sub(r"\]\((?!docs/|\w+:|#)", f"]({up}../", text)
        return text.replace("](docs/", f"]({up}")

    def led(match: re.Match[str]) -> str:
        text, out, target, anchor = match.groups()
        if out.count("..") <= docname.count("/"):
            return match[0]
        if target in SHOWN:
            return f"[{text}]({up}{SHOWN[target]}{anchor or ''})"
        return text if (HERE.parent / target).is_dir() else match[0]

    source[0] = LINK.sub(led, FILE.sub(shown, source[0]))


def bring_mathjax(app: object, error: Exception | None) -> None:
    """Copy the one file of MathJax that the pages load: it draws in SVG and needs no fonts."""
    if error is None and app.builder.format == "html":  # type: ignore[attr-defined]
        (file,) = [f for f in files("sphinx-mathjax-offline") or () if f.name == "tex-svg.js"]
        target = Path(app.outdir) / "_static" / "mathjax"  # type: ignore[attr-defined]
        target.mkdir(exist_ok=True)
        shutil.copy(str(file.locate()), target)


def setup(app: object) -> None:
    """Join the two to Sphinx's events."""
    app.connect("source-read", lead_inside)  # type: ignore[attr-defined]
    app.connect("build-finished", bring_mathjax)  # type: ignore[attr-defined]

"""The pages that a reader has, notebooks too, each as one text in Markdown, and their blocks."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["PAGES", "ROOT", "blocks", "read_page"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
    *sorted(DOCS.glob("*/*.ipynb")),
]
BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read_page(page: Path) -> str:
    """A page's text; of a notebook, its cells one below the other."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(s if kind == "markdown" else f"```python\n{s}\n```" for kind, s in cells)


def blocks(page: Path) -> list[tuple[int, str, bool, str]]:
    """(line, language, whether it is only shown, text) of a page's blocks."""
    text = read_page(page)
    return [
        (text[: match.start()].count("\n") + 1, match[1], bool(match[2]), match[3])
        for match in BLOCK.finditer(text)
    ]

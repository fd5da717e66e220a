"""Draw the README's badges from pyproject.toml: `python docs/_site/badges.py`.

They lie in the repository and say what it says of itself; a test sees that they are current.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

__all__ = ["badges", "draw_badge"]

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "images" / "badges"
WIDTH, MARGIN = 6.6, 7  # of a letter at 11 px, and beside a text


def badges() -> dict[str, tuple[str, str]]:
    """Name → what it is of, and what is so."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, mypy = tables["project"], tables["tool"]["mypy"]
    version = (ROOT / tables["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(.+)"', version)
    return {
        "version": ("version", found[1] if found else "unknown"),
        "python": ("python", project["requires-python"].replace(">=", "≥ ")),
        "system": ("runs on", "Linux, macOS"),
        "licence": ("licence", project["license"]),
        "types": ("mypy", "strict" if mypy["strict"] else "not strict"),
    }


def draw_badge(of: str, said: str) -> str:
    """An SVG of two fields."""
    left, right = (round(len(text) * WIDTH + 2 * MARGIN) for text in (of, said))
    said = said.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{of}: {said}"><title>{of}: {said}</title>'
        f'<rect width="{left + right}" height="20" rx="3" fill="#2b5f75"/>'
        f'<path d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#444"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2:g}" y="14">{of}</text>'
        f'<text x="{left + right / 2:g}" y="14">{said}</text></g></svg>\n'
    )


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name, words in badges().items():
        (OUT / f"{name}.svg").write_text(draw_badge(*words), encoding="utf-8")

"""Results as a notebook shows them: a table with a heading, every text of it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]


def html_table(
    caption: str, rows: Iterable[Sequence[object]], columns: Sequence[str] | None = None
) -> str:
    """A table; without columns the first cell of each row says what the others are."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in columns or ())
    body = "".join(_row(row, columns is None) for row in rows)
    return (
        f'<table><caption style="text-align:left">{escape(caption)}</caption>'
        f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )


def _row(cells: Sequence[object], headed: bool) -> str:
    told = [escape(str(cell)) for cell in cells]
    first = f'<th scope="row">{told[0]}</th>' if headed else f"<td>{told[0]}</td>"
    return f"<tr>{first}{''.join(f'<td>{one}</td>' for one in told[1:])}</tr>"

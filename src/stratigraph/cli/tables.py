"""Where a command writes its table, and its picture, beside what it prints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratigraph.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["TABLES", "check_places", "is_table", "write_figure", "write_table"]

FIGURES = (".png", ".pdf", ".svg")
TABLES = (".parquet", ".csv", ".nc")


def check_places(figure: Path | None, out: Path | None) -> None:
    """Refuse a picture or a table whose suffix says no format, before anything is computed."""
    for option, path, known in (("--figure", figure, FIGURES), ("--out", out, TABLES)):
        if path is not None and path.suffix.lower() not in known:
            raise ConfigError(
                f"{option}: expected a file that ends in {', '.join(known)}, got {str(path)!r}."
            )


def is_table(path: Path | None) -> bool:
    """Whether a place is one of a table."""
    return path is not None and path.suffix.lower() in TABLES


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write a table in the format that its name ends in; lists and mappings as JSON.

    Raises:
        StorageError: the disk would not take it.

    """
    from stratigraph.records import write_file

    words = [str(name) for name in table if table[name].dtype == object]
    plain = table.assign(**{name: table[name].map(_plain) for name in words})
    buffer = io.BytesIO()
    if out.suffix.lower() == ".csv":
        buffer.write(plain.to_csv(index=False).encode())
    elif out.suffix.lower() == ".parquet":
        plain.to_parquet(buffer, index=False)
    else:
        rows = plain.fillna(dict.fromkeys(words, "")).rename_axis("row").to_xarray()
        for name in words:  # netCDF has text, and no objects
            rows[name] = rows[name].astype(str)
        buffer.write(bytes(rows.to_netcdf(engine="h5netcdf")))
    write_file(out, buffer.getbuffer())


def write_figure(drawn: Figure, figure: Path) -> None:
    """Write a picture in the format that its name ends in."""
    from stratigraph.records import write_file

    buffer = io.BytesIO()
    drawn.savefig(buffer, format=figure.suffix.lower()[1:], dpi=200)
    write_file(figure, buffer.getbuffer())


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | tuple) else value

"""A labelled matrix of scores as a command shows it: printed, as a table, as a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stratigraph.cli.inspect import finite
from stratigraph.cli.tables import write_figure, write_table
from stratigraph.terminal import tell, tell_json

if TYPE_CHECKING:
    import pandas as pd
    import xarray

__all__ = ["show_matrix"]

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
NEVER = re.compile(r"(?!)")  # reasons are alike word for word
SHOWN = 4  # names that a line has


def show_matrix(
    found: xarray.DataArray | xarray.Dataset,
    of: str,
    figure: Path | None,
    out: Path | None,
    *,
    as_json: bool,
    explained: Iterable[str] = (),
    **facts: Any,
) -> None:
    """Print a matrix, and write it where a table or a picture was asked for.

    Args:
        found: scores (x, y), perhaps with intervals.
        of: how many rows or inputs, in words.
        figure: the picture's place.
        out: the table's.
        as_json: print JSON, with further ``facts``.
        explained: further lines of the text.
        facts: see ``as_json``.

    """
    found = _with_coordinates(found)
    if as_json:
        tell_json({**_facts(found), **facts})
    else:
        _print(found, of, explained)
    if out is not None:
        _write_matrix(found, out)
    if figure is not None:
        _draw(found, figure)


def _with_coordinates(found: xarray.DataArray | xarray.Dataset) -> xarray.DataArray:
    """The scores, what stands beside them as coordinates."""
    import xarray

    if isinstance(found, xarray.DataArray):
        return found
    scores = found.set_coords([name for name in found.data_vars if name != "value"])["value"]
    return scores.rename(found.attrs["measure"]).assign_attrs(found.attrs)


def _facts(found: xarray.DataArray) -> dict[str, Any]:
    values = {"values": found, **{name: found[name] for name in _beside(found)}}
    return {
        "x": found["x"].values.tolist(),
        "y": found["y"].values.tolist(),
        **{key: _finite(held.values.tolist()) for key, held in values.items()},
        **found.attrs,
    }


def _finite(values: Any) -> Any:
    """Nested lists of numbers, None where one is not finite."""
    return list(map(_finite, values)) if isinstance(values, list) else finite(values)


def _beside(found: xarray.DataArray) -> list[str]:
    """What stands beside each score, or the best of some: an interval's ends, and chance."""
    return [str(name) for name in found.coords if name not in found.dims]


def _ends(found: xarray.DataArray) -> list[str]:
    return [end for end in ("lower", "upper") if end in found.coords]


def _print(found: xarray.DataArray, of: str, explained: Iterable[str]) -> None:
    names_x, names_y = (list(map(str, found[axis].values)) for axis in ("x", "y"))
    cells = [[f"{value:.3f}" for value in row] for row in found.values]
    if _ends(found):
        ends = zip(found["lower"].values, found["upper"].values, strict=True)
        cells = [
            [f"{cell} [{a:.3f}, {b:.3f}]" for cell, a, b in zip(row, low, high, strict=True)]
            for row, (low, high) in zip(cells, ends, strict=True)
        ]
    if "p" in found.coords:
        cells = [
            [f"{cell} (p {p:.3f})" for cell, p in zip(row, own, strict=True)]
            for row, own in zip(cells, found["p"].values, strict=True)
        ]
    widths = [max(map(len, column)) for column in zip(names_y, *cells, strict=True)]
    first = max(map(len, names_x))
    for name, row in zip(["", *names_x], [names_y, *cells], strict=True):
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        tell(f"{name.ljust(first)}  {line}")
    tell(f"{found.attrs['measure']} of {of}")
    if "interval" in found.attrs:
        tell(f"intervals: {found.attrs['interval']}")
    if "null" in found.attrs:
        _print_chance(found)
    for line in explained:
        tell(line)
    for names, reason in _alike(found.sg.reasons, NEVER):
        tell(f"{names} {'have' if ', ' in names else 'has'} no score: {reason}")
    for names, note in _alike(found.sg.notes, NUMBER):
        tell(f"{names}: {note}")


def _alike(told: Mapping[str, str], apart: re.Pattern[str]) -> list[tuple[str, str]]:
    """What is told of several names alike, once: the names, and the text.

    Args:
        told: name → text.
        apart: where texts may differ: numbers, which are told from the least to the largest.

    """
    texts: dict[str, list[str]] = {}
    for name, text in told.items():
        texts.setdefault(apart.sub("#", text), []).append(name)
    return [
        (_list_names(names), _span([told[name] for name in names], apart))
        for names in texts.values()
    ]


def _list_names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN else f"{len(names)} ({names[0]}, {names[1]}, …)"


def _span(texts: list[str], apart: re.Pattern[str]) -> str:
    """Texts that differ in their numbers, as one: of each number the least and the largest."""
    columns = zip(*(apart.findall(text) for text in texts), strict=True)
    spans = iter([_from_to(sorted(set(column), key=float)) for column in columns])
    return apart.sub(lambda _: next(spans), texts[0])


def _from_to(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _print_chance(found: xarray.DataArray) -> None:
    """The best of every row and of all, and how it stands against the best that chance finds."""
    tell(f"chance: {found.attrs['null']}")
    best = [(f"best of {x.item()}", found.sel(x=x), "_row") for x in found["x"]]
    rows = best if found.sizes["y"] > 1 else []
    for name, held, end in (*rows, ("best of all", found, "_matrix")):
        value, p, own = (float(held[part + end]) for part in ("value", "p", "calibrated"))
        tell(f"{name}: {value:.3f}, p {p:.3f}, calibrated {own:.3f}")


def _table(found: xarray.DataArray) -> pd.DataFrame:
    """A row for each pair: x, y, the measure, its value, and what stands beside it."""
    import pandas as pd

    rows, columns = found.shape
    table = {
        "x": np.repeat(found["x"].values, columns),
        "y": np.tile(found["y"].values, rows),
        "measure": found.attrs["measure"],
        "value": found.values.ravel(),
    }
    for name in _beside(found):
        table[name] = found[name].broadcast_like(found).transpose("x", "y").values.ravel()
    probes = found.attrs["probes" if "probes" in found.attrs else "inputs"]
    return pd.DataFrame(table).assign(probes=probes)


def _write_matrix(found: xarray.DataArray, out: Path) -> None:
    from stratigraph.records import write_file

    if out.suffix.lower() == ".nc":
        write_file(out, memoryview(bytes(found.to_netcdf(engine="h5netcdf"))))
    else:
        write_table(_table(found), out)


def _draw(found: xarray.DataArray, figure: Path) -> None:
    from stratigraph.report.figures.matrix import draw_matrix
    from stratigraph.report.plots import score_limits

    low, high = score_limits(found.attrs["measure"])
    write_figure(draw_matrix(found, low, high), figure)

"""``stratigraph compare a.npy b.npy``: embeddings that are already there, from their files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from stratigraph.cli.inspect import finite
from stratigraph.cli.options import find_study
from stratigraph.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import xarray

__all__ = ["Drawn", "Ids", "Sources", "WithInterval", "compare_files", "find_files"]

FIGURES = (".png", ".pdf", ".svg")
TABLES = (".parquet", ".csv", ".nc")


Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="A study file (.yaml), or the folder or URL of a study; or files of representations.",
        metavar="[STUDY | FILE…]",
        parser=find_study,
    ),
]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--ids",
        help="Of files: the column of ids that rows are joined on, or a file of them; once for "
        "all, or once for each.",
    ),
]
Drawn = Annotated[
    Path | None, typer.Option("--figure", help="Of files: draw the matrix (.png, .pdf, .svg).")
]
WithInterval = Annotated[
    bool, typer.Option("--interval", help="Of files: a 95 % interval over rows for each score.")
]


def find_files(sources: list[Path], models: bool) -> list[str]:
    """Which of what a command was given are files of representations: all of it, or nothing.

    Raises:
        ConfigError: something else stands beside them.

    """
    from stratigraph.representations.load import is_file_of_representations

    named = [str(one) for one in sources]
    files = [n for n in named if is_file_of_representations(n) and not Path(n).is_dir()]
    others = [name for name in named if name not in files]
    if files and models:
        raise ConfigError("compare: expected files of representations or --model, got both.")
    if files and others:
        raise ConfigError(
            f"{others[0]}: no file of representations; it cannot be compared with {files[0]}."
        )
    return files


def compare_files(
    files: list[str],
    measure: str,
    ids: list[str] | None,
    figure: Path | None,
    out: Path | None,
    interval: bool,
    as_json: bool,
    explain: bool,
) -> None:
    """Compare one file's representations with each other, two files' across, or those of many.

    Raises:
        ConfigError: ids that are neither one nor one a file, or a suffix that says no format.

    """
    _check_suffix("--figure", figure, FIGURES)
    _check_suffix("--out", out, TABLES)
    from stratigraph.pairs.intervals import interval_matrix
    from stratigraph.pairs.matrix import similarity_matrix
    from stratigraph.representations.load import load_representations

    columns = _one_each(files, ids)
    held = [load_representations(file, own) for file, own in zip(files, columns, strict=True)]
    named = _name_arrays(files, held)
    sides = named if len(named) == 2 else [{k: v for side in named for k, v in side.items()}]
    _tell_order({name: value for side in sides for name, value in side.items()})
    make = interval_matrix if interval else similarity_matrix
    found = make(sides[0], sides[1] if len(sides) > 1 else None, measure)
    probes = len(next(iter(sides[0].values())))
    found = found.assign_attrs(probes=probes)
    if as_json:
        typer.echo(json.dumps(_facts(found, named), indent=1))
    else:
        _print(found, named, explain)
    if out is not None:
        _write_table(found, out)
    if figure is not None:
        _draw(found, measure, figure)


def _check_suffix(option: str, path: Path | None, known: tuple[str, ...]) -> None:
    if path is not None and path.suffix.lower() not in known:
        raise ConfigError(
            f"{option}: expected a file that ends in {', '.join(known)}, got {str(path)!r}."
        )


def _one_each(files: list[str], ids: list[str] | None) -> list[str | None]:
    if ids is None or len(ids) == 0:
        return [None] * len(files)
    if len(ids) not in (1, len(files)):
        raise ConfigError(
            f"--ids: expected it once for all files, or once for each; got {len(ids)} for "
            f"{len(files)}."
        )
    return [*ids] * (len(files) // len(ids))


def _name_arrays(files: list[str], held: list[Any]) -> list[dict[str, Any]]:
    """Names that tell all representations apart, as short as may be: their own, or the files'."""
    if len(files) == 1:
        return [dict(held[0])]
    for form in ("{short}", "{stem}:{short}", "{name}", "{stem}:{name}", "{file}:{name}"):
        sides = [
            {
                form.format(
                    short=name if len(own) > 1 else _stem(file),
                    name=name,
                    stem=_stem(file),
                    file=file,
                ): value
                for name, value in own.items()
                for file in [value.source.removesuffix(f":{name}")]
            }
            for own in held
        ]
        names = {name for side in sides for name in side}
        if len(names) == sum(map(len, held)):
            return sides
    return [
        {f"{number}:{name}": value for name, value in own.items()}
        for number, own in enumerate(held, 1)
    ]


def _stem(file: str) -> str:
    base = Path(file).name
    return base.split(".")[0] or base


def _tell_order(values: Mapping[str, Any]) -> None:
    """Say on the side which rows have no ids beside some that have."""
    plain = [value.source for value in values.values() if value.ids is None]
    labelled = [value.source for value in values.values() if value.ids is not None]
    if plain and labelled:
        typer.echo(
            f"{', '.join(plain)}: without ids, so row by row as in {labelled[0]}; --ids names "
            "theirs.",
            err=True,
        )


def _facts(found: xarray.DataArray, named: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {
        end: [[finite(v) for v in row] for row in found[end].values]
        for end in ("lower", "upper")
        if end in found.coords
    }
    return {
        "x": found["x"].values.tolist(),
        "y": found["y"].values.tolist(),
        "values": [[finite(v) for v in row] for row in found.values],
        **ends,
        **found.attrs,
        "representations": {
            name: {"source": value.source, "shape": list(value.shape), "ids": value.ids is not None}
            for side in named
            for name, value in side.items()
        },
    }


def _print(found: xarray.DataArray, named: list[dict[str, Any]], explain: bool) -> None:
    names_x, names_y = (list(map(str, found[axis].values)) for axis in ("x", "y"))
    cells = [[f"{value:.3f}" for value in row] for row in found.values]
    if "lower" in found.coords:
        ends = zip(found["lower"].values, found["upper"].values, strict=True)
        cells = [
            [f"{cell} [{a:.3f}, {b:.3f}]" for cell, a, b in zip(row, low, high, strict=True)]
            for row, (low, high) in zip(cells, ends, strict=True)
        ]
    widths = [max(map(len, column)) for column in zip(names_y, *cells, strict=True)]
    first = max(map(len, names_x))
    for name, row in zip(["", *names_x], [names_y, *cells], strict=True):
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(f"{name.ljust(first)}  {line}")
    every = {name: value for side in named for name, value in side.items()}
    joined = sum(value.ids is not None for value in every.values()) > 1
    how = "joined on their ids" if joined else "row by row"
    typer.echo(f"{found.attrs['measure']} of {found.attrs['probes']} rows, {how}")
    if "interval" in found.attrs:
        typer.echo(f"intervals: {found.attrs['interval']}")
    if explain:
        typer.echo(f"plan: {found.attrs['plan']}")
        for name, value in every.items():
            typer.echo(f"{name}: {value.shape[0]} × {value.shape[1]}, {value.source}")
    for name, reason in json.loads(found.attrs["reasons"]).items():
        typer.echo(f"{name} has no score: {reason}")
    for name, note in json.loads(found.attrs["notes"]).items():
        typer.echo(f"{name}: {note}")


def _table(found: xarray.DataArray) -> pd.DataFrame:
    """A row for each pair: x, y, the measure, its value, and the interval's ends."""
    import pandas as pd

    rows, columns = found.shape
    table = {
        "x": np.repeat(found["x"].values, columns),
        "y": np.tile(found["y"].values, rows),
        "measure": found.attrs["measure"],
        "value": found.values.ravel(),
    }
    table |= {end: found[end].values.ravel() for end in ("lower", "upper") if end in found.coords}
    return pd.DataFrame(table).assign(probes=found.attrs["probes"])


def _write_table(found: xarray.DataArray, out: Path) -> None:
    from stratigraph.records import write_file

    buffer = io.BytesIO()
    if out.suffix.lower() == ".csv":
        buffer.write(_table(found).to_csv(index=False).encode())
    elif out.suffix.lower() == ".parquet":
        _table(found).to_parquet(buffer, index=False)
    else:
        buffer.write(bytes(found.to_netcdf(engine="h5netcdf")))
    write_file(out, buffer.getbuffer())


def _draw(found: xarray.DataArray, measure: str, figure: Path) -> None:
    from stratigraph.records import write_file
    from stratigraph.report.figures.matrix import draw_matrix
    from stratigraph.similarity.catalog import find_measure

    chosen = find_measure(measure)
    low, high = chosen.bounds
    if chosen.itself:  # a similarity: 0 to 1, however far below chance may fall
        low, high = 0.0, 1.0
    buffer = io.BytesIO()
    draw_matrix(found, low, high).savefig(buffer, format=figure.suffix.lower()[1:], dpi=200)
    write_file(figure, buffer.getbuffer())

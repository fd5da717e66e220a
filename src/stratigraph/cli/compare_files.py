"""``stratigraph compare a.npy b.npy``: embeddings that are already there, from their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stratigraph.cli.matrices import show_matrix
from stratigraph.cli.options import find_study
from stratigraph.cli.tables import check_places
from stratigraph.errors import ConfigError
from stratigraph.terminal import tell, tell_json

__all__ = [
    "Drawn",
    "Ids",
    "Null",
    "NullWithin",
    "Sources",
    "WithInterval",
    "compare_files",
    "find_files",
]

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
        help="For files: the column of ids on which rows are joined, or a file of ids; once for "
        "all, or once for each.",
    ),
]
Drawn = Annotated[
    Path | None,
    typer.Option("--figure", help="For networks or files: draw the matrix (.png, .pdf, .svg)."),
]
WithInterval = Annotated[
    bool,
    typer.Option("--interval", help="For networks or files: a 95 % interval for each score."),
]
Null = Annotated[
    int | None,
    typer.Option(
        "--null",
        help="How many permutations estimate chance (such as 200, at least 19); for a study, "
        "kept in it.",
    ),
]
NullWithin = Annotated[
    str | None,
    typer.Option(
        "--null-within",
        help="Permute within classes: for a study, a factor of its data; for networks or "
        "files, a file of labels, one per row (or FILE:COLUMN).",
    ),
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
            f"{others[0]}: not a file of representations; it cannot be compared with {files[0]}."
        )
    return files


def compare_files(
    files: list[str],
    measure: str,
    ids: list[str] | None,
    *,
    figure: Path | None,
    out: Path | None,
    interval: bool,
    null: int | None,
    within: str | None,
    as_json: bool,
    explain: bool,
    closer: bool = False,
    **how: Any,
) -> None:
    """Compare one file's representations with each other, two files' across, or those of many.

    Raises:
        ConfigError: ids that are neither one nor one a file, or a suffix that says no format.

    """
    check_places(figure, out)
    from stratigraph.pairs.matrix import similarity_matrix
    from stratigraph.representations.load import load_representations, read_labels

    columns = _one_each(files, ids)
    held = [load_representations(file, own) for file, own in zip(files, columns, strict=True)]
    named = _name_arrays(files, held)
    if closer:
        three = [one for side in named for one in side.items()]
        _tell_closer(three, measure, as_json, given=(figure, out, null, *how.values()))
        return
    sides = named if len(named) == 2 else [{k: v for side in named for k, v in side.items()}]
    _tell_order({name: value for side in sides for name, value in side.items()})
    right = sides[1] if len(sides) > 1 else None
    groups = None if within is None else read_labels(within)
    found = similarity_matrix(
        sides[0], right, measure, interval=interval, null=null, groups=groups, **how
    )
    probes = len(next(iter(sides[0].values())))
    found = found.assign_attrs(probes=probes)
    every = {name: value for side in named for name, value in side.items()}
    joined = sum(value.ids is not None for value in every.values()) > 1
    sizes = [f"{name}: {v.shape[0]} × {v.shape[1]}, {v.source}" for name, v in every.items()]
    show_matrix(
        found,
        f"{probes} rows, {'joined on their ids' if joined else 'row by row'}",
        figure,
        out,
        as_json=as_json,
        explained=[f"plan: {found.attrs['plan']}", *sizes] if explain else (),
        representations={
            name: {"source": v.source, "shape": list(v.shape), "ids": v.ids is not None}
            for name, v in every.items()
        },
    )


def _tell_closer(
    every: list[tuple[str, Any]], measure: str, as_json: bool, given: Iterable[Any]
) -> None:
    """Say whether the first of three is closer to the second than to the third.

    Raises:
        ConfigError: they are not three, or another option asks for a matrix.

    """
    from stratigraph.pairs.closeness import compare_closeness

    if len(every) != 3:
        names = ", ".join(name for name, _ in every)
        raise ConfigError(f"--closer: expected three representations, got {len(every)} ({names}).")
    if any(one is not None for one in given):
        raise ConfigError(
            "--closer: it is a single test with its interval; leave out --figure, --out, --null, "
            "--tolerance and --precision."
        )
    (x, first), (y, second), (z, third) = every
    found = compare_closeness(first, second, third, measure)
    if as_json:
        tell_json({"x": x, "y": y, "z": z, "answer": found.answer, **dataclasses.asdict(found)})
        return
    tell(f"x {x}, y {y}, z {z}")
    tell(found)


def _one_each(files: list[str], ids: list[str] | None) -> list[str | None]:
    if ids is None or len(ids) == 0:
        return [None] * len(files)
    if len(ids) not in (1, len(files)):
        raise ConfigError(
            f"--ids: expected once for all files, or once for each; got {len(ids)} for "
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
        tell(
            f"{', '.join(plain)}: without ids, so row by row as in {labelled[0]}; --ids names "
            "theirs.",
            err=True,
        )

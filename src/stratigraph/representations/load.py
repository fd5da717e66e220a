"""Embeddings from a file: which format it is, which matrices of it are meant, what its rows are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from stratigraph.errors import DataError, InputError, StratigraphError, suggest
from stratigraph.file_kinds import are_weights, recognise
from stratigraph.labels import called_as_ids
from stratigraph.representations.contents import Contents
from stratigraph.representations.ids import as_index, find_labels
from stratigraph.representations.representation import Representation, Representations

__all__ = ["FORMATS", "is_file_of_representations", "load_representations"]

Reader: TypeAlias = Callable[[Path, str | None], Contents]  # the file, the column that holds ids

# suffix → the module that reads it, which is loaded then, and its function
FORMATS = {
    ".npy": "arrays:read_npy",
    ".npz": "arrays:read_npz",
    ".pt": "tensors:read_torch",
    ".pth": "tensors:read_torch",
    ".safetensors": "tensors:read_safetensors",
    ".parquet": "tables:read_parquet",
    ".pq": "tables:read_parquet",
    ".csv": "delimited:read_csv",
    ".tsv": "delimited:read_csv",
    ".arrow": "tables:read_arrow",
    ".feather": "tables:read_arrow",
    ".h5": "hdf5:read_hdf5",
    ".hdf5": "hdf5:read_hdf5",
    ".h5ad": "hdf5:read_hdf5",
}


def load_representations(
    path: str | Path, ids: str | Path | Sequence[Any] | None = None
) -> Representations:
    """The representations in a file, by name; their numbers are read when used.

    ``debiased_cka(load_representations("a.npy"), load_representations("b.npy"))`` takes its
    result like an array, and so do ``similarity_matrix`` and every measure.

    Args:
        path: a file of `FORMATS`; ``file.npz:embeddings``, ``file.h5ad:obsm/X_scVI`` or
            ``file.parquet:vector`` means one of its arrays, datasets or columns of vectors, or a
            whole group.
        ids: names of the rows: the name of a column (or array, or dataset) of the file, a
            file of labels (one per line, or ``.npy``, or ``table.csv:column``), or the labels
            themselves. By default a data frame's index or the cells of an ``.h5ad``, if the format
            keeps them. Representations are joined on them.

    Raises:
        DataError: there is no such file, it is damaged, or it has no matrix of that name.
        InputError: the ids are missing, or are not one per row.
        UnsafeFileError: opening it would run code.
        ConfigError: the library that reads the format is not installed.

    """
    file, chosen = _parted(str(path))
    with _readable(file):
        return _load(file, chosen, ids)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Within, whatever a library finds wrong with a file is one error.

    Raises:
        DataError: it is damaged, or may not be read.

    """
    try:
        yield
    except StratigraphError:
        raise
    except PermissionError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}).") from None
    except Exception as error:  # pyarrow's own are of no other kind
        told = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DataError(f"{file}: damaged, or not what its name says ({told}).") from error


def _load(file: Path, chosen: str, ids: str | Path | Sequence[Any] | None) -> Representations:
    contents = _contents(file, str(ids) if isinstance(ids, str | Path) else None)
    if not chosen and are_weights([*contents.matrices, *contents.labels]):
        some = ", ".join(list(contents.matrices)[:3])
        raise DataError(
            f"{file}: holds what looks like a network's weights ({some}), not representations; "
            "compare networks with --model FILE --factory MODULE:FUNCTION --inputs FILE (in Python "
            f"sg.compare), or name one of the tensors, as {file}:{next(iter(contents.matrices))}."
        )
    names = _chosen(contents, chosen, file)
    labels = _labels(ids, contents, file)
    beside = _beside(contents, file) if ids is None else ""
    if beside and labels is not None and _counts(labels):
        labels = None  # a frame's own count of its rows says less
    held = {}
    for name in names:
        source = f"{file}:{name}" if name else str(file)
        rows = contents.matrices[name]()
        if labels is not None and len(labels) != rows.shape[0]:
            raise InputError(
                f"{source}: expected an id for each of its {rows.shape[0]} rows, got {len(labels)}."
            )
        own = "" if labels is not None else beside
        held[name or file.stem] = Representation(source, rows, labels, beside=own)
    return Representations(held)


def is_file_of_representations(text: str) -> bool:
    """Whether it reads like a file of embeddings, with or without the name of one inside."""
    return any(Path(part).suffix.lower() in FORMATS for part in (text, text.rpartition(":")[0]))


def _parted(text: str) -> tuple[Path, str]:
    """The file that is there, and what of it is meant."""
    at = len(text)
    while at > 0:
        if Path(text[:at]).is_file():
            return Path(text[:at]), text[at + 1 :]
        at = text.rfind(":", 0, at)
    file = Path(text)
    what = "a folder, not a file" if file.is_dir() else "no such file"
    raise DataError(f"{text}: {what}; expected representations ({', '.join(FORMATS)}).")


def _contents(file: Path, ids: str | None) -> Contents:
    known = FORMATS.get(file.suffix.lower())
    if known is None:
        raise DataError(
            f"{file}: expected representations in one of the formats {', '.join(FORMATS)}, got "
            f"{file.suffix or 'a file without a suffix'}."
        )
    if not file.stat().st_size:
        raise DataError(f"{file}: empty (0 bytes); expected representations.")
    if (what := recognise(file)).startswith(("an HTML", "a Git")):
        raise DataError(f"{file}: expected representations; it is {what}.")
    module, function = known.split(":")
    reader: Reader = getattr(
        importlib.import_module(f"stratigraph.representations.{module}"), function
    )
    return reader(file, ids)


def _labels(ids: Any, contents: Contents, file: Path) -> Any:
    """The labels of the rows, or None where nothing says what they are called."""
    if ids is None:
        return None if contents.index is None else as_index(contents.index(), str(file))
    if not isinstance(ids, str | Path):
        return as_index(ids, "ids")
    return as_index(find_labels(ids, contents.labels, _columns_of, file), f"{file}: {ids}")


def _beside(contents: Contents, file: Path) -> str:
    """A column or array that may hold ids, by its name or as text: all different."""
    for name in contents.labels:
        if called_as_ids(name) or name in contents.refused:
            ids = as_index(contents.labels[name](), f"{file}: {name}")
            if len(ids) > 1 and ids.is_unique:
                return f"{file}:{name}"
    return ""


def _counts(ids: Any) -> bool:
    import pandas as pd

    return isinstance(ids, pd.RangeIndex)


def read_labels(name: str) -> Any:
    """Labels of rows from a file: one a line, or a column of a file that has several (``a.csv:b``).

    Raises:
        DataError: there is no such file or column.

    """
    return as_index(find_labels(name, {}, _columns_of, Path(name)), name).to_numpy()


def _columns_of(name: str) -> dict[str, Callable[[], Any]] | None:
    """The columns of a file that may hold ids, or None where there is no such file."""
    try:
        other, chosen = _parted(name)
    except DataError:
        return None
    return _contents(other, chosen or None).labels


def _chosen(contents: Contents, chosen: str, file: Path) -> list[str]:
    if chosen:
        group = [name for name in contents.matrices if name.startswith(f"{chosen.strip('/')}/")]
        if (name := chosen.strip("/")) in contents.matrices:
            return [name]
        if group:
            return group
        if chosen in contents.refused:
            raise DataError(f"{file}:{chosen}: cannot be compared: {contents.refused[chosen]}.")
        if chosen in contents.labels:
            raise DataError(f"{file}:{chosen}: expected rows × units, got a single axis.")
        raise DataError(
            f"{file}: nothing in it is called {chosen!r}."
            + suggest(chosen, [name for name in contents.matrices if name] or ["(nothing by name)"])
        )
    if not contents.matrices:
        why = "; ".join(f"{name}: {reason}" for name, reason in contents.refused.items())
        raise DataError(
            f"{file}: holds no matrix of rows × units{f' ({why})' if why else ''}; one unit is a "
            "column, (n, 1)."
        )
    return list(contents.matrices)

"""Records: folders that are whole or not there, and that no damage goes unnoticed in.

A *record* is a folder of files with a ``manifest.json`` that holds the size and SHA-256 of each.
It is written beside its place and put into it after everything in it has reached the disk::

    write and fsync each file → manifest → fsync → fsync folder → rename → fsync parent

so a record that can be seen is whole, whatever was interrupted. Reading checks the hashes before
any parser sees the bytes: no loader notices damage by itself (a random changed bit goes unnoticed
by safetensors in 91 % of the cases and by npy in 94 %, as measured for this project).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors.torch import save

from stratigraph.durable import (
    TEMPORARY,
    Bytes,
    Output,
    exchange,
    find_leftovers,
    fresh_beside,
    make_folder,
    sha256,
    sync,
)
from stratigraph.errors import DataError, IntegrityError, StorageError
from stratigraph.records.contents import check_files
from stratigraph.records.files import FORMAT, check_format, read_json, sealed_json, storage

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = [
    "MANIFEST",
    "Files",
    "npy",
    "parquet",
    "put_record",
    "record_exists",
    "remove_leftovers",
    "remove_record",
    "unlisted",
    "verified",
    "write_record",
]

MANIFEST = "manifest.json"
OLD = f"{TEMPORARY}old-"  # a record moved aside, where two cannot trade places in one step


class Files:
    """The files of a record that is being written, each with its size and hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, dict[str, Any]] = {}
        self.needed = 0  # bytes of all of them so far, and of the one that did not fit

    def add(self, name: str, *parts: Bytes) -> None:
        """One file, of these bytes one after another."""
        self.needed += sum(memoryview(part).nbytes for part in parts)
        self._write(name, parts)

    def _write(self, name: str, parts: Iterable[Bytes]) -> None:
        def write(output: Output) -> None:
            for part in parts:
                output.write(part)

        self.write(name, write)

    def write(self, name: str, write: Callable[[Output], None]) -> None:
        """One file, of what ``write`` writes into it."""
        output = Output(self.folder / name)
        try:
            write(output)
            output.sync()
        finally:
            output.close()
        self.facts[name] = {"bytes": output.bytes, "sha256": output.sha256}

    def array(self, name: str, array: np.ndarray) -> None:
        """An array, as ``numpy.save`` would write it."""
        self.add(name, *npy(array))

    def bands(self, name: str, shape: tuple[int, ...], bands: Iterable[np.ndarray]) -> None:
        """An array of float64 that is never held as a whole: its rows, some at a time."""
        header = io.BytesIO()
        facts = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, facts)
        self.needed += len(header.getbuffer()) + 8 * math.prod(shape)
        self._write(name, itertools.chain([header.getbuffer()], map(_values, bands)))

    def table(self, name: str, table: pd.DataFrame) -> None:
        """A table, as Parquet."""
        self.add(name, parquet(table))

    def tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Named tensors, as safetensors."""
        self.add(name, save(tensors))


def _values(band: np.ndarray) -> Bytes:
    return np.ascontiguousarray(band, dtype="<f8").data


def npy(array: np.ndarray) -> tuple[Bytes, Bytes]:
    """An array as the bytes of a ``.npy`` file: its header, and its values without a copy."""
    plain = np.ascontiguousarray(array)
    header = io.BytesIO()
    facts = np.lib.format.header_data_from_array_1_0(plain)
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getbuffer(), plain.data


def parquet(table: pd.DataFrame, compression: Literal["snappy", "zstd"] = "snappy") -> bytes:
    """A table as the bytes of a Parquet file."""
    return table.to_parquet(None, index=False, compression=compression)


def write_record(
    directory: Path, fill: Callable[[Files], None], about: dict[str, Any] | None = None
) -> None:
    """Write the record ``directory`` with the files that ``fill`` adds.

    An existing record is replaced: it stands until the new one is whole on the disk, and the two
    trade places in one step. Where the file system knows no such step, the old one is moved aside
    first; if a kill comes between, `remove_leftovers` puts it back.

    Args:
        directory: where the record will stand.
        fill: adds the files.
        about: plain values to keep in the manifest; ``fill`` may still change them.

    Raises:
        StorageError: the disk would not take it; what stood there before still does.

    """

    def whole(files: Files) -> None:
        fill(files)
        manifest = {"format": FORMAT, "about": about or {}, "files": files.facts}
        files.add(MANIFEST, sealed_json(manifest))

    put_record(directory, whole)


def put_record(directory: Path, fill: Callable[[Files], None]) -> None:
    """As `write_record`, of files that ``fill`` adds with the manifest among them."""
    parent = directory.parent
    fresh = fresh_beside(directory)
    aside = parent / f"{OLD}{directory.name}"
    files = Files(fresh)
    with storage(directory, lambda: files.needed):
        _check_ours(directory)
        make_folder(parent)
        try:
            fresh.mkdir()
            fill(files)
            sync(fresh)
            if not directory.exists():
                fresh.rename(directory)
            elif not exchange(fresh, directory):
                shutil.rmtree(aside, ignore_errors=True)
                directory.rename(aside)
                fresh.rename(directory)
            sync(parent)
        finally:
            # Half of a new record, or all of an old one.
            for path in (fresh, aside):
                if directory.exists() or path == fresh:
                    shutil.rmtree(path, ignore_errors=True)


def unlisted(directory: Path) -> list[str]:
    """What a folder holds that is not of the record in it; all, where there is no record."""
    listed = set()
    if record_exists(directory):
        with contextlib.suppress(IntegrityError):  # damaged, but ours
            listed = {MANIFEST, *read_json(directory / MANIFEST)["files"]}
        listed = listed or {entry.name for entry in directory.iterdir()}
    return sorted(entry.name for entry in directory.iterdir() if entry.name not in listed)


def _check_ours(directory: Path) -> None:
    """Refuse to replace what somebody else put there.

    Raises:
        StorageError: the place is a file, a link, or a folder that holds what no record of ours
            lists.

    """
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise StorageError(f"{directory}: expected a folder of ours, or none; move it away.")
    strange = unlisted(directory) if directory.is_dir() else []
    if strange:
        raise StorageError(
            f"{directory}: holds {strange[0]}, which is not ours and would be lost; move it away."
        )


def record_exists(directory: Path) -> bool:
    """Whether the record stands: it is whole if it does, though perhaps damaged since."""
    return (directory / MANIFEST).is_file()


def verified(directory: Path) -> dict[str, Any]:
    """Check every file of a record against its manifest; return what the manifest is ``about``.

    Raises:
        DataError: there is no such record.
        ConfigError: it was written by a newer version.
        IntegrityError: a file is missing, its bytes are not those that were written, or they are
            not what such a record holds (`stratigraph.records.forms`).

    """
    path = directory / MANIFEST
    if not path.is_file():
        raise DataError(f"{directory}: there is no record here ({MANIFEST} is missing).")
    seen = path.stat().st_ino
    try:
        return _verify(directory, read_json(path))
    except IntegrityError:
        if path.is_file() and path.stat().st_ino != seen:
            return verified(directory)  # a writer replaced the record while it was being read
        raise


def _verify(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    check_format(manifest["format"], directory / MANIFEST)
    for name, facts in manifest["files"].items():
        file = directory / name
        if Path(name).name != name or "\0" in name or file.is_symlink():
            raise IntegrityError(f"{file}: not a file in its record's folder; nothing is read.")
        if not file.is_file():
            raise IntegrityError(
                f"{file}: missing, though its manifest lists it; `stratigraph verify STUDY "
                "--repair` makes it again."
            )
        found = sha256(file)
        if found != facts["sha256"]:
            raise IntegrityError(
                f"{file}: damaged; expected SHA-256 {facts['sha256']}, found {found}. "
                "`stratigraph verify STUDY --repair` makes it again."
            )
    check_files(directory, list(manifest["files"]))
    about: dict[str, Any] = manifest["about"]
    return about


def remove_record(directory: Path) -> None:
    """Remove a folder, if it is there: it loses its name first, so that no part is seen alone.

    Raises:
        StorageError: it is a link, or the disk would not let it go.

    """
    if directory.is_symlink():
        raise StorageError(f"{directory}: a link, which is never removed here; remove it yourself.")
    aside = fresh_beside(directory)
    with storage(directory), contextlib.suppress(FileNotFoundError):
        directory.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(*directories: Path, of: str = "*") -> None:
    """Remove what interrupted writes left in folders; the locks of their writers must be held.

    Args:
        directories: where.
        of: of the records and files of this name only.

    """
    for directory in directories:
        for path in find_leftovers(directory, of):
            place = directory / path.name.removeprefix(OLD)
            if path.name.startswith(OLD) and not place.exists():
                path.rename(place)  # killed between the two renames of `write_record`
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

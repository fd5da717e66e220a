"""Weights that others wrote: safetensors, or torch's own files read as data and nothing else.

A pickle runs code when it is opened. A torch file is therefore read with ``weights_only``, and
there is no fallback: what that refuses is refused. Sizes that a file declares are compared with the
size that it has before anything is allocated for them.
"""

from __future__ import annotations

import pickletools
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.file_kinds import recognise
from stratigraph.records.shards import read_folder
from stratigraph.records.snapshot import load_tensors

__all__ = ["read_contents", "read_weights"]

# Under which a file keeps the network's state dict, beside the optimiser's and others.
KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
HEADER_LIMIT = 100_000_000  # bytes, as safetensors' own
CONVERT = (
    "If you trust it, convert it where it was made: "
    "`safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."
)


def read_weights(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """The named tensors of a file that somebody else wrote, on the CPU.

    Args:
        path: a ``.safetensors`` file, or one that ``torch.save`` wrote of a state dict (also as the
            value of a key of `KEYS`), in the zip format that torch has written since 1.6; or the
            folder of a checkpoint (`stratigraph.records.shards`).
        key: under which a torch file keeps it.

    Raises:
        DataError: it is missing, empty, damaged, or holds no weights, or several sets of them.
        UnsafeFileError: opening it would run code, or take far more memory than the file is long.

    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path, lambda file: _weights_in(read_contents(file), file, key))
    return _weights_in(read_contents(path), path, key)


def read_contents(path: Path, *, mapped: bool = False) -> Any:
    """What a file of weights holds: a mapping, as a rule, of tensors or of what holds them.

    Args:
        path: as of `read_weights`.
        mapped: leave a torch file's numbers on the disk until they are used; it must not change.

    Raises:
        DataError, UnsafeFileError: as `read_weights`.

    """
    if path.is_dir() or not path.exists():
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; expected weights (.safetensors, or a torch file).")
    size = path.stat().st_size
    if not size:
        raise DataError(f"{path}: empty (0 bytes); expected weights.")
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if start[:4] == b"PK\x03\x04":
        return _read_torch(path, size, mapped)
    if len(start) >= 9 and start[8:9] == b"{":
        (header,) = struct.unpack("<Q", start[:8])
        if header > min(size - 8, HEADER_LIMIT):
            raise DataError(
                f"{path}: its safetensors header claims {header:,} bytes of a file of {size:,}; it "
                "is cut or damaged."
            )
        return load_tensors(path)
    if start[:1] == b"\x80":
        raise UnsafeFileError(
            f"{path}: a bare pickle, which would run code when opened; it is not read. {CONVERT}"
        )
    what = recognise(path) or f"it begins with {start!r}"
    raise DataError(f"{path}: neither safetensors nor a torch file: {what}.")


def _read_torch(path: Path, size: int, mapped: bool) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            whole = sum(member.file_size for member in members)
            if packed or whole > size:
                raise UnsafeFileError(
                    f"{path}: {size:,} bytes that unpack to {whole:,}; torch's own files are not "
                    f"compressed, so this is not one. {CONVERT}"
                )
            program = [m for m in members if m.filename.endswith("data.pkl")]
            if len(program) != 1:
                raise DataError(f"{path}: a zip archive without torch's data.pkl; not weights.")
            _check_program(archive.read(program[0]), size, path)
        value = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (DataError, UnsafeFileError):
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole torch file ({error}).") from None
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        kind = DataError if isinstance(error, RuntimeError | KeyError) else UnsafeFileError
        raise kind(f"{path}: not readable as plain weights ({first}). {CONVERT}") from None
    return value


def _check_program(program: bytes, size: int, path: Path) -> None:
    """Look through a pickle without running it for what would take more memory than it has.

    A storage is named by a tuple whose last number is its length, just before BINPERSID; and
    ``bytearray``, which `weights_only` lets pass, takes as many bytes as it is told to.

    Raises:
        UnsafeFileError: it holds such a thing.

    """
    length = 0
    for code, argument, _ in pickletools.genops(program):
        if isinstance(argument, int) and ("INT" in code.name or code.name.startswith("LONG")):
            length = length if "LONG_BIN" in code.name else argument
        elif code.name == "BINPERSID" and not 0 <= length <= size:
            raise UnsafeFileError(
                f"{path}: declares {length:,} elements in a file of {size:,} bytes; it is not "
                f"read. {CONVERT}"
            )
        elif isinstance(argument, str) and argument.split()[-1:] == ["bytearray"]:
            raise UnsafeFileError(f"{path}: makes a bytearray, which weights are not. {CONVERT}")


def _weights_in(value: Any, path: Path, key: str | None = None) -> dict[str, Tensor]:
    """The state dict in what a file of weights holds.

    Raises:
        DataError: there is none, or there are several and no key says which.

    """
    held = value
    if isinstance(value, Mapping):
        sets = [str(name) for name, one in value.items() if _is_state(one)]
        if key is not None:
            if key not in value:
                told = ", ".join(sets) or "no set of tensors"
                raise DataError(f"{path}: has no key {key!r}; under its keys are {told}.")
            held = value[key]
        elif not _is_state(value):
            known = [name for name in KEYS if name in sets] or sets
            if len(known) > 1:
                raise DataError(
                    f"{path}: holds several sets of weights: {', '.join(sets)}. Say which with "
                    "key=."
                )
            held = value[known[0]] if known else value.get("state_dict", value)
    if not isinstance(held, Mapping):
        raise DataError(
            f"{path}: holds a {type(held).__name__}; expected a state dict, names → tensors."
        )
    for name, tensor in held.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise DataError(
                f"{path}: {name!r} is a {type(tensor).__name__}, not a tensor; save "
                "`model.state_dict()` alone, or under the key `state_dict`."
            )
    if not held:
        raise DataError(f"{path}: holds no tensors; expected a state dict, names → tensors.")
    return dict(held)


def _is_state(value: Any) -> bool:
    """Whether it is names → tensors, at least one."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )

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
from torch import Tensor, nn

from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.records.snapshot import load_tensors

__all__ = ["load_weights", "read_weights"]

MOST_TOLD = 10
HEADER_LIMIT = 100_000_000  # bytes, as safetensors' own
CONVERT = (
    "If you trust it, convert it where it was made: "
    "`safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`."
)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The named tensors of a file that somebody else wrote, on the CPU.

    Args:
        path: a ``.safetensors`` file, or one that ``torch.save`` wrote of a state dict (also as the
            value of its key ``state_dict``), in the zip format that torch has written since 1.6.

    Raises:
        DataError: it is missing, a folder, empty, or damaged.
        UnsafeFileError: opening it would run code, or take far more memory than the file is long.

    """
    path = Path(path)
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
        return _read_torch(path, size)
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
            f"{path}: a bare pickle, which runs code when it is opened; it is not read. {CONVERT}"
        )
    raise DataError(f"{path}: neither safetensors nor a torch file; it begins with {start!r}.")


def _read_torch(path: Path, size: int) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            whole = sum(member.file_size for member in members)
            if packed or whole > size:
                raise UnsafeFileError(
                    f"{path}: {size:,} bytes that unpack to {whole:,}; torch's own files are not "
                    f"packed, so this is not one. {CONVERT}"
                )
            program = [m for m in members if m.filename.endswith("data.pkl")]
            if len(program) != 1:
                raise DataError(f"{path}: a zip archive without torch's data.pkl; not weights.")
            _check_program(archive.read(program[0]), size, path)
        value = torch.load(path, map_location="cpu", weights_only=True)
    except (DataError, UnsafeFileError):
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole torch file ({error}).") from None
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        kind = DataError if isinstance(error, RuntimeError | KeyError) else UnsafeFileError
        raise kind(f"{path}: not readable as plain weights ({first}). {CONVERT}") from None
    return _state_dict(value, path)


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


def _state_dict(value: Any, path: Path) -> dict[str, Tensor]:
    held = value.get("state_dict", value) if isinstance(value, Mapping) else value
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
    return dict(held)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Put the weights of a file that somebody else wrote into ``model``; all of them fit, or none.

    Raises:
        DataError: see `read_weights`; or names are missing, too many or of another shape (the first
            ten are named); or a tensor holds NaN or infinities.
        UnsafeFileError: see `read_weights`.

    """
    given = read_weights(path)
    wanted = model.state_dict()
    wrong = [f"{name} is missing" for name in wanted if name not in given]
    wrong += [f"{name} is not in the model" for name in given if name not in wanted]
    wrong += [
        f"{name} is {tuple(given[name].shape)}, the model's {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if wrong:
        more = f"; and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        raise DataError(
            f"{path}: does not fit {type(model).__name__}: {'; '.join(wrong[:MOST_TOLD])}{more}."
        )
    for name, tensor in given.items():
        like = wanted[name].dtype
        if (tensor.is_floating_point(), tensor.is_complex()) != (
            like.is_floating_point,
            like.is_complex,
        ):
            raise DataError(f"{path}: {name} is {tensor.dtype}, the model's {like}.")
        given[name] = tensor = tensor.to(like)  # as it will be: 1e300 is finite in float64 alone
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise DataError(
                f"{path}: {name} holds {bad} values that are NaN or infinite; such a network "
                "represents nothing. Take a checkpoint from before it diverged."
            )
    model.load_state_dict(given)

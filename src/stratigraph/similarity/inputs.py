"""What a caller may hand over, made into one thing: a finite real matrix ``(n, p)``.

Arrays, tensors, data frames and nested lists become a torch tensor of float32 or float64 without a
copy where that is possible; axes beyond the second are flattened. Everything else is refused with
the reason, before any arithmetic: one infinity can hang a LAPACK routine for ever.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import called_as_ids, join_rows

__all__ = [
    "IN_PARTS",
    "MEMORY",
    "as_array",
    "as_matrices",
    "as_matrix",
    "check_finite",
    "check_probes",
    "describe_holes",
    "is_large",
    "join_sides",
    "nonfinite",
    "only",
    "read_in_parts",
]


MEMORY = 2 << 30  # bytes that representations on a disk may take, unless a caller says otherwise
IN_PARTS = ("debiased_cka", "linear_cka")  # measures that can be computed in less
COPIES = 4  # of a representation that is held: as stored, as float64, centred, prepared


def read_in_parts(value: Any) -> bool:
    """Whether a value is read in parts, as one on a disk is, rather than being there."""
    return callable(getattr(value, "read", None)) and hasattr(value, "nbytes")


def is_large(values: Iterable[Any], memory: int) -> bool:
    """Whether those that are read in parts would take more than ``memory``, held and compared."""
    return COPIES * sum(value.nbytes for value in values if read_in_parts(value)) > memory


def as_matrix(value: Any, name: str = "x") -> Tensor:
    """``value`` as a real tensor ``(n, p)``, float32 or float64, on its device (MPS: the CPU).

    Integers, booleans and float64 become float64; float16, bfloat16 and float32 become float32.
    Values are not looked at: see `check_finite`.

    Raises:
        InputError: the type, the dtype or the shape cannot be a representation.

    """
    value = only(value, name)
    tensor = _checked(value, name) if isinstance(value, Tensor) else _from_array(value, name)
    if tensor.ndim < 2:
        kind = "a scalar" if tensor.ndim == 0 else f"a vector of shape {tuple(tensor.shape)}"
        raise InputError(
            f"{name}: expected a matrix of probes × units, got {kind}; "
            "one unit is a column, of shape (n, 1)."
        )
    if 0 in tensor.shape:
        what = "probes" if tensor.shape[0] == 0 else "units"
        raise InputError(f"{name}: expected at least one of each, got no {what}: {_shape(tensor)}.")
    return tensor.flatten(1) if tensor.ndim > 2 else tensor


def as_array(matrix: Tensor) -> Any:
    """A matrix as numpy's on the CPU, whose BLAS is shared out by `threads`; else as it is."""
    return matrix.numpy() if matrix.device.type == "cpu" else matrix


def only(value: Any, name: str) -> Any:
    """A value; of a mapping the one that it holds.

    Raises:
        InputError: it holds several, or none.

    """
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        some = ", ".join(repr(key) for key in list(value)[:3])
        raise InputError(
            f"{name}: expected one representation, got a mapping of {len(value)} ({some}, …); "
            "take one of them, or compare all with similarity_matrix."
        )
    return next(iter(value.values()))


def join_sides(sides: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mappings of representations, rows joined on their labels where they have some (`labels`).

    Args:
        sides: argument → its mapping of names to activations, as the caller named them.

    Raises:
        InputError: no mapping, an empty one, or labels that do not fit each other.

    """
    for argument, given in sides.items():
        if not isinstance(given, Mapping):
            raise InputError(
                f"{argument}: expected a mapping from names to activations, "
                f"got a {type(given).__name__}; for one pair, call debiased_cka(x, y)."
            )
        if not given:
            raise InputError(
                f"{argument}: expected at least one representation, got an empty mapping."
            )
    joined = join_rows(
        {f"{arg}[{name!r}]": value for arg, given in sides.items() for name, value in given.items()}
    )
    return [
        {name: joined[f"{argument}[{name!r}]"] for name in given}
        for argument, given in sides.items()
    ]


def as_matrices(
    sides: Mapping[str, Mapping[str, Any]], measure: str, least: int, finite: bool = False
) -> tuple[list[dict[str, Tensor]], int]:
    """Finite matrices of the same probes, by name, and how many probes there are.

    Rows that have labels are joined on them.

    Args:
        sides: argument → its mapping of names to activations, as the caller named them.
        measure: what they are compared by, and
        least: the fewest probes that it needs.
        finite: they were looked at, and are.

    Raises:
        InputError: an entry cannot be compared; the message names it.

    """
    found: list[dict[str, Tensor]] = []
    first, n = "", 0
    for argument, given in zip(sides, join_sides(sides), strict=True):
        matrices = {}
        for name, value in given.items():
            label = f"{argument}[{name!r}]"
            matrices[name] = as_matrix(value, label)
            if not finite:
                check_finite(matrices[name], label)
            if not first:
                first, n = label, len(matrices[name])
                check_probes(n, least, measure, label)
            elif len(matrices[name]) != n:
                raise InputError(
                    f"{label}: expected the same {n} probes as {first}, "
                    f"got {len(matrices[name])} rows."
                )
        found.append(matrices)
    return found, n


def check_probes(n: int, least: int, measure: str, name: str = "x") -> None:
    """Refuse fewer probes than a measure needs."""
    if n < least:
        raise InputError(f"{name}: {measure} needs at least {least} probes (rows), got {n}.")


def nonfinite(matrix: Tensor) -> str | None:
    """How many entries are NaN or infinite and where the first stands, or None."""
    values = as_array(matrix)  # on the CPU numpy's: after threads of torch's, a fork hangs
    if math.isfinite(values.min()) and math.isfinite(values.max()):
        return None
    bad = ~torch.isfinite(matrix)
    flat = int(bad.flatten().to(torch.uint8).argmax())
    row, column = divmod(flat, matrix.shape[1])
    return describe_holes(int(bad.sum()), matrix.numel(), float(matrix[row, column]), row, column)


def describe_holes(count: int, size: int, first: float, row: int, column: int) -> str:
    """So many of ``size`` values that are not finite, and where the first of them is, in words."""
    return (
        f"{count} of {size} values are not finite, the first ({first}) at probe {row}, unit "
        f"{column}"
    )


def check_finite(matrix: Tensor, name: str = "x") -> None:
    """Refuse NaN and infinities, saying how many and where the first is."""
    found = nonfinite(matrix)
    if found:
        raise InputError(f"{name}: expected finite values, but {found}. Drop or repair them first.")


def _checked(tensor: Tensor, name: str) -> Tensor:
    if tensor.is_meta:
        raise InputError(f"{name}: a meta tensor holds no values; materialise it first.")
    if tensor.is_quantized:
        raise InputError(f"{name}: a quantised tensor cannot be compared; call dequantize() first.")
    if tensor.layout is not torch.strided:
        raise InputError(f"{name}: a sparse tensor cannot be compared; call to_dense() first.")
    if tensor.is_complex():
        raise InputError(
            f"{name}: expected real numbers, got {tensor.dtype}; "
            "stack real and imaginary parts as units."
        )
    tensor = tensor.detach()
    if tensor.device.type == "mps":
        tensor = tensor.cpu()  # Apple's GPU has no float64, and shares its memory with the CPU
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def _from_array(value: Any, name: str) -> Tensor:
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"{name}: a masked array has holes; fill them or drop the probes that have any."
        )
    if hasattr(value, "tocsr"):
        raise InputError(f"{name}: a sparse matrix cannot be compared; call toarray() first.")
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        _check_columns(value, name)
        value = _plain_numbers(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"{name}: expected rows of equal length, got a ragged {type(value).__name__}."
        ) from error
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{name}: expected real numbers, got dtype {array.dtype} "
            f"from a {type(value).__name__}; convert it to float first."
        )
    wanted = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    array = np.ascontiguousarray(array.astype(wanted, copy=False)) if array.ndim else array
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        # torch warns that a read-only array could be written through the tensor: we never write.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(array)


def _check_columns(frame: Any, name: str) -> None:
    for column, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if getattr(dtype, "kind", "O") not in "fiub":
            raise InputError(
                f"{name}: expected numbers in every column, but column {column!r} holds {dtype}; "
                "if it holds ids, make it the index."
            )
        if called_as_ids(column):
            raise InputError(
                f"{name}: column {column!r} of numbers has a name that ids usually have, and "
                "would count as a unit; make it the index, or leave it out."
            )


def _plain_numbers(frame: Any, name: str) -> Any:
    """A frame's numbers (n, p), where pandas or Arrow keeps some with a sign for missing ones.

    Raises:
        InputError: some are missing.

    """
    nullable = np.array([hasattr(dtype, "na_value") for dtype in frame.dtypes])
    if not nullable.any():
        return frame
    missing = frame.isna().to_numpy() & nullable
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        raise InputError(
            f"{name}: {int(missing.sum())} of its {missing.size} values are missing, the first in "
            f"column {frame.columns[column]!r} of row {frame.index[row]!r}. Drop or fill them "
            "first."
        )
    kinds = [getattr(dtype, "numpy_dtype", None) for dtype in frame.dtypes]
    single = all(kind is not None and kind.kind == "f" and kind.itemsize < 8 for kind in kinds)
    return frame.to_numpy(np.float32 if single else np.float64)


def _shape(tensor: Tensor) -> str:
    return "shape " + str(tuple(tensor.shape))

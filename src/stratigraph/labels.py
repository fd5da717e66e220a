"""Rows that carry labels are joined on them; position counts only where there are none.

The labels of a data frame are its index, those of an xarray array the coordinate of its first
dimension (or the first coordinate along it that tells all rows apart), and those of anything else
that has some its ``ids``, one for each row. All that are compared have to hold the same ones, each
once, and are put into the order of the first.

What lies ``beside`` the numbers in a file and looks like ids, but was not said to be any, is not
passed over: such files are not paired by position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stratigraph.errors import InputError

__all__ = ["called_as_ids", "find_ids", "join_rows"]

SOME = 3  # labels that a message names
IDS = re.compile(r"(^|[_\s./])(ids?|idx|index|keys?|uuids?|barcodes?)$", re.IGNORECASE)


def called_as_ids(name: Any) -> bool:
    """Whether a column has a name that ids have, such as ``sample_id``."""
    return isinstance(name, str) and IDS.search(name) is not None


def find_ids(value: Any) -> Any | None:
    """The labels of the rows of a value as a pandas index, or None where it has none."""
    if hasattr(value, "iloc") and hasattr(value, "index"):
        return value.index
    if hasattr(value, "dims") and hasattr(value, "indexes"):
        return _of_rows(value) if value.dims else None
    return getattr(value, "ids", None)


def join_rows(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values with their rows in the order of the first that has labels.

    Args:
        values: what each is called in an error → a matrix, frame or array of the same rows.

    Raises:
        InputError: labels are missing or twice in one, differ between two, or have another order
            than rows beside them that carry none.

    """
    labelled = {name: ids for name, value in values.items() if (ids := find_ids(value)) is not None}
    _check_beside(values, labelled)
    _check_dimensions(values)
    if len(labelled) < 2:
        return dict(values)
    for name, ids in labelled.items():
        _check_each_once(name, ids)
    (first, order), *others = labelled.items()
    joined = dict(values)
    for name, ids in others:
        if len(ids) == len(order) and ids.equals(order):
            continue
        places = ids.get_indexer(order)
        if len(ids) != len(order) or (places < 0).any():
            raise InputError(_difference(first, order, name, ids))
        plain = next((other for other in values if other not in labelled), None)
        if plain is not None:
            raise InputError(
                f"{plain}: it has no ids, and those of {first} and {name} come in different "
                f"orders, so nothing says which its rows follow; give {plain} ids too, or put "
                "the others in one order."
            )
        joined[name] = _take(values[name], places)
    return joined


def _of_rows(array: Any) -> Any | None:
    """The labels along an xarray array's first dimension."""
    import pandas as pd

    rows = array.dims[0]
    if rows in array.indexes:
        return array.indexes[rows]
    along = (pd.Index(c.values) for c in array.coords.values() if c.dims == (rows,))
    return next((ids for ids in along if ids.is_unique and not ids.hasnans), None)


def _check_beside(values: Mapping[str, Any], labelled: Mapping[str, Any]) -> None:
    """Refuse rows by position where what lies beside them says, perhaps, what they are."""
    beside = {name: held for name, one in values.items() if (held := getattr(one, "beside", ""))}
    if beside and len({*beside.values(), *labelled}) > 1:  # of one file, rows are the same
        name, held = next(iter(beside.items()))
        raise InputError(
            f"{name}: {held} may hold the ids of its rows, and the other side has ids too; name "
            "them (ids=, --ids) or, if rows already correspond, give arrays without ids."
        )


def _take(value: Any, places: Any) -> Any:
    if hasattr(value, "iloc"):
        return value.iloc[places]
    if hasattr(value, "isel"):
        return value.isel({value.dims[0]: places})
    return value.in_order(places)


def _check_dimensions(values: Mapping[str, Any]) -> None:
    """Refuse an xarray array whose rows are called what another calls an axis of units."""
    named = {name: value.dims for name, value in values.items() if hasattr(value, "dims")}
    for name, dims in named.items():
        for other, theirs in named.items():
            if dims[0] != theirs[0] and dims[0] in theirs[1:]:
                raise InputError(
                    f"{name} and {other}: expected the same first dimension, got {dims} and "
                    f"{theirs}; call {other}.transpose({str(dims[0])!r}, ...)."
                )


def _check_each_once(name: str, ids: Any) -> None:
    if ids.nlevels == 1 and ids.hasnans:
        raise InputError(f"{name}: {int(ids.isna().sum())} of its {len(ids)} ids are missing.")
    if not ids.is_unique:
        twice = ids[ids.duplicated()].unique()
        raise InputError(
            f"{name}: {len(twice)} of its ids occur more than once ({_some(twice)}), so rows "
            "cannot be joined on them; drop or average those rows or, if all rows already "
            "correspond, give arrays without ids."
        )


def _difference(first: str, order: Any, name: str, ids: Any) -> str:
    here, there = order.difference(ids, sort=False), ids.difference(order, sort=False)
    told = [
        f"{len(missing)} of {whose} are not in {other} ({_some(missing)})"
        for missing, whose, other in ((here, first, name), (there, name, first))
        if len(missing)
    ]
    kinds = {str(order.dtype), str(ids.dtype)}
    hint = (
        f" They are {order.dtype} and {ids.dtype}: is one of them text?" if len(kinds) > 1 else ""
    )
    return (
        f"{first} and {name}: expected the same ids, but {' and '.join(told)}.{hint} Take the rows "
        "that both have, or, if rows correspond as they stand, give arrays without ids."
    )


def _some(ids: Any) -> str:
    named = ", ".join(repr(one) for one in ids[:SOME].tolist())
    return named + (", …" if len(ids) > SOME else "")

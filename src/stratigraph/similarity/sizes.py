"""Sizes of memory: bytes, or words such as "2 GB"."""

from __future__ import annotations

import re

from stratigraph.errors import InputError
from stratigraph.values import is_whole

__all__ = ["in_bytes", "in_words"]

PREFIXES = ("", "K", "M", "G", "T")
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", re.IGNORECASE)


def in_bytes(size: int | str, name: str = "memory") -> int:
    """A number of bytes, given as one or in words; a KB is 1,024 bytes.

    >>> in_bytes("100 MB")
    104857600

    Raises:
        InputError: it is no size.

    """
    if isinstance(size, str) and (found := SIZE.fullmatch(size)):
        size = round(float(found[1]) * 1024 ** PREFIXES.index(found[2].upper()))
    if not is_whole(size) or size < 1:
        raise InputError(
            f'{name}: expected a number of bytes, or words such as "2 GB"; got {size!r}.'
        )
    return size


def in_words(count: float) -> str:
    """A number of bytes as people say it."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} GB"

"""How a check fails: in words, and under ``python -O`` too, which leaves ``assert`` out."""

from __future__ import annotations

__all__ = ["require"]


def require(holds: object, text: str) -> None:
    """Raise an AssertionError with this text unless the promise holds."""
    if not holds:
        raise AssertionError(text)

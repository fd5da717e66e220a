"""What this machine has: memory, and cores."""

from __future__ import annotations

import os

__all__ = ["count_cores", "physical_memory"]


def physical_memory() -> int | None:
    """Bytes of this machine's memory; None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

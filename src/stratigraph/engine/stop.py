"""Ctrl-C: what runs is asked to stop where all that it did is kept; the second time it is ended.

A task that takes long looks at `stopping` between its steps. SIGTERM, by which schedulers and
containers announce an end, means the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ask_to_stop", "listening", "stopping"]

_asked = threading.Event()
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAID = b"\nstopping after the current step, with everything saved; once more ends it at once\n"


def stopping() -> bool:
    """Whether tasks in this process have been asked to stop."""
    return _asked.is_set()


def ask_to_stop(number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
    """Ask the tasks of this process to stop; a signal handler, and a plain function."""
    _asked.set()


@contextmanager
def listening() -> Iterator[None]:
    """Within, a first signal asks tasks to stop and a second raises; then KeyboardInterrupt.

    Outside of the main thread, where Python delivers no signals, nothing is changed.

    Raises:
        KeyboardInterrupt: a signal came.

    """
    if threading.current_thread() is not threading.main_thread() or _listens():
        yield
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if _asked.is_set():
            raise KeyboardInterrupt
        _asked.set()
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, SAID)

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield
        if _asked.is_set():
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def _listens() -> bool:
    return getattr(signal.getsignal(signal.SIGINT), "__qualname__", "").startswith("listening")

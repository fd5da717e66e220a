"""Ctrl-C: what runs is asked to stop where all that it did is kept; the second time it is ended.

A task that takes long looks at `stopping` between its steps. SIGTERM, by which schedulers and
containers announce an end, means the same, and so does SIGHUP, of a terminal that is closed, but
where it was to be ignored (``nohup``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["SIGNALS", "ask_to_stop", "listening", "stopping", "withdraw"]

_asked = threading.Event()
_listens = threading.Event()
SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),  # Windows has none
)
SAID = b"\nstopping after the current step, with everything saved; once more ends it at once\n"


def stopping() -> bool:
    """Whether tasks in this process have been asked to stop."""
    return _asked.is_set()


def ask_to_stop(number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
    """Ask the tasks of this process to stop; a signal handler, and a plain function."""
    _asked.set()


def withdraw() -> None:
    """Take it back: what follows in this process runs."""
    _asked.clear()


def _heeded() -> list[signal.Signals]:
    """The signals that are listened to: of `SIGNALS` all but a SIGHUP that is to be ignored."""
    return [
        number
        for number in SIGNALS
        if number in (signal.SIGINT, signal.SIGTERM)
        or signal.getsignal(number) is not signal.SIG_IGN
    ]


@contextmanager
def listening() -> Iterator[None]:
    """Within, a first signal asks tasks to stop and a second raises; then KeyboardInterrupt.

    Outside of the main thread, where Python delivers no signals, nothing is changed.

    Raises:
        KeyboardInterrupt: a signal came.

    """
    if threading.current_thread() is not threading.main_thread():
        yield
        if _asked.is_set():
            raise KeyboardInterrupt
        return
    if _listens.is_set():
        yield  # whoever listens further out raises
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if _asked.is_set():
            if number not in (signal.SIGINT, signal.SIGTERM):
                return  # a closed terminal is told by the kernel and by the shell, for one close
            raise KeyboardInterrupt
        _asked.set()
        if sys.__stderr__ is not None:
            with contextlib.suppress(OSError, ValueError):  # whoever read it may be gone
                os.write(sys.__stderr__.fileno(), SAID)

    before = {number: signal.signal(number, hear) for number in _heeded()}
    _listens.set()
    try:
        yield
        if _asked.is_set():
            raise KeyboardInterrupt
    finally:
        _listens.clear()
        for number, handler in before.items():
            # None: it was not installed from Python, and cannot be put back from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _asked.clear()

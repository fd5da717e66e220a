"""What a task says while it runs: small facts, from wherever it is to whoever mapped it.

Words are for people who watch. The latest counts, one that is lost is missed by nobody, and no task
waits for its words to be taken: between the processes of one machine each is a datagram, which is
whole or not there, and which a killed process cannot leave half-way; on Ray a call that nobody
waits for. They are plain JSON values.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Hear", "Mailbox", "post_to", "speaking", "tell"]

Hear: TypeAlias = Callable[[int, dict[str, Any]], None]
MOST_BYTES = 4096

_speak: Callable[[dict[str, Any]], None] | None = None


def tell(facts: dict[str, Any]) -> None:
    """Say something about the task that runs in this process, to whoever listens, if anybody."""
    if _speak is not None:
        _speak(facts)


@contextmanager
def speaking(speak: Callable[[dict[str, Any]], None] | None) -> Iterator[None]:
    """Within, what the task of this process tells goes to ``speak``."""
    global _speak  # noqa: PLW0603 - a process runs one task at a time
    before, _speak = _speak, speak
    try:
        yield
    finally:
        _speak = before


class Mailbox:
    """Where the words of this machine's other processes arrive; ``address`` is None if nowhere."""

    def __init__(self) -> None:
        self.address: str | None = None
        self._folder: str | None = None
        self._socket: socket.socket | None = None
        # A system without such sockets, with a long temporary path, or with no room for one shows
        # less; nothing else.
        with contextlib.suppress(OSError, AttributeError):
            self._folder = tempfile.mkdtemp(prefix="stratigraph-")  # nobody else's: mode 0700
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket = opened
            opened.setblocking(False)
            address = str(Path(self._folder, "words"))
            opened.bind(address)
            self.address = address

    def read(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Everything that has arrived: (number of the task, facts)."""
        while self._socket is not None and self.address is not None:
            try:
                index, facts = json.loads(self._socket.recv(MOST_BYTES))
            except BlockingIOError:
                return
            except (OSError, ValueError, TypeError):
                continue  # not a word of ours
            yield index, facts

    def close(self) -> None:
        """Take no more."""
        if self._socket is not None:
            self._socket.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def post_to(address: str | None, index: int) -> Callable[[dict[str, Any]], None] | None:
    """A way to speak of task number ``index`` to the mailbox at an address."""
    if address is None:
        return None
    mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mouth.setblocking(False)

    def speak(facts: dict[str, Any]) -> None:
        word = json.dumps([index, facts]).encode()
        if len(word) <= MOST_BYTES:
            with contextlib.suppress(OSError):  # full, or gone: the next one will do
                mouth.sendto(word, os.fspath(address))

    return speak

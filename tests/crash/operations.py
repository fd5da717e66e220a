"""Every operation on a study's files, counted; and killed, refused or recorded.

Installed in a process that the test owns: it wraps the functions of `os` that
`stratigraph.durable` and the standard library call. Only what happens under one folder counts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stratigraph import durable

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LOCK = ".lock"


@dataclass
class Operations:
    """What is done under ``root``: a log of (name, paths…) and what to do about it.

    ``kill_at``: the process is killed by SIGKILL instead of operation number so and so; a write
    has half of its bytes written first. ``refuse_at``: an OSError with ``code`` instead; from that
    operation on where ``lasting``.
    """

    root: Path
    kill_at: int | None = None
    refuse_at: int | None = None
    code: int = 0
    lasting: bool = False
    log: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # where in the log
    paths: dict[int, str] = field(default_factory=dict)

    def install(self) -> Operations:
        """Wrap the functions; there is no way back."""
        real = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "close", "rename", "replace", "link", "mkdir",
                         "unlink", "remove", "rmdir")
        }  # fmt: skip

        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            place = self._place(path, dir_fd)
            ours = place is not None and not place.endswith(LOCK)
            if ours and flags & WRITING:
                self._due("open", place)
            descriptor = real["open"](path, flags, mode, dir_fd=dir_fd)
            if ours:
                self.paths[descriptor] = place
            return descriptor

        def write(descriptor: int, data: Any) -> int:
            place = self.paths.get(descriptor)
            if place is None:
                return real["write"](descriptor, data)
            half = memoryview(data)[: len(data) // 2]
            self._due("write", place, bytes(data), half=lambda: real["write"](descriptor, half))
            return real["write"](descriptor, data)

        def fsync(descriptor: int) -> None:
            if descriptor in self.paths:
                self._due("fsync", self.paths[descriptor])
            real["fsync"](descriptor)

        def close(descriptor: int) -> None:
            self.paths.pop(descriptor, None)
            real["close"](descriptor)

        def two(name: str) -> Callable[..., None]:
            def moved(source: Any, target: Any, **more: Any) -> None:
                places = self._place(source), self._place(target)
                if places[0] is not None and os.path.lexists(source):
                    self._due("rename", *places)
                real[name](source, target, **more)

            return moved

        def one(name: str, told: str) -> Callable[..., None]:
            def done(path: Any, *rest: Any, dir_fd: int | None = None) -> None:
                place = self._place(path, dir_fd)
                if place is not None and not place.endswith(LOCK):
                    self._due(told, place)
                real[name](path, *rest, dir_fd=dir_fd)

            return done

        exchange = durable.exchange

        def exchanged(first: Path, second: Path) -> bool:
            self._due("exchange", self._place(first), self._place(second))
            return exchange(first, second)

        os.open, os.write, os.fsync, os.close = opened, write, fsync, close
        os.rename, os.replace, os.link = two("rename"), two("replace"), two("link")
        os.mkdir, os.rmdir = one("mkdir", "mkdir"), one("rmdir", "rmdir")
        os.unlink, os.remove = one("unlink", "unlink"), one("remove", "unlink")
        from stratigraph.records import store

        durable.exchange = store.exchange = exchanged
        return self

    def mark(self, what: str, *facts: Any) -> None:
        """Note in the log that something has been promised."""
        self.log.append(("mark", what, *facts))

    def _place(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The path under the root, or None."""
        if isinstance(path, int):
            return None
        place = Path(os.fsdecode(path))
        if dir_fd is not None:
            place = Path(f"/proc/self/fd/{dir_fd}").readlink() / place
        place = Path.cwd() / place  # not resolved: a link is a name like another
        return str(place.relative_to(self.root)) if place.is_relative_to(self.root) else None

    def _due(self, name: str, *facts: Any, half: Callable[[], Any] | None = None) -> None:
        number = sum(entry[0] != "mark" for entry in self.log)
        self.log.append((name, *facts))
        if number == self.kill_at:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        refused = self.refuse_at is not None and (
            number >= self.refuse_at if self.lasting else number == self.refuse_at
        )
        # A disk that is full takes no bytes and no names; it still removes, reads and flushes.
        if refused and (not self.lasting or name in ("open", "write", "mkdir", "rename")):
            if half is not None:
                half()
            self.refused.append(len(self.log) - 1)
            raise OSError(self.code, os.strerror(self.code), str(self.root / str(facts[0])))

"""What a disk may hold after the power went: a model of POSIX's promises, and no more.

A file's bytes are safe once it was flushed; a name (created, moved, removed) once its folder was.
Before that each may have reached the disk or not. `Disk` replays a log of operations and gives the
folders that could be found afterwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

DATA = ("dropped", "cut", "zeroed", "written")
NAMES = ("dropped", "kept")


class Node:
    """A file (bytes) or a folder (names); as it is now, and as it is surely on the disk."""

    def __init__(self, folder: bool) -> None:
        self.folder = folder
        self.data = b""
        self.safe: bytes | None = None
        self.names: dict[str, Node] = {}
        self.safe_names: dict[str, Node] = {}


class Disk:
    """The state of a folder, operation by operation."""

    def __init__(self, start: Path | None = None) -> None:
        self.root = self._taken(start) if start is not None else Node(True)

    def _taken(self, path: Path) -> Node:
        """A folder as it stands, all of it safe."""
        node = Node(path.is_dir())
        if not node.folder:
            node.data = node.safe = path.read_bytes()
            return node
        for entry in sorted(path.iterdir()):
            if not entry.name.endswith(".lock"):
                node.names[entry.name] = node.safe_names[entry.name] = self._taken(entry)
        return node

    def _at(self, place: str) -> Node:
        node = self.root
        for part in PurePosixPath(place).parts:
            node = node.names[part]
        return node

    def _parent(self, place: str) -> tuple[Node, str]:
        path = PurePosixPath(place)
        return self._at(str(path.parent)), path.name

    def apply(self, operation: tuple[Any, ...]) -> None:
        """One entry of the log."""
        name, *facts = operation
        if name == "write":
            self._at(facts[0]).data += facts[1]
        elif name == "fsync":
            node = self._at(facts[0])
            node.safe = node.data
            node.safe_names = dict(node.names)
        elif name in ("open", "mkdir"):
            if facts[0] == ".":
                return
            folder, last = self._parent(facts[0])
            folder.names.setdefault(last, Node(name == "mkdir"))
        elif name in ("rename", "exchange"):
            source, first = self._parent(facts[0])
            target, second = self._parent(facts[1])
            moved, other = source.names.pop(first), target.names.get(second)
            target.names[second] = moved
            if name == "exchange":
                source.names[first] = other
        elif name in ("unlink", "rmdir"):
            folder, last = self._parent(facts[0])
            folder.names.pop(last, None)

    def after_the_power_went(self) -> Iterator[tuple[str, dict[str, bytes | None]]]:
        """Folders that could be found: path → bytes, None for a folder; each with its name."""
        for names in NAMES:
            for data in DATA:
                found: dict[str, bytes | None] = {}
                self._collect(self.root, "", names, data, found)
                yield f"names {names}, data {data}", found

    def _collect(
        self, node: Node, place: str, names: str, data: str, found: dict[str, bytes | None]
    ) -> None:
        for name, child in (node.names if names == "kept" else node.safe_names).items():
            path = f"{place}{name}"
            if child.folder:
                found[path] = None
                self._collect(child, f"{path}/", names, data, found)
            elif child.safe == child.data or data == "written":
                found[path] = child.data
            elif data == "dropped":
                found[path] = child.safe or b""
            elif data == "cut":
                found[path] = child.data[: len(child.data) // 2]
            else:
                found[path] = bytes(len(child.data))


def put(found: dict[str, bytes | None], folder: Path) -> None:
    """Make a folder that holds what was found."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for place, content in found.items():
        path = folder / place
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

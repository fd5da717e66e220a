"""An inventory says which version of each record counts; they are numbered, the highest is true.

To publish is to *create* the inventory after the one that was read, which a store lets one process
do and refuses all others. A version bears the number of the inventory that it was put for, and an
inventory names nothing but what the one before it names, and versions of its own number::

    … 16: {snapshots/000000100: 00000012-9ab4…, checkpoint/000000130: 00000016-77e0…}
      17: {snapshots/000000100: 00000012-9ab4…, checkpoint/000000160: 00000017-c1d2…}
      17: …                        refused: 17 exists. Whoever would have put it reads 17 first

So what inventory n does not name, and bears a number up to n, no later one ever names: it can be
removed at any time by anybody, and nothing that counts is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from stratigraph.errors import StorageError
from stratigraph.records.files import check_format, sealed_json, unsealed_json
from stratigraph.remote.store import NoSuchObject, Store

__all__ = ["Inventory", "create_next", "read_newest", "read_object"]

FORMAT = 2  # 1 had a fencing token and a holder too, and the same names
KEPT = 3  # a reader of an older one finds it gone, and looks again
ATTEMPTS = 50


@dataclass(frozen=True)
class Inventory:
    """``entries``: place → version. ``by`` and ``time`` (its writer's clock) are for people."""

    number: int = 0
    entries: Mapping[str, str] = field(default_factory=dict)
    time: float = 0.0
    by: str = "nobody"


def read_object(store: Store, name: str) -> bytes:
    """An object's bytes.

    Raises:
        NoSuchObject: there is none of that name.

    """
    return b"".join(store.pieces(name))


def read_newest(store: Store, ledger: str) -> Inventory:
    """The highest inventory in a folder; an empty one where there is none.

    Raises:
        IntegrityError: it is damaged.
        ConfigError: a newer version wrote it.

    """
    for _ in range(ATTEMPTS):
        numbers = _numbers(store, ledger)
        if not numbers:
            return Inventory()
        with contextlib.suppress(NoSuchObject):  # followed by the next ones, meanwhile
            name = _name(ledger, numbers[-1])
            facts = unsealed_json(read_object(store, name), f"{store.url}/{name}")
            check_format(facts["format"], f"{store.url}/{name}", known=FORMAT)
            by = facts.get("by", "an earlier version")
            return Inventory(facts["number"], facts["entries"], facts["time"], by)
    raise StorageError(f"{store.url}/{ledger}: inventories vanish faster than they can be read.")


def create_next(
    store: Store, ledger: str, before: Inventory, entries: Mapping[str, str]
) -> Inventory:
    """Create the inventory after one that was read; those long before it are removed.

    Raises:
        FileExistsError: another process did; what it wrote has to be read first.

    """
    by = f"pid {os.getpid()} on {socket.gethostname()}"
    made = Inventory(before.number + 1, dict(entries), time.time(), by)
    facts = {
        "format": FORMAT,
        "number": made.number,
        "entries": made.entries,
        "time": made.time,
        "by": by,
    }
    content = sealed_json(facts)
    try:
        store.create(_name(ledger, made.number), content)
    except FileExistsError:
        # The answer to a first attempt may have been lost on its way, and the store asked again.
        if not _is(store, _name(ledger, made.number), content):
            raise
    numbers = _numbers(store, ledger)
    if numbers[-1] > made.number:  # the number was free because it had been removed for its age
        store.remove([_name(ledger, made.number)])
        raise FileExistsError(_name(ledger, made.number))
    store.remove([_name(ledger, number) for number in numbers[:-KEPT]])
    return made


def _is(store: Store, name: str, content: bytes) -> bool:
    with contextlib.suppress(NoSuchObject):
        return read_object(store, name) == content
    return False


def _name(ledger: str, number: int) -> str:
    return f"{ledger}/{number:09d}.json"


def _numbers(store: Store, ledger: str) -> list[int]:
    names = (name.removesuffix(".json") for name in store.names(ledger))
    return sorted(int(name) for name in names if name.isdigit())

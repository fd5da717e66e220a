"""What is committed in a working copy is published at its URL: versions first, the inventory last.

Nobody is kept from writing. Who publishes on top of another's inventory must have what it names of
every step, the same, and be further; who is not is told so, and goes on from there another time.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from stratigraph.engine import ask_to_stop, withdraw
from stratigraph.errors import BusyError, IntegrityError, StratigraphError
from stratigraph.remote.inventory import create_next, read_newest
from stratigraph.remote.store import Store
from stratigraph.remote.versions import hash_of, number_of, upload, version_name
from stratigraph.remote.working_copy import (
    Part,
    do_each,
    fetch,
    hashes_of,
    is_at,
    keep_agreed,
    list_standing,
    read_agreed,
    remove_place,
)

__all__ = ["publish", "publishing", "put_back", "sweep"]


def publish(store: Store, folder: Path, part: Part) -> bool:
    """Make what stands in a folder what the newest inventory says; whether anything was published.

    What the newest inventory names and the folder has lost stays named, unless it is passing. A
    folder that had to go back, behind what it published before, is published when it is as far.

    Raises:
        BusyError: another process published something meanwhile that this is no continuation of.
        IntegrityError: a record here is damaged; nothing was published.

    """
    while True:
        newest = read_newest(store, part.ledger)
        now, held = list_standing(folder, part), hashes_of(newest.entries)
        ours = read_agreed(folder, part) == newest.entries
        lasting = [p for p in held if not is_at(p, part.passing)]
        lost = [p for p in lasting if p not in now]
        other = [p for p in lasting if _step(p) >= 0 and now.get(p) != held[p]]
        if not ours and now != held and (lost or other or _reach(now) <= _reach(held)):
            raise BusyError(
                f"{store.url}/{part.ledger}: continued by {newest.by}, which got as far as this "
                "process, or made something else. What this one made since is not published; "
                "the same command continues from what is there."
            )
        if any(_step(p) > _reach(now)[0] for p in held.keys() - lasting):
            return False
        entries = {p: v for p, v in newest.entries.items() if now.get(p) == held[p] or p in lost}
        new = {p: version_name(newest.number + 1, now[p]) for p in now if p not in entries}
        do_each(lambda p: upload(store, folder / p, p, new[p]), new)  # noqa: B023
        changed = {**entries, **new} != newest.entries
        if changed:
            try:
                create_next(store, part.ledger, newest, {**entries, **new})
            except FileExistsError:
                continue  # another process was faster: what it says is read first
            gone = {p: v for p, v in newest.entries.items() if entries.get(p) != v}
            _remove_versions(store, gone.items())
        keep_agreed(folder, part, {**entries, **new})
        return changed


def _step(place: str) -> int:
    """The step that a record is of; -1 where it is of none."""
    name = place.rpartition("/")[2]
    return int(name) if name.isdigit() else -1


def _reach(places: Mapping[str, str]) -> tuple[int, int]:
    """How far a part has got: the last step of anything, and how many things there are."""
    return max(map(_step, places), default=-1), len(places)


def _remove_versions(store: Store, versions: Iterable[tuple[str, str]]) -> None:
    for place, version in versions:
        store.remove(store.walk(f"{place}/{version}"))


def sweep(store: Store, part: Part) -> int:
    """Remove what no inventory names, nor ever will; return how many versions.

    That is what was replaced, and what processes put that were killed, or refused, before they
    could publish it. What is being put now bears a higher number than the newest inventory.
    """
    newest = read_newest(store, part.ledger)
    # The folders that all places of a pattern are below.
    folders = {re.split(r"/?[^/]*[*?\[]", pattern)[0] for pattern in part.places}
    dead = set()
    for name in (name for folder in folders for name in store.walk(folder)):
        place, version = PurePosixPath(name).parent.parent.as_posix(), name.split("/")[-2]
        if is_at(place, part.places) and 0 <= number_of(version) <= newest.number:
            dead.add((place, version))
    dead -= newest.entries.items()
    _remove_versions(store, dead)
    return len(dead)


@contextmanager
def publishing(
    store: Store, folder: Path, part: Part, every: float | None = None
) -> Iterator[Callable[[], None]]:
    """Write a part of a working copy: it is fetched before, and published after.

    What is yielded publishes in between.

    Args:
        store: of the URL.
        folder: the working copy, whose locks for this part are held.
        part: what will be written.
        every: also publish what has been committed, every so many seconds.

    Raises:
        BusyError: another process went on with the part meanwhile; the tasks of this one are asked
            to stop as soon as it is known.

    """
    over, busy, turn = threading.Event(), list[BusyError](), threading.Lock()
    swept = False

    def now() -> None:
        nonlocal swept
        with turn:
            if publish(store, folder, part) and not swept:
                swept = True
                sweep(store, part)

    def often() -> None:
        while every is not None and not over.wait(every):
            try:
                now()
            except BusyError as error:
                busy.append(error)
                ask_to_stop()  # all that would come of going on is refused
                return
            except (StratigraphError, OSError):
                pass  # published at the end, or said to be amiss there

    fetch(store, folder, part)
    thread = threading.Thread(target=often, daemon=True)
    thread.start()
    try:
        try:
            yield now
        except BaseException as error:
            with contextlib.suppress(StratigraphError, OSError):
                now()
            if busy and isinstance(error, KeyboardInterrupt):
                raise busy[0] from None
            raise
        now()
    finally:
        over.set()
        thread.join()
        if busy:
            withdraw()


def put_back(store: Store, folder: Path, part: Part, damaged: Mapping[str, str]) -> set[str]:
    """Publish damaged places anew from a working copy, and strike out those that it has not whole.

    Args:
        store: of the URL.
        folder: the working copy.
        part: which of it.
        damaged: place → version, of what was found to be.

    Returns:
        The places that were published anew.

    Raises:
        BusyError: another process publishes at the same time.

    """
    newest, now = read_newest(store, part.ledger), list_standing(folder, part)
    entries = dict(newest.entries.items() - damaged.items())
    for place in damaged.keys() - entries.keys():
        digest = hash_of(damaged[place])
        version = version_name(newest.number + 1, digest)
        with contextlib.suppress(IntegrityError):
            if now.get(place) == digest:
                upload(store, folder / place, place, version)
                entries[place] = version
    in_step = read_agreed(folder, part) == newest.entries
    try:
        create_next(store, part.ledger, newest, entries)
    except FileExistsError:
        raise BusyError(f"{store.url}/{part.ledger}: another process is publishing.") from None
    sweep(store, part)
    back = damaged.keys() & entries.keys()
    if in_step:
        for place in damaged.keys() - back:  # damaged here too, or not here
            remove_place(folder / place)
        keep_agreed(folder, part, entries)
    return back

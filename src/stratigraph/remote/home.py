"""A study whose home is a URL: its working copy here, and which writer writes which part of it."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stratigraph.data.cache import cache_dir
from stratigraph.errors import BusyError, DataError
from stratigraph.records import locked
from stratigraph.remote.inventory import read_newest
from stratigraph.remote.publication import publishing, put_back, sweep
from stratigraph.remote.store import Store, open_store
from stratigraph.remote.versions import check_version
from stratigraph.remote.working_copy import Part, fetch, is_published
from stratigraph.study.layout import STUDY_FILE, Writer, find_place, places_of
from stratigraph.study.origin import keep_origin, spell_url

__all__ = [
    "WORK",
    "Checked",
    "Published",
    "RemoteHome",
    "bring_working_copy",
    "verify_url",
    "work_place",
]

WORK = "STRATIGRAPH_WORK"
EVERY = 60.0  # seconds after which a stage in progress publishes what it committed
AT_ONCE = 16  # parts that are fetched at a time
UNFINISHED = "unfinished"  # where earlier versions kept blocks of matrices in the making


def _part(ledger: str, writer: Writer, run: str = "*") -> Part:
    own = places_of(writer)
    passing = tuple(place.glob(run) for place in own if place.until == "newer")
    return Part(ledger, tuple(place.glob(run) for place in own), passing)


def _part_of_run(run_id: str) -> Part:
    return _part(f"runs/{run_id}/ledger", "run", run_id)


FILE = _part("ledgers/study", "file")
PARTS = {"": _part("ledgers/stages", "results"), "report": _part("ledgers/report", "report")}


def _is_light(path: str) -> bool:
    place = find_place(path)
    return place is not None and place.light


def work_place(url: str) -> Path:
    """The working copy's folder: in ``$STRATIGRAPH_WORK``, or among what else is cached."""
    clean = spell_url(url)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", clean.rpartition("/")[2]) or "study"
    place = Path(os.environ[WORK]) if os.environ.get(WORK) else cache_dir() / "studies"
    digest = hashlib.sha256(clean.encode()).hexdigest()[:12]
    return place.expanduser().absolute() / f"{name}-{digest}"


def bring_working_copy(url: str, *, light: bool = False, new: bool = True) -> Path:
    """The folder of a URL's working copy, brought up to date.

    Args:
        url: the study's.
        light: without weights, representations and results.
        new: whether the URL may be of a study that is not there yet.

    Raises:
        ConfigError: no such store can be used here.
        DataError: a study has to be there, and none is.
        StorageError: the store does not answer.
        IntegrityError: what it holds is damaged.

    """
    store = open_store(url)  # says at once what cannot be used
    if not new:
        _check_there(store)
    folder = work_place(url)
    keep_origin(folder, store.url)
    RemoteHome(folder, store.url).fetch(_is_light if light else None)
    return folder


def _check_there(store: Store) -> None:
    """Refuse a URL at which no study stands."""
    if not read_newest(store, FILE.ledger).entries:
        raise DataError(f"{store.url}: there is no study here ({STUDY_FILE} is missing).")


@dataclass(frozen=True)
class Published:
    """What a URL says of a run: the steps of its snapshots and of anything; and when it said so.

    ``age`` is in seconds, by the clocks of the writer and of this machine; ``by`` is the writer.
    """

    snapshots: tuple[int, ...]
    last: int | None
    age: float
    by: str


class RemoteHome:
    """The home of a study, at a URL: what `stratigraph.home.LocalHome` is for a folder.

    Args:
        folder: the working copy.
        url: what it is of.

    """

    apart = True

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self._store = folder, url, open_store(url)

    def fetch(self, wanted: Callable[[str], object] | None = None) -> None:
        """Bring the working copy up to date; what a process here is writing is left to it."""

        def bring(part: Part, place: Path, name: str) -> None:
            try:
                with locked(place, name):
                    fetch(self._store, self.folder, part, wanted)
            except BusyError:
                return

        bring(FILE, self.folder, "file")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = [(_part_of_run(run), self.folder / "runs" / run, "")
                    for run in self._store.names("runs")]  # fmt: skip
            stages = [(part, self.folder, name) for name, part in PARTS.items()]
            for job in [pool.submit(bring, *one) for one in [*runs, *stages]]:
                job.result()

    def keep_study_file(self, write: Callable[[], None]) -> None:
        """Write a study's file, and publish it."""
        with locked(self.folder, "file"), publishing(self._store, self.folder, FILE):
            write()

    @contextmanager
    def writing(self, stage: str = "") -> Iterator[None]:
        """Write a study's results or report, here and at the URL, every minute and at the end."""
        with locked(self.folder, stage):
            if stage not in PARTS:  # training, whose runs are published one by one
                yield
                return
            with publishing(self._store, self.folder, PARTS[stage], EVERY):
                yield

    @contextmanager
    def writing_run(self, run: Path) -> Iterator[Callable[[], None]]:
        """Be the one of this machine that trains a run; what is yielded publishes it so far."""
        with (
            locked(run),
            publishing(self._store, self.folder, _part_of_run(run.name)) as publish,
        ):
            yield publish

    def is_published(self, path: Path) -> bool:
        """Whether nothing of the study's file, or of a run, is left to publish."""
        part = FILE if path.name == STUDY_FILE else _part_of_run(path.name)
        return is_published(self.folder, part)

    def read_published(self, runs: Sequence[Path]) -> list[Published]:
        """What the URL says of each run now; their weights need not have been fetched."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda run: _read_published(self._store, run.name), runs))


def _read_published(store: Store, run_id: str) -> Published:
    newest = read_newest(store, _part_of_run(run_id).ledger)
    steps: dict[str, list[int]] = {"snapshots": [], "checkpoint": []}
    for place in newest.entries:
        folder, _, name = place.removeprefix(f"runs/{run_id}/").partition("/")
        if folder in steps:
            steps[folder].append(int(name))
    last = max([*steps["snapshots"], *steps["checkpoint"]], default=None)
    age = time.time() - newest.time
    return Published(tuple(sorted(steps["snapshots"])), last, age, newest.by)


@dataclass(frozen=True)
class Checked:
    """What was read at a URL: how much, and what is damaged, by place, with the reason.

    ``back`` are the places that were published anew.
    """

    files: int
    bytes: int
    damaged: dict[str, str]
    back: set[str]


def verify_url(url: str, *, repair: bool = False) -> Checked:
    """Read every object that counts in a study at a URL, and compare it with its hash.

    Args:
        url: the study's.
        repair: publish what is damaged anew, where the working copy here has it whole; what it has
            not is struck out, and made anew by the next ``stratigraph run``. What killed processes
            left there is removed.

    Raises:
        DataError: there is no study.

    """
    store = open_store(url)
    folder = work_place(url)
    _check_there(store)
    keep_origin(folder, store.url)
    files = size = 0
    damaged: dict[str, str] = {}
    back: set[str] = set()
    for part in (FILE, *PARTS.values(), *map(_part_of_run, store.names("runs"))):
        wrong: dict[str, str] = {}
        for place, version in read_newest(store, part.ledger).entries.items():
            reason, count, length = check_version(store, place, version)
            files, size = files + count, size + length
            if reason:
                wrong[place] = version
                damaged[place] = reason
        if wrong and repair:
            back |= put_back(store, folder, part, wrong)
        elif repair:
            sweep(store, part)
    if repair:
        store.remove(store.walk(UNFINISHED))
    return Checked(files, size, damaged, back)

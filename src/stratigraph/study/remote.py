"""A study at a URL: its working copy here, and which writer writes which part of it.

Everything else reads and writes folders. A study at ``s3://bucket/path`` has one, the *working
copy*, whose place follows from the URL. It knows where it comes from, and holds nothing that cannot
be fetched again once it was published (`stratigraph.snapshots.mirror`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stratigraph.data.cache import cache_dir
from stratigraph.errors import BusyError, ConfigError, DataError
from stratigraph.snapshots import locked
from stratigraph.snapshots.ledger import Ledger, writer_of
from stratigraph.snapshots.mirror import (
    Part,
    agreed,
    fetch,
    link,
    origin,
    put_back,
    unpublished,
)
from stratigraph.snapshots.objects import Objects, is_url, spelled
from stratigraph.snapshots.publishing import Publisher, mirrored
from stratigraph.snapshots.versions import check_version
from stratigraph.study.layout import STUDY_FILE

__all__ = [
    "WORK",
    "Kept",
    "all_kept",
    "check_processes",
    "fetch_study",
    "keep_study_file",
    "kept",
    "local_copy",
    "run_is_published",
    "run_written",
    "study_of",
    "verify_url",
    "versions_of_run",
    "written",
]

WORK = "STRATIGRAPH_WORK"
EVERY = 60.0  # seconds after which a stage in progress publishes what it committed
AT_ONCE = 16  # parts that are fetched at a time
FILE = Part("ledgers/study", (STUDY_FILE,))
WRITERS = {
    "": Part(
        "ledgers/stages",
        (
            "probes/*",
            "runs/*/representations*/*",
            "runs/*/observed*/*",
            "similarity*/*",
            "jackknife*/*",
            "findings.json",
        ),
    ),
    "train": Part("ledgers/train"),
    "report": Part("ledgers/report", ("figures", "report")),
}
LIGHT = re.compile(r"study\.yaml|runs/[^/]+/(state\.json|config\.json|metrics|observed/scores)")


def _of_run(run_id: str) -> Part:
    kept = ("config.json", "state.json", "metrics", "snapshots/[0-9]*", "checkpoint/[0-9]*")
    places = tuple(f"runs/{run_id}/{place}" for place in kept)
    return Part(f"runs/{run_id}/ledger", places, passing=(places[-1],))


def study_of(run: Path) -> Path:
    """The folder of the study that a run's folder would be in."""
    return run.absolute().parent.parent


def work_place(url: str) -> Path:
    """The working copy's folder: in ``$STRATIGRAPH_WORK``, or among what else is cached."""
    clean = spelled(url)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", clean.rpartition("/")[2]) or "study"
    place = Path(os.environ[WORK]) if os.environ.get(WORK) else cache_dir() / "studies"
    digest = hashlib.sha256(clean.encode()).hexdigest()[:12]
    return place.expanduser().absolute() / f"{name}-{digest}"


def local_copy(source: str | Path, *, light: bool = False, new: bool = True) -> Path:
    """The folder of a study: itself, or a URL's working copy, brought up to date.

    Args:
        source: a path, or a URL.
        light: without weights, representations and results.
        new: whether the URL may be of a study that is not there yet.

    Raises:
        ConfigError: no such store can be used here.
        DataError: a study has to be there, and none is.
        StorageError: the store does not answer.
        IntegrityError: what it holds is damaged.

    """
    if not is_url(source):
        return Path(source)
    url = spelled(str(source))
    folder = work_place(url)
    objects = Objects(url)  # says at once what cannot be used
    if not new:
        _check_there(objects)
    link(folder, url)
    fetch_study(folder, LIGHT.fullmatch if light else None)
    return folder


def _check_there(objects: Objects) -> None:
    """Refuse a URL at which no study stands."""
    if not Ledger(objects, FILE.name).head().entries:
        raise DataError(f"{objects.url}: no study stands here ({STUDY_FILE} is missing).")


def fetch_study(folder: Path, wanted: Callable[[str], object] | None = None) -> None:
    """Bring a working copy up to date; what a process here is writing is left to it."""
    url = origin(folder)
    if url is None:
        return
    objects = Objects(url)

    def bring(part: Part, place: Path, name: str) -> None:
        some = None if wanted is None else (lambda p: bool(wanted(p)))
        try:
            with locked(place, name):
                fetch(Ledger(objects, part.name), folder, part, some)
        except BusyError:
            return

    bring(FILE, folder, "file")
    runs = objects.names("runs")
    with ThreadPoolExecutor(1 if objects.alone else AT_ONCE) as pool:
        jobs = [pool.submit(bring, _of_run(run), folder / "runs" / run, "") for run in runs]
        for name in ("", "report"):
            jobs.append(pool.submit(bring, WRITERS[name], folder, name))
        for job in jobs:
            job.result()


@contextmanager
def written(study: Path, stage: str = "") -> Iterator[Publisher]:
    """Be the one writer of a study's results, report or training, here and at its URL.

    What is yielded publishes what has been kept so far.

    Raises:
        BusyError: another process is; the message names it.

    """
    with locked(study, stage), mirrored(study, WRITERS[stage], EVERY) as publisher:
        yield publisher


@contextmanager
def run_written(run: Path) -> Iterator[Callable[[], None]]:
    """Be the one that trains a run; what is yielded publishes what it has kept so far.

    Raises:
        BusyError: another process trains it.

    """
    with locked(run), mirrored(study_of(run), _of_run(run.name)) as publish:
        yield publish


def versions_of_run(run: Path) -> dict[str, str]:
    """Place → version, of what a working copy has of a run and its URL has too."""
    return agreed(study_of(run), _of_run(run.name))


def run_is_published(run: Path) -> bool:
    """Whether nothing of a run is left to publish."""
    return not unpublished(study_of(run), _of_run(run.name))


def keep_study_file(folder: Path, write: Callable[[], None]) -> None:
    """Write a study's file, and publish it."""
    if origin(folder) is None:
        write()
        return
    with locked(folder, "file"), mirrored(folder, FILE):
        write()


@dataclass(frozen=True)
class Kept:
    """What a URL says of a run: the steps of its snapshots and of anything, and who trains it."""

    snapshots: tuple[int, ...]
    last: int | None
    writer: str | None


def kept(run: Path) -> Kept | None:
    """What the URL of a run's working copy says of it now; None of a run that has no URL.

    Its weights need not have been fetched.
    """
    url = origin(study_of(run))
    if url is None:
        return None
    ledger = Ledger(Objects(url), _of_run(run.name).name)
    head = ledger.head()
    steps: dict[str, list[int]] = {"snapshots": [], "checkpoint": []}
    for place in head.entries:
        folder, _, name = place.removeprefix(f"runs/{run.name}/").partition("/")
        if folder in steps:
            steps[folder].append(int(name))
    everything = [*steps["snapshots"], *steps["checkpoint"]]
    return Kept(
        tuple(sorted(steps["snapshots"])),
        max(everything, default=None),
        writer_of(head) if ledger.heard(head) else None,
    )


def all_kept(runs: Iterable[Path]) -> list[Kept | None]:
    """`kept` of many runs, several at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(kept, runs))


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
            not is struck out, and made anew by the next ``stratigraph run``.

    Raises:
        DataError: there is no study.

    """
    objects = Objects(url)
    folder = work_place(url)
    _check_there(objects)
    link(folder, objects.url)
    parts = [FILE, WRITERS[""], WRITERS["report"], *map(_of_run, objects.names("runs"))]
    files = size = 0
    damaged: dict[str, str] = {}
    back: set[str] = set()
    for part in parts:
        ledger, wrong = Ledger(objects, part.name), {}
        for place, version in ledger.head().entries.items():
            reason, count, length = check_version(objects, place, version)
            files, size = files + count, size + length
            if reason:
                wrong[place] = reason
        damaged |= wrong
        if wrong and repair:
            back |= put_back(ledger, folder, part, wrong.keys())
    return Checked(files, size, damaged, back)


def check_processes(folder: Path, processes: int) -> None:
    """Refuse a store that other processes would not see.

    Raises:
        ConfigError: the study's is one, and tasks run in other processes.

    """
    url = origin(folder)
    if url is not None and processes > 1 and Objects(url).alone:
        raise ConfigError(
            f"{url}: this store is of one process alone, and {processes} workers were asked for; "
            "use --engine local --workers 1, or another store."
        )

"""Errands: tasks of a study at a URL, done by machines that see no file of the one that sent them.

A task that can travel (`stratigraph.engine.Portable`) says which records it reads. It is sent with
their versions at the URL, and with the sender's fencing token; the machine that does it fetches
what its own working copy lacks, computes, and puts the record that it wrote at the URL, under that
token. It commits nothing: the sender fetches the record, and its next commit names it::

    sender   commit what it has → task, {place: version}, token
    node                          fetch, compute, upload <place>/<token>-<hash>/
    sender   fetch that version → commit

So an errand that is done twice leaves the same version, one whose sender has died leaves what no
catalogue will ever name, and arrays go by the store. What cannot travel is done here, on all cores,
and so is what reads something that is not at the URL.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratigraph.durable import sha256
from stratigraph.engine import Engine, Hear, LocalEngine, Outcome, Portable
from stratigraph.engine.protocol import title_of
from stratigraph.errors import DataError
from stratigraph.snapshots import MANIFEST, read_json, write_json
from stratigraph.snapshots.mirror import REMOTE, link
from stratigraph.snapshots.objects import Objects
from stratigraph.snapshots.publishing import Publisher, bring
from stratigraph.snapshots.versions import upload, version_name
from stratigraph.study.remote import versions_of_run

__all__ = ["Errand", "Errands", "run_errand", "spread"]

SENDER = "sender.json"  # in a working copy: who sends errands from this disk


@dataclass(frozen=True)
class Errand:
    """A task, and what a machine needs that has nothing but the study's URL."""

    function: Callable[[Any], Any]
    task: Portable
    folder: Path  # the working copy's, here and there
    url: str
    token: int
    reads: dict[str, str]  # place → version
    sender: str

    @property
    def label(self) -> str:
        """What the task is called in a cluster's dashboard."""
        return title_of(self.function, self.task, 0, None)


def run_errand(errand: Errand) -> tuple[Any, tuple[str, str] | None]:
    """Do a task: its value, and the place and version of what it put at the URL for the sender."""
    if _sender(errand.folder) == errand.sender:  # on the sender's disk, where all is at hand
        return errand.function(errand.task), None
    link(errand.folder, errand.url)
    objects = Objects(errand.url)
    for place, version in errand.reads.items():
        bring(objects, errand.folder, place, version)
    value = errand.function(errand.task)
    record = errand.task.writes
    if record is None:
        return value, None
    digest = sha256(record / MANIFEST)
    place, version = _place(record, errand.folder), version_name(errand.token, digest)
    upload(objects, record, f"{place}/{version}", digest)
    return value, (place, version)


def _sender(folder: Path) -> str | None:
    try:
        return str(read_json(folder / REMOTE / SENDER)["id"])
    except (FileNotFoundError, DataError):
        return None


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


class Errands:
    """An engine on whose machines a study at a URL is read and compared.

    Args:
        engine: of those machines.
        publisher: of the part of the study that the tasks write.
        here: does what cannot travel; by default a process for each core of this machine.

    """

    apart = True

    def __init__(self, engine: Engine, publisher: Publisher, here: Engine | None = None) -> None:
        self.name, self.workers = engine.name, engine.workers
        self._engine, self._publisher = engine, publisher
        self._here = here or LocalEngine()

    def map(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        *,
        tick: Callable[[], None] | None = None,
        heard: Hear | None = None,
    ) -> Iterator[Outcome]:
        """See `Engine.map`."""
        queue = iter(tasks)
        first = list(itertools.islice(queue, 1))
        whole = itertools.chain(first, queue)
        if first and isinstance(first[0], Portable):
            yield from self._sent(function, whole, tick, heard)
        else:
            yield from self._here.map(function, whole, tick=tick, heard=heard)

    def everywhere(self, function: Callable[[Any], Any], task: Any) -> None:
        """See `Engine.everywhere`."""
        self._engine.everywhere(function, task)

    def _sent(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Portable],
        tick: Callable[[], None] | None,
        heard: Hear | None,
    ) -> Iterator[Outcome]:
        self._publisher()  # what tasks read is at the URL then
        folder, url = self._publisher.folder, str(self._publisher.url)
        sender = uuid.uuid4().hex
        write_json(folder / REMOTE / SENDER, {"id": sender})
        known = _Versions(self._publisher)
        sent: list[int] = []
        rest: list[tuple[int, Portable]] = []

        def errands() -> Iterator[Errand]:
            for index, task in enumerate(tasks):
                leaving = task.away()
                reads = None if leaving is None else known.of(leaving.reads)
                if leaving is None or reads is None:
                    # One that could leave brings along what makes that which others have.
                    rest.append((index, leaving or task))
                    continue
                sent.append(index)
                token = self._publisher.token
                yield Errand(function, leaving, folder, url, token, reads, sender)

        def told(index: int, facts: dict[str, Any]) -> None:
            if heard is not None:
                heard(sent[index], facts)

        for outcome in self._engine.map(run_errand, errands(), tick=tick, heard=heard and told):
            index = sent[outcome.index]
            if outcome.failure is not None:
                yield Outcome(index, failure=outcome.failure)
                continue
            value, left = outcome.value
            if left is not None:
                self._publisher.take(*left)
            yield Outcome(index, value=value)
        if rest:
            yield from self._done_here(function, rest, tick)

    def _done_here(
        self,
        function: Callable[[Any], Any],
        rest: list[tuple[int, Portable]],
        tick: Callable[[], None] | None,
    ) -> Iterator[Outcome]:
        for outcome in self._here.map(function, [task for _, task in rest], tick=tick):
            yield Outcome(rest[outcome.index][0], outcome.value, outcome.failure)


class _Versions:
    """The versions at the URL of the records that tasks read."""

    def __init__(self, publisher: Publisher) -> None:
        self.folder = publisher.folder
        self.of_results = publisher.entries
        self.of_runs: dict[Path, dict[str, str]] = {}

    def of(self, records: Iterable[Path]) -> dict[str, str] | None:
        """Place → version of each; None if the URL does not have one of them."""
        found = {}
        for record in records:
            place = _place(record, self.folder)
            version = self.of_results.get(place) or self._of_run(record, place)
            if version is None:
                return None
            found[place] = version
        return found

    def _of_run(self, record: Path, place: str) -> str | None:
        run = record.parents[1]
        if run not in self.of_runs:
            self.of_runs[run] = versions_of_run(run)
        return self.of_runs[run].get(place)


def spread(engine: Engine, publisher: Publisher) -> Engine:
    """The engine on which a stage reads and compares: itself, or of a study at a URL its machines.

    Args:
        engine: that was asked for.
        publisher: of the stage (`written`).

    """
    if engine.name == "local" or publisher.url is None:
        return engine
    return Errands(engine, publisher)

"""A study as it stands now, for readers who ask again and again while others write.

Everything is kept until the files that it was made of change, which a *stamp* (of sizes and times
of modification) says. Nothing here writes or takes a lock, so no worker ever waits for the page.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stratigraph.errors import DataError, InputError
from stratigraph.records import MANIFEST
from stratigraph.study import STUDY_FILE, WAYS, Run, Study, findings_path, load_study, metrics_path
from stratigraph.study.layout import STATE, observed_path, similarity_path
from stratigraph.study.run import mark_interrupted
from stratigraph.study.state import SILENT

__all__ = ["Stamps", "Watched"]

T = TypeVar("T")
FRESH = 0.5  # seconds that a stamp is believed
HELD = 64  # results kept


@dataclass(frozen=True)
class Stamps:
    """What changes when runs move on, when they log losses, and when there are new results."""

    states: str
    logged: str
    results: str

    @property
    def all(self) -> str:
        """What changes with any of them."""
        return self.states + self.logged + self.results


def _load(path: Path, trust: bool) -> Study:
    study = load_study(path, trust)
    if study.export is not None:
        raise InputError(
            f"{path}: is an export, without what the page shows; its report is "
            f"{path / 'report' / 'index.html'}, and load_study reads its matrices and findings."
        )
    return study


class Watched:
    """A study's folder, its results kept in memory while they are current.

    Args:
        path: the study's folder.
        trust: run the modules that the study names, whoever made it.

    Raises:
        DataError: it holds no study.
        InputError: it holds an export.

    """

    def __init__(self, path: Path, trust: bool = False) -> None:
        self.path, self.trust = path, trust
        # Held for moments, and never while anything is read or made: see `kept`.
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._stamps: tuple[float, Stamps] | None = None
        self._seen: dict[str, tuple[float, int]] = {}
        self._states: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._steps: dict[str, tuple[Any, list[int]]] = {}
        self._records: dict[Hashable, tuple[Any, Any]] = {}
        self._study: tuple[Any, Study, dict[str, Study]] | None = None
        self.study("corrected")

    def study(self, way: str) -> Study:
        """The study, read a way; read anew where its file has changed (it may be extended).

        The runs of a recorded study are those in its folder, as far as they got; so it changes with
        them.
        """
        held = self._study
        found: Any = _facts(self.path / STUDY_FILE)
        if held is not None and held[1].config.recorded:
            runs = sorted((self.path / "runs").glob("*/snapshots"))
            found = found, _digest(_facts(path) for path in runs)
        if held is None or held[0] != found:
            held = self._study = found, _load(self.path, self.trust), {}
        _, study, ways = held
        if way not in study.config.ways and way != "corrected":
            raise DataError(
                f"study {study.config.name} was not read the {way} way; its study file says "
                f"`ways: [{', '.join(study.config.ways)}]`."
            )
        if way not in ways:
            ways[way] = study.read(way)
        return ways[way]

    def stamps(self) -> Stamps:
        """What says whether anything has changed."""
        held = self._stamps
        if held is not None and time.monotonic() - held[0] < FRESH:
            return held[1]
        study = self.study("corrected")
        runs = study.runs.values()
        found = Stamps(
            states=_digest(_facts(r.path / n) for r in runs for n in (STATE, "snapshots")),
            logged=_digest(_facts(metrics_path(run.path) / MANIFEST) for run in runs),
            results=_digest(_facts(path) for path in self._results(study)),
        )
        self._stamps = (time.monotonic(), found)
        return found

    def _results(self, study: Study) -> Iterator[Path]:
        yield self.path / STUDY_FILE
        yield findings_path(self.path)
        for way in (WAYS[name] for name in study.config.ways):
            for measure in self.study(way.name).config.measures:
                record = similarity_path(self.path, measure.name, way.folder)
                # Not the manifest alone: a file that was changed where it lies must be noticed.
                yield from (record / name for name in (MANIFEST, "values.npy", "labels.parquet"))
            for run in study.runs.values():
                yield observed_path(run.path, way.folder) / MANIFEST

    def keep(self, key: Hashable, make: Callable[[], T], of: str | None = None) -> T:
        """What ``make`` gives, made once while the study's results (or ``of``) are the same.

        Of many who ask for the same, one makes it. ``make`` may ask for other keys, in the order
        in which things are made of each other, so nobody waits in a circle.
        """
        stamp = self.stamps().results if of is None else of
        with self._lock:
            if key in self._kept and self._kept[key][0] == stamp:
                self._kept.move_to_end(key)
                found: T = self._kept[key][1]
                return found
            own = self._making.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept and self._kept[key][0] == stamp:
                    return self._kept[key][1]
            made = make()
            with self._lock:
                self._kept[key] = (stamp, made)
                while len(self._kept) > HELD:
                    self._making.pop(self._kept.popitem(last=False)[0], None)
            return made

    def keep_record(self, key: Hashable, record: Path, make: Callable[[], T]) -> T:
        """What is read of a record, read anew only where the record has changed."""
        facts = sorted((path.name, _facts(path)) for path in record.glob("*"))
        found = self._records.get(key)
        if found is None or found[0] != facts:
            found = self._records[key] = (facts, make())
        return found[1]

    def steps(self, run: Run) -> list[int]:
        """The steps of a run's snapshots: every look at the page asks for those of every run."""
        facts = _facts(run.path / "snapshots")
        held = self._steps.get(run.run_id)
        if held is None or held[0] != facts:
            held = self._steps[run.run_id] = (facts, run.steps)
        return held[1]

    def state(self, run: Run) -> dict[str, Any]:
        """A run's state, its steps per second and the seconds that are left of it.

        It is ``interrupted`` where it says that it runs and nothing was heard of it.
        """
        file = run.path / STATE
        facts = _facts(file)
        held = self._states.get(run.run_id)
        if held is None or held[0] != facts:
            held = self._states[run.run_id] = (facts, run.state)
        state = dict(held[1])
        state["rate"] = state["left"] = None
        if state["state"] != "running" or facts is None:
            self._seen.pop(run.run_id, None)
            return state
        when, step = facts[0] / 1e9, int(state["step"])
        if time.time() - when > SILENT:
            return mark_interrupted(run, state)
        first = self._seen.setdefault(run.run_id, (when, step))
        if when > first[0] + 1 and step > first[1]:
            state["rate"] = (step - first[1]) / (when - first[0])
            state["left"] = (run.config.steps - step) / state["rate"]
        return state


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(facts: Iterator[Any]) -> str:
    return hashlib.sha256(repr(list(facts)).encode()).hexdigest()[:16]

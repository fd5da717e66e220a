"""Replaying a training from its checkpoints: a recorder, and a network that comes to each step.

A step's record holds which file its weights are from, and their digest: so what was imported before
is known again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import nn

from stratigraph.errors import ConfigError, DataError
from stratigraph.integrations.neighbours import Neighbours, weights_digest
from stratigraph.integrations.probes import ProbeReader
from stratigraph.integrations.recorder import Recorder
from stratigraph.integrations.series import Series
from stratigraph.records import MANIFEST, load_weights, read_json, snapshot_path, snapshot_steps
from stratigraph.study import run_path
from stratigraph.training import RecordedConfig

__all__ = ["Loader", "by_step", "replay"]

HISTORY = "trainer_state.json"  # of the Hugging Face Trainer


class Loader:
    """Brings a network to a step, and says once what had to be done for names to fit."""

    def __init__(self, key: str | None, prefix: str | None, tell: Callable[[str], None]) -> None:
        self.key, self.prefix, self.tell = key, prefix, tell
        self._said: set[str] = set()

    def load(self, network: nn.Module, step: int, paths: Sequence[Path]) -> dict[str, str]:
        """Which file the weights are of, and their digest, for the snapshot's record."""
        digests = []
        for path in paths:
            text = load_weights(network, path, key=self.key, prefix=self.prefix)
            self._say(path, text.removeprefix(f"{path}: "))
            digests.append(weights_digest(network))
            if digests[-1] != digests[0]:
                raise DataError(
                    f"{paths[0]} and {path} are both for step {step:,} of one run, and differ; "
                    "tell them apart with a field of --pattern, or leave one out."
                )
            if path != paths[0]:
                self._say(path, f"left out: the same as {paths[0]}")
        return {"from": paths[0].as_posix(), "weights": digests[0]}

    def _say(self, path: Path, text: str) -> None:
        if text and text not in self._said:
            self._said.add(text)
            self.tell(f"{path}: {text}")


Steps = list[tuple[int, list[Path]]]


def by_step(series: Series) -> Steps:
    """A run's steps in order, and the checkpoints of each; more than one must be the same."""
    found: dict[int, list[Path]] = {}
    for point in series.points:
        found.setdefault(point.step, []).append(point.path)
    return sorted(found.items())


def replay(
    folder: Path,
    config: RecordedConfig,
    reader: ProbeReader,
    steps: Steps,
    loader: Loader,
    weights: bool,
) -> dict[int, str]:
    """Record a run from its checkpoints: step → digest of the weights.

    The network is at the first of them.
    """
    network, run = reader.model, run_path(folder, config.run_id)
    there = snapshot_steps(run)
    last = there[-1] if there else -1
    neighbours, digests = Neighbours(), {}
    for step, paths in (one for one in steps if one[0] <= last):
        about = loader.load(network, step, paths)
        _check_there(run, step, there, about)
        neighbours.add(step, network, about["weights"])
        digests[step] = about["weights"]
    new = [one for one in steps if one[0] > last]
    if not new:
        return digests
    history = _history(new[-1][1][0])
    about = loader.load(network, *new[0])
    start = last if there else new[0][0]
    steps_due = frozenset(step for step, _ in new)
    with Recorder(
        folder, config, reader, steps_due.__contains__, weights, 1, start, made_of=about
    ) as recorder:
        for step, paths in new:
            if step != new[0][0]:
                about = loader.load(network, step, paths)
            recorder.made_of = about
            before = recorder.steps
            for logged, split, terms in history:
                if before < logged <= step:
                    told = terms if split == "training" else {}
                    if told or recorder.steps < logged:
                        recorder.reach(logged, **told)
                    if not told:
                        recorder.log(split, **terms)
            if step > recorder.steps:
                recorder.reach(step)
            digests[step] = about["weights"]
            for at, text in neighbours.add(step, network, about["weights"]):
                recorder.point_out(at, text)
    return digests


def _check_there(run: Path, step: int, there: list[int], about: Mapping[str, str]) -> None:
    """See that a step that was imported before is of the same weights still."""
    if step not in there:
        raise ConfigError(
            f"{run}: {about['from']} is for step {step:,}, and the run was imported up to step "
            f"{there[-1]:,} without it; remove the run's folder to import it again, or import into "
            "another."
        )
    held = read_json(snapshot_path(run, step) / MANIFEST)["about"]
    if held.get("weights") != about["weights"]:
        raise ConfigError(
            f"{run}: {about['from']} holds other weights than those imported for step {step:,} "
            f"(from {held.get('from', 'a live training')}); remove the run's folder to import it "
            "again, or import into another."
        )


def _history(checkpoint: Path) -> list[tuple[int, str, dict[str, float]]]:
    """What the Hugging Face Trainer logged up to a checkpoint: step, split, numbers."""
    path = checkpoint / HISTORY
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["log_history"]
        found = []
        for row in rows:
            numbers = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
            step = int(numbers.pop("step"))
            for split, loss in (("training", "loss"), ("validation", "eval_loss")):
                if loss in numbers:
                    found.append((step, split, {"loss": numbers[loss]}))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path}: not what the Trainer logs ({error}).") from None
    return sorted(found, key=lambda one: (one[0], one[1]))

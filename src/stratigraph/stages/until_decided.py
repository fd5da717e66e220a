"""A study that grows until it is decided: replicates are added in looks that were planned.

Each look is the study's stages, one after the other, with so many replicates; what there is already
is kept, so the same call again goes on wherever the last one stopped. It ends at the first look
after which every primary question is decided, futile or out of budget
(`stratigraph.evidence.sequential`), or if no run learned.

Which runs learned is judged by the best of them, so a better one that comes later may leave out
some that were counted at a look before; a verdict that was given stays all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stratigraph.engine import Engine
from stratigraph.errors import ConfigError
from stratigraph.evidence.sequential import Standing
from stratigraph.home import find_home
from stratigraph.stages.catalog import are_trained
from stratigraph.stages.current import stages_of
from stratigraph.stages.drop import drop_representations
from stratigraph.stages.looks import fix_looks, plan_looks, read_looks
from stratigraph.stages.progress import Progress
from stratigraph.stages.replicates import add_replicates
from stratigraph.stages.run import run_stages
from stratigraph.study import CORRECTED, Study

__all__ = ["begin_looks", "run_until_decided", "tell_open"]


def begin_looks(study: Study, most: int | None, counts: Sequence[int] | None = None) -> Study:
    """Fix a study's plan, if it has none yet, and give it the replicates of its next look.

    Args:
        study: that was begun; nothing of it need have run.
        most: replicates at the last look; None are those of its plan.
        counts: the replicates at each look, instead of the usual ones up to ``most``.

    Raises:
        ConfigError: its grid gives seeds; it has another plan, is past it, or was looked at without
            one; or it is not compared by what findings read.

    """
    held, planned = study.config.replicates, read_looks(study.path)
    if held is None:
        raise ConfigError(
            f"study {study.config.name}: its grid lists seeds, so replicates cannot be added; "
            "write `seed: {replicates: 4}` in its file."
        )
    if "assess" not in stages_of(study):
        raise ConfigError(
            f"study {study.config.name}: has no findings, because {study.way.cka} is not among "
            "its measures; add it for `--until-decided`."
        )
    if counts is None and most is not None:
        counts = plan_looks(most, planned[0] if planned else held)
    counts = tuple(counts or planned or ())
    if not counts:
        raise ConfigError(
            "--until-decided: give the largest number of replicates, such as --most 8."
        )
    if planned is None and counts[0] < held:
        raise ConfigError(
            f"--looks: expected at least the {held} replicates that the study has, got {counts[0]}."
        )
    if planned != counts:
        find_home(study.path).keep_study_file(lambda: fix_looks(study.path, counts))
    following = next((count for count in counts if count >= held), None)
    if following is None:
        raise ConfigError(
            f"{study.path}: has {held} replicates, more than the {counts[-1]} of its last look, "
            "so no look is left; choose another --out."
        )
    return study if held == following else add_replicates(study, following)


def run_until_decided(
    study: Study,
    engine: Engine | Callable[[], Engine] | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
) -> tuple[Study, bool]:
    """Run a study look by look until it is decided: the study, and whether anything was left to do.

    A look some of whose runs failed is no look: it is gone on with by the same call again.

    Args:
        study: as `begin_looks` leaves it.
        engine: as `stratigraph.stages.run.run_stages` takes it.
        progress: as there.
        device: as there.
        allow_drift: as there.

    """
    progress = progress or Progress(quiet=True)
    counts, did = read_looks(study.path) or (), False
    while True:
        now = counts.index(study.config.replicates or 0)
        progress.say(f"look {now + 1} of at most {len(counts)}: {counts[now]} replicates")
        did |= run_stages(study, engine, progress, device, allow_drift, drop=False)
        last = now == len(counts) - 1
        if last or not are_trained(study.path, list(study.runs)) or not _open(study.findings):
            drop_representations(study)
            return study, did
        study = add_replicates(study, counts[now + 1])


def _open(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The primary questions that a further look is for."""
    return [
        row
        for row in rows
        if row["family"] == "primary"
        and row["way"] == CORRECTED.name
        and row["verdict"] == "undecided"
        and row["entered"]["failed"] < row["entered"]["of"]
        and not (row["standing"] and Standing(**row["standing"]).ended)
    ]


def tell_open(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What became of the primary questions, as lines for people."""
    found = []
    for row in rows:
        if row["family"] == "primary" and row["way"] == CORRECTED.name:
            standing = row["standing"] or {}
            told = standing.get("outlook") or row["verdict"]
            if told == "undecided":
                told = f"undecided ({row['reason']})"
            if standing.get("settled"):
                told = f"{told} with {standing['replicates']} replicates"
            found.append(f"  {row['key']}: {told}")
    return found

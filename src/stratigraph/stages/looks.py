"""Looks at a study while it grows: what was planned, and where questions stood after each.

``looks.json`` holds the plan, written before the first look and never changed: the replicates at
each look, the level, how it is spent, and the thresholds that follow. ``standings.json`` holds
where each question stood after each look (`stratigraph.evidence.sequential`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from stratigraph.errors import ConfigError, IntegrityError
from stratigraph.evidence.boundaries import check_looks, spent, thresholds
from stratigraph.evidence.family import LEVEL, PRIMARY
from stratigraph.evidence.sequential import FUTILE, Looks, Standing
from stratigraph.records import read_json, remove_leftovers, write_json
from stratigraph.records.files import FORMAT, check_format
from stratigraph.study import Study, findings_path
from stratigraph.study.layout import LOOKS, STANDINGS

__all__ = ["find_looks", "fix_looks", "keep_standings", "plan_looks", "read_looks"]

USUAL = (4, 6, 8, 12, 18, 24, 36, 48)


def plan_looks(most: int, fewest: int = 2) -> tuple[int, ...]:
    """The usual looks, up to ``most`` replicates.

    Args:
        most: at the last look.
        fewest: that there are already.

    Raises:
        ConfigError: there are more already.

    """
    if most < fewest:
        raise ConfigError(
            f"--most: expected at least the {fewest} replicates that the study has, got {most}."
        )
    first = [fewest] if fewest > USUAL[0] else []
    return check_looks(
        sorted({*first, *(count for count in USUAL if fewest <= count < most), most})
    )


def read_looks(study: Path) -> tuple[int, ...] | None:
    """The looks that a study is planned to be looked at, in replicates; None if it is not.

    Raises:
        ConfigError: a newer version wrote it.
        IntegrityError: the file is damaged.

    """
    path = study / LOOKS
    if not path.is_file():
        return None
    held = read_json(path)
    check_format(held["format"], path)
    return check_looks(held["looks"])


def fix_looks(study: Path, counts: Sequence[int]) -> None:
    """Write a plan down, before the first look; the same plan again changes nothing.

    Raises:
        ConfigError: there is another plan, or findings were looked at without one.

    """
    counts = check_looks(counts)
    now = read_looks(study)
    if now == counts:
        return
    told = ", ".join(map(str, counts))
    if now is not None:
        raise ConfigError(
            f"{study}: its looks are planned at {', '.join(map(str, now))} replicates, not at "
            f"{told}; a plan is fixed before the first look. Choose another --out."
        )
    if findings_path(study).is_file():
        raise ConfigError(
            f"{study}: its findings were already seen, so looks can no longer be planned for it; "
            f"choose another --out. `stratigraph power {study}` says how many replicates would "
            "decide."
        )
    remove_leftovers(study, of=LOOKS)
    plan = {
        "format": FORMAT,
        "looks": list(counts),
        "level": LEVEL,
        "spending": "O'Brien-Fleming type (Lan & DeMets 1983), boundaries of t with one stratum",
        "spent": spent(counts, LEVEL).tolist(),
        # Two-sided p; of a claim that is one-sided, those of twice its level.
        "thresholds": {
            f"{LEVEL:g}/{k}": thresholds(counts, LEVEL / k).tolist()
            for k in range(1, len(PRIMARY) + 1)
        },
        "primary": list(PRIMARY),
        "families": "Holm's procedure over the repeated p of each family",
        "futile": f"chance below {FUTILE:g} that the last look decides, by predictive power; "
        "not binding",
        "ends": "when every primary question is decided, futile or out of budget",
    }
    write_json(study / LOOKS, plan)


def find_looks(study: Study, way: str) -> Looks | None:
    """Where a study is in its plan, and where its questions stood; None if nothing is planned.

    Raises:
        ConfigError: it has a number of replicates at which no look is planned.
        IntegrityError: where questions stood after the look before is lost.

    """
    counts = read_looks(study.path)
    if counts is None:
        return None
    held = study.config.replicates
    if held not in counts:
        raise ConfigError(
            f"{study.path}: has {held} replicates, and its looks are planned at "
            f"{', '.join(map(str, counts))}; `stratigraph run {study.path} --until-decided` "
            "continues to the next look."
        )
    now = counts.index(held)
    stood = _read_standings(study.path)
    if now and str(counts[now - 1]) not in stood:
        raise IntegrityError(
            f"{study.path / STANDINGS}: has nothing of the look at {counts[now - 1]} replicates, "
            "and a verdict given then must stay. Put the file back, or start again with another "
            "--out."
        )
    before = stood[str(counts[now - 1])] if now else {}
    return Looks(counts, now, {key: _standing(one) for key, one in before.get(way, {}).items()})


def keep_standings(study: Study, standings: Mapping[str, Mapping[str, Standing]]) -> None:
    """Write down where questions stand after this look: way → question → standing.

    Of a look made anew, which comes to the same, what later ones came to is forgotten.
    """
    counts = read_looks(study.path) or ()
    now = study.config.replicates or 0
    held = _read_standings(study.path)
    kept = {str(count): held[str(count)] for count in counts if count < now and str(count) in held}
    kept[str(now)] = {
        way: {
            key: {**asdict(one), "p": None if math.isnan(one.p) else one.p}
            for key, one in found.items()
        }
        for way, found in standings.items()
    }
    remove_leftovers(study.path, of=STANDINGS)
    write_json(study.path / STANDINGS, {"format": FORMAT, "looks": kept})


def _read_standings(study: Path) -> dict[str, Any]:
    path = study / STANDINGS
    if not path.is_file():
        return {}
    held = read_json(path)
    check_format(held["format"], path)
    found: dict[str, Any] = held["looks"]
    return found


def _standing(held: Mapping[str, Any]) -> Standing:
    values = {field.name: held[field.name] for field in fields(Standing)}
    return Standing(**{**values, "p": math.nan if held["p"] is None else held["p"]})

"""``stratigraph plan``: what a study will cost, before it runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from stratigraph.cli.options import (
    AsJson,
    MaxRuns,
    StudySource,
    TableFile,
    Trust,
    Workers,
    refuse_idle,
)
from stratigraph.cli.tables import check_places, write_table
from stratigraph.terminal import tell, tell_json

if TYPE_CHECKING:
    from stratigraph.cost.plan import StudyPlan
    from stratigraph.cost.replicates import Expected

__all__ = ["plan"]


def plan(
    context: typer.Context,
    study: StudySource,
    workers: Workers = None,
    on: Annotated[
        list[int] | None,
        typer.Option("--on", help="Also estimate the time on this many workers; may be repeated."),
    ] = None,
    out: TableFile = None,
    as_json: AsJson = False,
    max_runs: MaxRuns = 10_000,
    trust: Trust = False,
) -> None:
    """Say what a study will cost: counts, disk, memory and time, from a short calibration."""
    from stratigraph.cost.plan import plan_study
    from stratigraph.cost.replicates import expect_replicates
    from stratigraph.engine import LocalEngine
    from stratigraph.study import load_config, load_study
    from stratigraph.training import equal_models
    from stratigraph.values import check_whole

    refuse_idle(context, study)
    check_places(None, out)
    for count in on or []:
        check_whole("--on", count, 1, 10**6)
    if study.is_dir():
        opened = load_study(study, trust)
        opened.require_plugins()
        config = opened.config
    else:
        config = load_config(study, max_runs)
    found = plan_study(config, LocalEngine(workers))
    counts = [found.workers, *(on or [])]
    expected = expect_replicates(config)
    if out is not None:
        import pandas as pd

        write_table(pd.DataFrame([dataclasses.asdict(stage) for stage in found.stages]), out)
    if as_json:
        times = {str(count): round(found.seconds(count), 1) for count in counts}
        decides = [dataclasses.asdict(one) for one in expected]
        tell_json({**dataclasses.asdict(found), "seconds": times, "decides": decides})
        return
    _tell_plan(found, counts)
    if equal := equal_models(config.runs):
        tell(equal)
    for line in _tell_expected(expected):
        tell(line)


def _tell_plan(found: StudyPlan, counts: list[int]) -> None:
    tell(
        f"{found.runs:,} runs, {found.steps:,} steps, {found.snapshots:,} snapshots, "
        f"{found.representations:,} representations"
    )
    for measure, pairs in found.pairs.items():
        tell(f"{measure}: {pairs:,} pairs; {found.plans[measure]}")
    tell(f"disk {found.disk / 1e9:,.2f} GB, memory {found.memory / 1e9:,.2f} GB")
    width = max(len(stage.name) for stage in found.stages)
    for stage in found.stages:
        tell(
            f"  {stage.name.ljust(width)}  {_time(stage.seconds):>8} of one core  "
            f"{stage.count:,} {stage.what}"
        )
    for count in counts:
        workers = "worker" if count == 1 else "workers"
        tell(f"{_time(found.seconds(count))} with {count:,} {workers} as fast as this core")


def _tell_expected(expected: list[Expected]) -> list[str]:
    if not expected:
        return []

    def count(number: int | None) -> str:
        return "over 1,000" if number is None else f"{number:,}"

    held = expected[0].replicates
    lines = [f"replicates of each configuration that decide with power 0.8 (this has {held}):"]
    for one in expected:
        within = "" if one.decided is None else f"; {held} decide what is {one.decided:.2g} beyond"
        lines.append(
            f"  {one.question}: {count(one.needed)} (spread uncertain: {count(one.low)} to "
            f"{count(one.high)}), were it {one.effect:+.2f} as in {one.study}{within}"
        )
    return lines


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"

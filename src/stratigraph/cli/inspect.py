"""``stratigraph list`` and ``show``: the runs of a study, and one of them."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stratigraph.cli.options import AsJson, LightFolder, TableFile
from stratigraph.cli.tables import check_places, write_figure, write_table
from stratigraph.terminal import tell, tell_json, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stratigraph.remote import Published
    from stratigraph.study import Run, Study

__all__ = ["finite", "list_runs", "show"]


def finite(value: Any) -> float | None:
    """A number as JSON holds it, which has no word for what is none."""
    return float(value) if value is not None and math.isfinite(value) else None


def _columns(rows: list[list[str]]) -> None:
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        tell(line.rstrip())


HIDDEN = ("step", "regulariser")


def _state(run: Run, remote: Published | None) -> dict[str, Any]:
    """A run's state; ``interrupted`` where it says that it runs and nothing was heard of it."""
    from stratigraph.study.layout import STATE
    from stratigraph.study.run import mark_interrupted
    from stratigraph.study.state import SILENT

    state = run.state
    if state["state"] != "running":
        return state
    if remote is not None:  # a run publishes once a minute, and the upload takes its time
        live = remote.age < 3 * SILENT
        return {**state, "reason": remote.by} if live else mark_interrupted(run, state)
    file = run.path / STATE
    silent = file.is_file() and time.time() - file.stat().st_mtime > SILENT
    return mark_interrupted(run, state) if silent else state


def list_runs(study: LightFolder, out: TableFile = None, as_json: AsJson = False) -> None:
    """List the runs of a study: state, step, snapshots, configuration."""
    check_places(None, out)
    from stratigraph.home import find_home
    from stratigraph.study import load_study, warning_of
    from stratigraph.training import equal_models

    runs = list(load_study(study).runs.values())
    published = find_home(study).read_published([run.path for run in runs])
    facts = [
        {"run": r.run_id, "steps": r.config.steps,
         "snapshots": len(r.steps if there is None else there.snapshots), **_state(r, there),
         "label": r.config.label()}
        for r, there in zip(runs, published, strict=True)
    ]  # fmt: skip
    if out is not None:
        import pandas as pd

        write_table(pd.DataFrame(facts), out)
    if as_json:
        tell_json(facts)
        return
    rows = [["run", "state", "step", "snapshots", "configuration"]]
    rows += [
        [f["run"], f["state"], f"{f['step']}/{f['steps']}", str(f["snapshots"]),
         f["label"] + (f"  ({f['reason']})" if f.get("reason") else "")
         + (f"  [warning: {warning_of(f)}]" if f.get("signs") else "")]
        for f in facts
    ]  # fmt: skip
    _columns(rows)
    if equal := equal_models(run.config for run in runs):
        tell(equal)


def show(
    study: LightFolder,
    run: Annotated[str, typer.Argument(help="A run's id, or its first digits.", metavar="RUN")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write its losses over training: .csv, .parquet or .nc."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw its losses over training: .png, .pdf or .svg."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: its configuration, state, snapshots and last losses."""
    check_places(figure, out)
    from stratigraph.home import find_home
    from stratigraph.study import load_study

    opened = load_study(study)
    chosen = opened.run(run)
    (remote,) = find_home(study).read_published([chosen.path])
    steps = chosen.steps if remote is None else list(remote.snapshots)
    metrics = chosen.metrics.groupby("split").last() if steps else None
    losses: dict[str, Any] = {}
    if metrics is not None:
        losses = {
            str(split): {name: finite(value) for name, value in row.items()}
            for split, row in metrics.iterrows()
        }
    if out is not None:
        write_table(chosen.metrics, out)
    if figure is not None:
        write_figure(_draw_losses(chosen), figure)
    scores = _scores(opened, chosen.run_id)
    facts = {
        "run": chosen.run_id,
        "label": chosen.config.label(),
        "folder": str(chosen.path if chosen.export is None else opened.path),
        "state": _state(chosen, remote),
        "snapshots": steps,
        "losses": losses,
        "disentanglement": scores,
        "config": chosen.config.to_dict(),
    }
    if as_json:
        tell_json(facts)
        return
    tell(f"{chosen.run_id}  {facts['label']}")
    tell(f"folder     {facts['folder']}")
    state = _state(chosen, remote)
    tell(f"state      {state['state']} at step {state['step']} of {chosen.config.steps}")
    if state.get("reason"):
        tell(f"reason     {state['reason']}")
    for sign in state.get("signs", ()):
        tell(f"warning    {sign}")
    tell(f"snapshots  {', '.join(map(str, steps)) or 'none yet'}")
    for split, row in losses.items():
        # A recorded run has the terms that its caller logged, in the caller's units.
        ours = ("loss", "reconstruction", "kl")
        shown = [key for key in (*ours, *(k for k in row if k not in (*ours, *HIDDEN)))
                 if row[key] is not None]  # fmt: skip
        parts = ", ".join(f"{key} {row[key]:.4g}" for key in shown) or "nothing logged"
        unit = "nats per image, " if "kl" in shown else ""
        tell(f"{split:<10} {parts} ({unit}step {row['step']:.0f})")
    if scores:
        told = (
            f"{name} {'–' if v is None else f'{v:.3f}'}" for name, v in scores["scores"].items()
        )
        tell(f"latents    {', '.join(told)}")
        tell(f"           (of {scores['probes']} probes, step {scores['step']})")
    tell("config")
    for key, value in chosen.config.to_dict().items():
        tell(f"  {key}: {json.dumps(value)}")


def _draw_losses(run: Run) -> Figure:
    from stratigraph.report.figures import draw_losses
    from stratigraph.training import RecordedConfig

    table = run.metrics.assign(configuration=run.config.label(), run=run.run_id)
    if isinstance(run.config, RecordedConfig):  # its caller logged a loss, in the caller's units
        return draw_losses(table[table["loss"].notna()], ("loss",), "loss")
    return draw_losses(table[table["reconstruction"].notna()])


def _scores(study: Study, run_id: str) -> dict[str, Any]:
    """The disentanglement scores of a run's latents at its last step; nothing without any."""
    table = study.disentanglement()
    table = table[table["run"] == run_id]
    if table.empty:
        return {}
    last = table[table["step"] == table["step"].max()]
    return {
        "step": int(last["step"].iloc[0]),
        "probes": int(last["n"].iloc[0]),
        "scores": {
            str(name): finite(value)
            for name, value in zip(last["score"], last["value"], strict=True)
        },
    }

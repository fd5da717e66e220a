"""A study, and a run of it, in ten lines: what it is, how far it came, what it found.

Nothing here raises: what cannot be read is said in its line, and the object is still shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from stratigraph.errors import StratigraphError

if TYPE_CHECKING:
    from stratigraph.study.run import Run
    from stratigraph.study.study import Study

__all__ = ["as_lines", "summarise_run", "summarise_study"]

Rows = list[tuple[str, str]]
SHOWN = 6  # names of a line


def summarise_study(study: Study) -> Rows:
    """What it is, in words: ten rows of a name and what it has."""
    configs = [run.config for run in study.runs.values()]
    states = _told(lambda: _count(run.state["state"] for run in study.runs.values()))
    steps = sorted({config.steps for config in configs})
    return [
        ("folder", str(study.path)),
        ("runs", f"{len(configs)}: {states}" if configs else "none"),
        ("objectives", _count(config.objective["name"] for config in configs)),
        ("networks", _count(config.architecture_name for config in configs)),
        ("data", _count(str(config.data.get("name")) for config in configs)),
        ("training", f"{', '.join(f'{one:,}' for one in steps[:SHOWN])} steps, seeds "
         + _list(sorted({config.seed for config in configs}))),
        ("probes", f"{study.config.probes.count:,} from {study.config.probes.source}"),
        ("compared by", _told(lambda: _list(study.measures())) or "none: `stratigraph compare`"),
        ("findings", _told(lambda: _verdicts(study))),
    ]  # fmt: skip


def summarise_run(run: Run) -> Rows:
    """What it is, in words."""

    def state() -> str:
        known = run.state
        reason = f" ({known['reason']})" if known.get("reason") else ""
        return f"{known['state']} at step {known['step']:,} of {run.config.steps:,}{reason}"

    return [
        ("configuration", run.config.label()),
        ("folder", str(run.path)),
        ("state", _told(state)),
        ("snapshots", _told(lambda: _list(run.steps) or "none yet")),
    ]


def as_lines(title: str, rows: Rows) -> str:
    """The rows under a title, as text."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name.ljust(width)}  {value}" for name, value in rows)])


def _told(make: Callable[[], str]) -> str:
    try:
        return make()
    except (StratigraphError, OSError) as error:
        return f"not readable ({error})"


def _list(values: Iterable[object]) -> str:
    every = [f"{one:,}" if isinstance(one, int) else str(one) for one in values]
    if len(every) <= SHOWN:
        return ", ".join(every)
    return f"{', '.join(every[: SHOWN - 1])}, …, {every[-1]} ({len(every)})"


def _count(names: Iterable[str]) -> str:
    return _list(f"{count} {name}" for name, count in Counter(names).most_common()) or "none"


def _verdicts(study: Study) -> str:
    from stratigraph.study.layout import findings_path

    if not findings_path(study.path).is_file():
        return "none yet: `stratigraph assess`"
    return _count(row["verdict"] for row in study.findings if row["way"] == "corrected")

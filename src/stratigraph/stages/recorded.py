"""What a recorded study must hold, since nobody but its trainer could make it.

Its layers were read on the probes while the network trained (`stratigraph.record`), so a snapshot
whose representations are gone cannot be read again; without this check it would be left out
silently, and another step taken for the final one.
"""

from __future__ import annotations

from stratigraph.errors import DataError
from stratigraph.records import record_exists
from stratigraph.study import Study, representations_path
from stratigraph.training import RecordedConfig

__all__ = ["check_recorded"]

MOST_TOLD = 3


def check_recorded(study: Study) -> None:
    """See that every snapshot of a recorded run has its representations; other runs are not asked.

    Raises:
        DataError: some are missing, with their runs and steps.

    """
    lost, snapshots = [], 0
    for run in study.runs.values():
        if isinstance(run.config, RecordedConfig):
            snapshots += len(run.steps)
            lost += [
                f"run {run.run_id} at step {step:,}"
                for step in run.steps
                if not record_exists(representations_path(run.path, step))
            ]
    if lost:
        more = f" and {len(lost) - MOST_TOLD} more" if len(lost) > MOST_TOLD else ""
        raise DataError(
            f"study {study.config.name}: {len(lost)} of {snapshots} snapshots have no "
            f"representations: {', '.join(lost[:MOST_TOLD])}{more}. They were read while the "
            "network trained, and cannot be read here without the network and its data: restore "
            "runs/*/representations from a copy, or record the training again. "
            f"`stratigraph verify {study.path}` says what to remove to continue without those "
            "steps."
        )

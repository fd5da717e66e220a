"""Agreement: UDR of each run's latents with those of the other runs of its configuration.

One record a study, ``udr/corrected``, from the posteriors of all runs that reached their last step:

``udr.parquet``   run, step, score (``udr``), value, n (probes), informative (latents), others
                  (runs that it was compared with), reason (what to keep in mind of it)

It needs no factors, so recorded runs and data without any have it; a configuration of one run has
no row. It is made anew when there are other runs, as long as all of them still have what was read.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.identity import digest
from stratigraph.latents.scores.udr import UDRSettings, udr
from stratigraph.records import record_exists, remove_leftovers, write_record
from stratigraph.stages.task import POSTERIOR, current_facts, representations_of
from stratigraph.study import Run, Study, representations_path
from stratigraph.study.layout import POSTERIOR_FILE, posterior_path, udr_path
from stratigraph.training import stratum

__all__ = ["keep_agreement"]

COLUMNS = ["run", "step", "score", "value", "n", "informative", "others", "reason"]


def keep_agreement(study: Study) -> bool:
    """Compare the latents of replicates, where that was not done of these; whether it was now."""
    held = {run: representations_of(study, study.runs[run]) for run in study.complete()}
    posteriors = {
        run: {
            step: files.get(POSTERIOR) or files.get(POSTERIOR_FILE) for step, files in steps.items()
        }
        for run, steps in held.items()
    }
    path = udr_path(study.path)
    gone = [run for run, steps in posteriors.items() if not steps]
    if not posteriors or (gone and record_exists(path)):
        return False
    hashes = digest([[run, sorted(steps.items())] for run, steps in sorted(posteriors.items())])
    about = {"udr": dataclasses.asdict(UDRSettings()), "representations": hashes}
    if current_facts(path, about) is not None:
        return False
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for run, steps in posteriors.items():
        for step, known in steps.items():
            if known:
                groups[stratum(study.runs[run].config), step].append(run)
    rows = [row for (_, step), runs in groups.items() for row in _rows(study, step, runs)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    remove_leftovers(path.parent)
    write_record(path, lambda files: files.table("udr.parquet", table), about)
    return True


def _rows(study: Study, step: int, runs: list[str]) -> list[dict[str, Any]]:
    """Of one configuration at one step; none of a run alone, or of other probes."""
    known = {run: _posterior(study.runs[run], step) for run in runs}
    if len(known) < 2 or len({len(mean) for mean, _ in known.values()}) > 1:
        return []
    return [
        {
            "run": run, "step": step, "score": "udr", "value": found.score, "n": found.n,
            "informative": int(np.isfinite(found.by_latent).sum()), "others": len(known) - 1,
            "reason": found.note,
        }
        for run, found in udr(known).items()
    ]  # fmt: skip


def _posterior(run: Run, step: int) -> tuple[np.ndarray, np.ndarray]:
    file = posterior_path(representations_path(run.path, step))
    mean, log_var = np.load(file, allow_pickle=False)
    return mean, log_var

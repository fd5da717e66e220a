"""The runs of a study, as findings count them: one row each.

A replicate is one run of a configuration. Runs of format 1 that have one seed share their random
streams, whatever their configuration.
"""

from __future__ import annotations

import pandas as pd

from stratigraph.identity import canonical
from stratigraph.study.study import Study

__all__ = ["table_of_runs"]


def table_of_runs(study: Study) -> pd.DataFrame:
    """One row a run that reached its last step.

    Returns:
        run, config (that of the runs which differ in their replicate alone), replicate, stream
        (whose random streams it draws), duplicate_of, learned (None: not known) and why not.

    """
    rows = []
    for run_id in study.complete():
        config = study.runs[run_id].config
        rows.append(
            {
                "run": run_id,
                "config": canonical({**config.to_dict(), "seed": 0}),
                "replicate": config.seed,
                "stream": f"seed {config.seed}",
                "duplicate_of": "",
                "learned": None,
                "why": "",
            }
        )
    names = ["run", "config", "replicate", "stream", "duplicate_of", "learned", "why"]
    return pd.DataFrame(rows, columns=names)

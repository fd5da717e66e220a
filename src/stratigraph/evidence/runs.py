"""The table of a study's runs: what each is a replicate of, and whether it learned.

One row a run that reached its last step:

``run``           its id
``config``        its stratum (`stratigraph.training.stratum`): equal for replicates, and for models
                  that are equal whatever they are called
``replicate``     its number, or its seed; not unique in a stratum that equal models share
``streams``       ``own``: independent of all other runs; ``shared``: its seed's numbers are those of
                  every configuration
``duplicate_of``  the run that it is bit for bit, the same model with the same shared streams; or ""
``learned``       True, False, or None where it is not known
``why``           one sentence where ``learned`` is not True; else ""
``error``         its held-out reconstruction (of a classifier, cross-entropy), in nats
``floor``         that of the best constant answer
``best``          the least of the study's runs of the same data and likelihood
"""

from __future__ import annotations

import math

import pandas as pd

from stratigraph.study.study import Study
from stratigraph.training import RunConfig, model_of, stratum

__all__ = ["COLUMNS", "table_of_runs"]

COLUMNS = (
    "run", "config", "replicate", "streams", "duplicate_of", "learned", "why", "error", "floor",
    "best",
)  # fmt: skip


def table_of_runs(study: Study) -> pd.DataFrame:
    """One row a run that reached its last step, in the study's order; see above."""
    configs = {run_id: study.runs[run_id].config for run_id in study.complete()}
    with study.reading():
        strata = {run_id: stratum(config) for run_id, config in configs.items()}
        twins = _duplicates(configs, strata)
    rows = [
        {
            "run": run_id,
            "config": strata[run_id],
            "replicate": config.seed,
            "streams": config.streams,
            "duplicate_of": twins.get(run_id, ""),
            "learned": None,
            "why": "not known",
            "error": math.nan,
            "floor": math.nan,
            "best": math.nan,
        }
        for run_id, config in configs.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"learned": object})


def _duplicates(configs: dict[str, RunConfig], strata: dict[str, str]) -> dict[str, str]:
    """Run → the run that it is bit for bit: that which is called by the simplest name, if any."""
    groups: dict[tuple[str, int], list[str]] = {}
    for run_id, config in configs.items():
        if config.streams == "shared":
            groups.setdefault((strata[run_id], config.seed), []).append(run_id)
    found = {}
    for runs in groups.values():
        named = [i for i in runs if model_of(configs[i])["name"] == configs[i].objective["name"]]
        first = (named or runs)[0]
        found |= {run_id: first for run_id in runs if run_id != first}
    return found

"""What a run's encoder said of the probes: mean and variance of q(z|x)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stratigraph.errors import InputError
from stratigraph.records import record_exists, verified
from stratigraph.similarity.stochastic_shape import Gaussians
from stratigraph.study.layout import posterior_path, representations_path
from stratigraph.study.run import Run

if TYPE_CHECKING:
    from stratigraph.study.study import Study

__all__ = ["read_posterior"]


def read_posterior(study: Study, chosen: Run, step: int | None = None) -> Gaussians:
    """See `Study.posterior`."""
    steps = study.steps(chosen)
    at = step if step is not None or not steps else steps[-1]
    record = representations_path(chosen.path, at or 0, study.way.folder)
    if study.export is not None or at not in steps or not record_exists(record):
        raise InputError(
            f"run {chosen.run_id} has no representations of step {at}; it has snapshots at "
            f"{', '.join(map(str, steps)) or 'no step'}, which `stratigraph extract` reads."
        )
    file = posterior_path(record)
    if not verified(record).get("posterior", file.is_file()):  # a layer may be called so
        raise InputError(f"run {chosen.run_id} has no posterior with a mean and a variance.")
    mean, log_var = np.load(file, allow_pickle=False).astype(float)
    return Gaussians(mean, np.exp(log_var))

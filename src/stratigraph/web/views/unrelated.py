"""What unrelated probes score, as far as it is known without a single representation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stratigraph.records import record_exists
from stratigraph.study import Study, probes_path
from stratigraph.web.query import defined

__all__ = ["count_probes", "exact_null"]


def count_probes(study: Study, probes: str) -> int:
    """How many probes a set has; 0 where nobody kept it."""
    record = probes_path(study.path, probes)
    if not record_exists(record):
        return 0
    return len(np.load(record / "indices.npy", mmap_mode="r", allow_pickle=False))


def exact_null(n: int) -> dict[str, Any]:
    """Of debiased CKA: its mean and standard deviation over all permutations of n > 3 probes."""
    sd = defined([math.sqrt(2 / (n * (n - 3)))])[0]
    return {"mean": 0.0, "sd": sd, "how": "exact, over all permutations of the probes"}

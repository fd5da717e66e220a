"""Whether other probes would rank pairs alike: scores of half of the probes against the rest's.

An interval says how far a score would move with other probes; what is read off a matrix is mostly
an order, which pairs are more alike than which. With θ_H the scores of pairs by half of the probes
and θ_R by the rest, the agreement is Spearman's rank correlation of the two, over splits: 1 where
any half tells the same order, 0 where its order is chance. Halves have fewer probes than all, so of
all of them it says too little rather than too much.

Source: Ciernik et al. 2024, arXiv 2411.05561 (whether similarities rank pairs alike across data).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["rank_agreement"]

LEAST = 4  # pairs that can be ranked


def rank_agreement(halves: np.ndarray, kinds: np.ndarray) -> pd.DataFrame:
    """The agreement of halves on the order of the pairs of each kind.

    Args:
        halves: scores (m, 2s): of either half of each of s splits, beside each other.
        kinds: which pairs are ranked together, (m,).

    Returns:
        One row a kind of four pairs or more with a score in every half: kind, pairs, ``agreement``
        (the mean over splits; NaN where all scores are equal) and ``lowest`` of the splits.

    """
    rows = []
    for kind in dict.fromkeys(kinds.tolist()):
        own = halves[kinds == kind]
        own = own[np.isfinite(own).all(1)]
        if len(own) < LEAST:
            continue
        ranks = stats.rankdata(own, axis=0)
        ranks -= ranks.mean(0)
        one, other = ranks[:, ::2], ranks[:, 1::2]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (one * other).sum(0) / np.sqrt((one**2).sum(0) * (other**2).sum(0))
        known = found[np.isfinite(found)]
        agreement = float(known.mean()) if len(known) else math.nan
        lowest = float(known.min()) if len(known) else math.nan
        rows.append({"kind": kind, "pairs": len(own), "agreement": agreement, "lowest": lowest})
    return pd.DataFrame(rows, columns=["kind", "pairs", "agreement", "lowest"])

r"""When a latent's collapse is told, by how much before the end, and how often in vain.

Of each latent of a run a signal s_t falls as it collapses: its KL term, its information, or a bound
of it. A rule warns of the latent at the first step t > 0 at which s_t is below a threshold, if the
latent was above it at a step before, or a tenth of the training is over (an untrained network is
near the prior and knows nothing). The latent is *dead* if its KL term is below `COLLAPSED` at the
last step. A warning of one that is dead is a hit, its lead the steps from there to the end; of one
that is not it is a false alarm; a dead latent not warned of before the last step is missed.

Tables that were kept without posteriors still bound the information. With V = Var(μ) + E σ² the
variance of the aggregate posterior, and m its mean,

    I = KL − KL(q(z) ‖ N(0, 1)) ≤ KL − ½ (V + m² − 1 − log V) ≤ KL − ½ (V − 1 − log V),

since of all densities with two given moments the Gaussian is nearest to N(0, 1). So after the first
tenth of training information warns no later than this bound, and the bound no later than the KL
term; before it, a KL term that falls because the posterior moves to the prior is not taken for a
collapse of what had carried nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from stratigraph.training.signs import COLLAPSED

__all__ = ["Tally", "information_bound", "tally", "warned_at"]

EARLY = 0.1  # of the training


class Tally(NamedTuple):
    """What a rule did over the latents of some runs.

    Attributes:
        dead: latents that are dead at the end.
        hits: of these, warned of before the last step.
        false_alarms: latents that were warned of and are not dead.
        alive: latents that are not.
        lead: steps between the warning and the end, mean over the hits, as a share of training.

    """

    dead: int
    hits: int
    false_alarms: int
    alive: int
    lead: float


def information_bound(table: pd.DataFrame) -> pd.Series:
    """An upper bound of each row's information, from kl, variance and mean_variance."""
    spread = (table["variance"] + table["mean_variance"]).to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = 0.5 * (spread - 1 - np.log(spread))
    bound = table["kl"].to_numpy(dtype=float) - np.maximum(np.nan_to_num(excess), 0)
    return pd.Series(np.maximum(bound, 0), index=table.index)


def warned_at(table: pd.DataFrame, signal: pd.Series, threshold: float) -> pd.DataFrame:
    """When a rule warns of each latent.

    Args:
        table: run, latent, step, kl: one row a run, latent and step.
        signal: of each row.
        threshold: below which it warns.

    Returns:
        One row a run and latent: run, latent, warned (a step; NaN for never), dead, last (the
        run's last step).

    """
    rows = table.assign(signal=signal).sort_values(["run", "latent", "step"])
    last = rows.groupby("run")["step"].transform("max")
    later = rows["step"] > 0
    above = ((rows["signal"] >= threshold) & later).groupby([rows["run"], rows["latent"]]).cummax()
    told = later & (rows["signal"] < threshold) & (above | (rows["step"] >= EARLY * last))
    keys = [rows["run"], rows["latent"]]
    first = rows["step"].where(told).groupby(keys).min()
    ends = rows[rows["step"] == last].set_index(["run", "latent"])
    found = pd.DataFrame({"warned": first}).loc[ends.index]
    return found.assign(dead=ends["kl"] < COLLAPSED, last=ends["step"]).reset_index()


def tally(warned: pd.DataFrame) -> Tally:
    """Hits, false alarms and the lead of `warned_at`."""
    before = warned["warned"] < warned["last"]
    hits = warned[warned["dead"] & before]
    share = (hits["last"] - hits["warned"]) / hits["last"]
    dead = int(warned["dead"].sum())
    return Tally(
        dead,
        len(hits),
        int((~warned["dead"] & before).sum()),
        len(warned) - dead,
        float(share.mean()) if len(hits) else float("nan"),
    )

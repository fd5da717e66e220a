"""Warnings of a collapse: hits, false alarms and leads of curves that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stratigraph.latents import information, kl_by_latent
from stratigraph.latents.warnings import information_bound, tally, warned_at

STEPS = (0, 5, 50, 100, 500, 1000)


def table_of(**latents):
    return pd.concat(
        [
            pd.DataFrame({"run": "r", "latent": name, "step": STEPS, "kl": values})
            for name, values in latents.items()
        ],
        ignore_index=True,
    )


def test_who_is_warned_of_and_when():
    table = table_of(
        alive=[0, 1, 1, 1, 1, 1],
        dies=[0, 1, 1, 1, 0, 0],  # at 500, after it was above
        never=[0, 0, 0, 0, 0, 0],  # at 100, a tenth of the training
        back=[0, 1, 0, 1, 1, 1],  # a false alarm at 50
        late=[0, 1, 1, 1, 1, 0],  # at the end alone: missed
    )
    found = warned_at(table, table["kl"], 0.5)
    when = found.set_index("latent")["warned"]
    assert when[["dies", "never", "back", "late"]].tolist() == [500, 100, 50, 1000]
    assert np.isnan(when["alive"])
    told = tally(found)
    assert (told.dead, told.hits, told.false_alarms, told.alive) == (3, 2, 1, 2)
    assert told.lead == pytest.approx((0.5 + 0.9) / 2)


def test_the_bound_lies_between_information_and_the_kl_term():
    rng = np.random.default_rng(0)
    mean = 3 + rng.standard_normal((400, 6)) * [0, 0.1, 0.5, 1, 2, 4]
    log_var = rng.normal(-1, 0.5, (400, 6))
    table = pd.DataFrame(
        {
            "kl": kl_by_latent(mean, log_var),
            "variance": np.exp(log_var).mean(axis=0),
            "mean_variance": mean.var(axis=0),
        }
    )
    bound = information_bound(table).to_numpy()
    assert (information(mean, log_var).nats <= bound + 1e-9).all()
    assert (bound <= table["kl"]).all()
    assert (bound[:2] < table["kl"][:2] - 0.1).all()  # which the prior alone accounts for

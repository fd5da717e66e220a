"""A claim's contrast as weights of the scores that it reads: what influences add up by.

Claim 1 asks for the area of the encoder's layers less the decoder's (`settling`), which is linear
in the scores, area by area, layer by layer and run by run; so it is Σ_p w_p θ_p over pairs of a
layer at a step with itself at the last, and what a probe does to it is the same sum of what it does
to the scores (`stratigraph.pairs.influence`). Every configuration counts alike, and every run of
one.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.parts import decoder, encoder
from stratigraph.evidence.evidence import Pairs
from stratigraph.evidence.settling import areas

__all__ = ["weigh_encoder_less_decoder"]


def weigh_encoder_less_decoder(pairs: Pairs) -> np.ndarray:
    """Weights (m,) of the scores of which claim 1's contrast is the sum.

    Args:
        pairs: of layers of VAEs with their last step. A layer without a score at some step has no
            area, and no weight.

    Returns:
        All 0 where no run has both an encoder and a decoder with an area.

    """
    table = pairs.table
    known = np.isfinite(pairs.values[:, 0])
    of_config: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for run in dict.fromkeys(table["run_x"]):
        own = np.flatnonzero((table["run_x"] == run).to_numpy())
        # The area of a score that is 1 at one pair and 0 at all others is that pair's weight.
        chosen = Pairs(table.iloc[own].reset_index(drop=True), np.eye(len(own)))
        rows, weight, _ = areas(chosen)
        holes = set(table["layer_x"].iloc[own[~known[own]]])
        whole = ~rows["layer_x"].isin(holes).to_numpy() & np.isfinite(weight).all(1)
        early, late = encoder(rows) & whole, decoder(rows) & whole
        if early.any() and late.any():
            found = weight[early].mean(0) - weight[late].mean(0)
            of_config.setdefault(str(rows["config_x"].iloc[0]), []).append((own, found))
    weights = np.zeros(len(table))
    for runs in of_config.values():
        for own, found in runs:
            weights[own] = found / len(runs) / len(of_config)
    return weights

r"""Unsupervised disentanglement ranking: the latents of two networks, the same one by one.

Networks that disentangle do so alike, networks that entangle each in a way of its own; so agreement
between seeds tells them apart without any factors. With R (z_i × z_j) the relation of each latent a
of network i to each latent b of network j, r_a the largest of a row, r_b that of a column, and the
sums over the informative latents alone, d_i and d_j of them (of which the KL term is above `KL`),

    UDR_ij = (Σ_b r_b² / Σ_a R_ab + Σ_a r_a² / Σ_b R_ab) / (d_i + d_j),     UDR_i = median_j UDR_ij,

over the other networks j of one configuration: 1 where each latent has one partner and no other,
0 where nothing is informative. R is the absolute rank correlation over the probes (Spearman), or
the absolute coefficients of a lasso of b on all a, both of standardised means.

In R both sums run over informative latents on both sides, as in the authors' code. A pair whose two
networks have none is 0: what tells nothing is not disentangled.

Source: Duan et al. 2020, arXiv 1905.12614, section 4. The lasso's penalty is that of their code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from stratigraph.errors import ConfigError, InputError
from stratigraph.latents.regime import check_rows, kl_by_latent
from stratigraph.latents.scores.table import Scored, moves

__all__ = ["UDRSettings", "agreement", "udr"]

RELATIONS = ("spearman", "lasso")


@dataclass(frozen=True)
class UDRSettings:
    """How latents are related.

    Args:
        relation: ``spearman`` or ``lasso``.
        kl: nats, above which a latent is informative.
        penalty: of the lasso.

    """

    relation: str = "spearman"
    kl: float = 0.01
    penalty: float = 0.1

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise ConfigError(
                f"udr: relation: expected {' or '.join(RELATIONS)}, got {self.relation!r}."
            )


def agreement(relation: np.ndarray) -> float:
    """UDR_ij of the relation R of two networks' informative latents, (d_i, d_j), not negative."""
    if not all(relation.shape):
        return 0.0  # latents without any partner
    return float(_shares(relation.T).sum() + _shares(relation).sum()) / sum(relation.shape)


def udr(
    posteriors: Mapping[str, tuple[np.ndarray, np.ndarray]], settings: UDRSettings | None = None
) -> dict[str, Scored]:
    """UDR_i of each of some networks, all of one configuration, on the same probes.

    Args:
        posteriors: name → mean and log-variance of q(z|x), each (n, z).
        settings: how latents are related.

    Returns:
        name → its score; `Scored.by_latent` is each latent's r_a² / Σ_b R_ab, averaged over the
        other networks and NaN where it is not informative; NaN with a reason of a network alone.

    Raises:
        InputError: not finite, or not of the same probes.

    """
    own = settings or UDRSettings()
    names = list(posteriors)
    means = {name: check_rows(posteriors[name][0], f"{name}: mean") for name in names}
    counts = {name: len(mean) for name, mean in means.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"udr: expected the same probes for all networks, got {counts} of them.")
    known = {
        name: np.flatnonzero((kl_by_latent(*posteriors[name]) > own.kl) & moves(means[name]))
        for name in names
    }
    codes = {name: _standardised(means[name][:, known[name]], own.relation) for name in names}
    pairs: dict[tuple[str, str], np.ndarray] = {}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            pairs[one, other] = _relation(codes[one], codes[other], own)
            pairs[other, one] = pairs[one, other].T
    found = {}
    for name in names:
        relations = [pairs[name, other] for other in names if other != name]
        n = counts[name]
        if not relations:
            found[name] = Scored(math.nan, n, own, reason="there is no other network like it")
            continue
        score = float(np.median([agreement(relation) for relation in relations]))
        by_latent = np.full(means[name].shape[1], np.nan)
        by_latent[known[name]] = np.mean([_shares(relation) for relation in relations], axis=0)
        note = "" if len(known[name]) else "no latent is informative"
        found[name] = Scored(score, n, own, by_latent=by_latent, note=note)
    return found


def _shares(relation: np.ndarray) -> np.ndarray:
    """r_a² / Σ_b R_ab of each latent of the first network."""
    sums = relation.sum(axis=1)
    most = relation.max(axis=1, initial=0.0)
    return np.divide(most**2, sums, out=np.zeros_like(sums), where=sums > 0)


def _standardised(codes: np.ndarray, relation: str) -> np.ndarray:
    """Columns, or their ranks, of mean 0 and length 1."""
    values = scipy.stats.rankdata(codes, axis=0) if relation == "spearman" else codes
    centred = values - values.mean(axis=0)
    unit: np.ndarray = centred / np.linalg.norm(centred, axis=0)
    return unit


def _relation(one: np.ndarray, other: np.ndarray, settings: UDRSettings) -> np.ndarray:
    """R: (d_i, d_j), at least 0."""
    if not one.shape[1] or not other.shape[1]:
        return np.zeros((one.shape[1], other.shape[1]))
    if settings.relation == "spearman":
        return np.abs(one.T @ other)
    from sklearn.linear_model import Lasso

    scale = math.sqrt(len(one))  # to a variance of 1
    fitted = Lasso(alpha=settings.penalty).fit(scale * one, scale * other)
    return np.abs(np.asarray(fitted.coef_).reshape(other.shape[1], -1)).T

"""Every disentanglement score, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stratigraph.errors import InputError, suggest
from stratigraph.latents.scores.beta_vae import BetaVAESettings, beta_vae_score
from stratigraph.latents.scores.dci import DCISettings, dci
from stratigraph.latents.scores.factor_vae import FactorVAESettings, factor_vae_score
from stratigraph.latents.scores.irs import IRSSettings, irs
from stratigraph.latents.scores.mig import MIGSettings, mig
from stratigraph.latents.scores.modularity import ModularitySettings, modularity
from stratigraph.latents.scores.sap import SAPSettings, sap
from stratigraph.latents.scores.table import Scored

__all__ = ["SCORES", "Score", "disentanglement_scores", "find_score"]


@dataclass(frozen=True)
class Score:
    """A disentanglement score: larger is more disentangled, 1 the most.

    Attributes:
        name: in tables and studies.
        title: in figures.
        of: the function of codes and factors.
        settings: the class of its estimator's settings, with their defaults.
        asks: the question, in a few words.
        source: who defined it.
        invariant: what changes of the codes leave it as it is but for rounding: ``permutation`` of
            the latents, ``sign``, ``scale`` of each latent by a factor of its own, ``global
            scale`` of all by one.
        quick: whether it takes milliseconds, so that studies have it of every snapshot.
        categorical: whether it needs to know which factors have no order.
        parts: the parts of `Scored` that are scores of their own, with their titles.

    """

    name: str
    title: str
    of: Callable[..., Scored]
    settings: Callable[..., Any]
    asks: str
    source: str
    invariant: tuple[str, ...]
    quick: bool = True
    categorical: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def titles(self) -> dict[str, str]:
        """Its numbers, ``<name>`` and ``<name>_<part>``, and what figures call them."""
        return {
            self.name: self.title,
            **{f"{self.name}_{part}": title for part, title in self.parts.items()},
        }

    @property
    def by_factor(self) -> str:
        """Which of these numbers `Scored.by_factor` is the shares of."""
        return "dci_completeness" if self.name == "dci" else self.name


SCORES: dict[str, Score] = {
    "mig": Score(
        "mig", "MIG", mig, MIGSettings,
        "is each factor in one latent, and in no other?",
        "Chen et al. 2018",
        ("permutation", "sign", "scale", "global scale"),
    ),
    "sap": Score(
        "sap", "SAP", sap, SAPSettings,
        "how much better does one latent predict each factor than the next?",
        "Kumar et al. 2018",
        ("permutation", "sign", "scale", "global scale"),
        categorical=True,
    ),
    "modularity": Score(
        "modularity", "Modularity", modularity, ModularitySettings,
        "does each latent hold one factor?",
        "Ridgeway & Mozer 2018",
        ("permutation", "sign", "scale", "global scale"),
    ),
    "irs": Score(
        "irs", "IRS", irs, IRSSettings,
        "does each latent stay where it is while all factors but one change?",
        "Suter et al. 2019",
        ("permutation", "sign", "global scale"),
    ),
    "dci": Score(
        "dci", "DCI disentanglement", dci, DCISettings,
        "is each latent important to one factor?",
        "Eastwood & Williams 2018",
        (),
        quick=False,
        parts={"completeness": "DCI completeness", "informativeness": "DCI informativeness"},
    ),
    "factor_vae": Score(
        "factor_vae", "FactorVAE", factor_vae_score, FactorVAESettings,
        "does the latent that varies least tell which factor was held?",
        "Kim & Mnih 2018",
        ("permutation", "sign"),
        quick=False,
    ),
    "beta_vae": Score(
        "beta_vae", "β-VAE", beta_vae_score, BetaVAESettings,
        "can a linear classifier tell which factor two images share?",
        "Higgins et al. 2017",
        ("global scale",),
        quick=False,
    ),
}  # fmt: skip


def find_score(name: str) -> Score:
    """A score by its name.

    Raises:
        InputError: none has this name; near names are suggested.

    """
    if name not in SCORES:
        raise InputError(f"score: unknown name {name!r}.{suggest(name, SCORES)}")
    return SCORES[name]


def disentanglement_scores(
    codes: np.ndarray,
    factors: np.ndarray,
    names: Sequence[str] = tuple(SCORES),
    categorical: Sequence[int] = (),
) -> dict[str, Scored]:
    """Scores of codes (n, z) against factors (n, f), with the default settings.

    Args:
        codes: finite numbers, (n, z).
        factors: whole numbers, (n, f).
        names: the scores; all by default.
        categorical: the columns of factors whose values have no order.

    Raises:
        InputError: no score has such a name, or codes and factors do not fit each other.

    """
    chosen = [find_score(name) for name in names]
    return {
        score.name: score.of(codes, factors, categorical=categorical)
        if score.categorical
        else score.of(codes, factors)
        for score in chosen
    }

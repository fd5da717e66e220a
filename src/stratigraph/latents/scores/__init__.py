"""Disentanglement scores: is each factor of variation in a latent of its own? One score a file."""

from stratigraph.latents.scores.beta_vae import BetaVAESettings, beta_vae_score
from stratigraph.latents.scores.catalog import SCORES, Score, disentanglement_scores, find_score
from stratigraph.latents.scores.dci import DCISettings, completeness, dci, disentanglement
from stratigraph.latents.scores.factor_vae import FactorVAESettings, factor_vae_score
from stratigraph.latents.scores.irs import IRSSettings, irs
from stratigraph.latents.scores.known import KNOWN, factor_grid, known_codes
from stratigraph.latents.scores.mig import MIGSettings, mig
from stratigraph.latents.scores.modularity import ModularitySettings, modularity, modularity_of
from stratigraph.latents.scores.sap import SAPSettings, sap
from stratigraph.latents.scores.table import Scored

__all__ = [
    "KNOWN",
    "SCORES",
    "BetaVAESettings",
    "DCISettings",
    "FactorVAESettings",
    "IRSSettings",
    "MIGSettings",
    "ModularitySettings",
    "SAPSettings",
    "Score",
    "Scored",
    "beta_vae_score",
    "completeness",
    "dci",
    "disentanglement",
    "disentanglement_scores",
    "factor_grid",
    "factor_vae_score",
    "find_score",
    "irs",
    "known_codes",
    "mig",
    "modularity",
    "modularity_of",
    "sap",
]

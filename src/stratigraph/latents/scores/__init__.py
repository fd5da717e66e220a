"""Disentanglement scores: is each factor of variation in a latent of its own? One score a file."""

from stratigraph.latents.scores.beta_vae import (
    BetaVAESettings as BetaVAESettings,
    beta_vae_score as beta_vae_score,
)
from stratigraph.latents.scores.catalog import (
    SCORES as SCORES,
    disentanglement_scores as disentanglement_scores,
    find_score as find_score,
)
from stratigraph.latents.scores.dci import (
    DCISettings as DCISettings,
    completeness as completeness,
    dci as dci,
    disentanglement as disentanglement,
)
from stratigraph.latents.scores.factor_vae import (
    FactorVAESettings as FactorVAESettings,
    factor_vae_score as factor_vae_score,
)
from stratigraph.latents.scores.irs import IRSSettings as IRSSettings, irs as irs
from stratigraph.latents.scores.known import factor_grid as factor_grid, known_codes as known_codes
from stratigraph.latents.scores.mig import MIGSettings as MIGSettings, mig as mig
from stratigraph.latents.scores.modularity import (
    ModularitySettings as ModularitySettings,
    modularity as modularity,
    modularity_of as modularity_of,
)
from stratigraph.latents.scores.sap import sap as sap
from stratigraph.latents.scores.udr import UDRSettings as UDRSettings, udr as udr

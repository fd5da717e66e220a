r"""VQ-VAE: R + Σ_l ‖sg(z_l) − e_l‖² + c·Σ_l ‖z_l − sg(e_l)‖², latents that are codes.

z_l is the encoder's vector at position l and e_l the nearest entry of the codebook
(`stratigraph.models.quantised`); sg stops the gradient. The first penalty moves the codebook to the
encoder's vectors, the second, the commitment, holds the encoder to the codebook. Both are sums over
positions and dimensions, averaged over the batch, beside an R in nats an image.

The posterior is one code for certain and the prior is uniform over K codes, so the KL is L·log K
for L positions, whatever the weights: it is logged, and is no part of the loss. The perplexity of
the codes, e^H with H the entropy of how often each is chosen in a batch, is logged beside it: K if
all are used alike, 1 if one is.

Source: van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937, equation 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from stratigraph.objectives.parameters import Number, declared
from stratigraph.objectives.passes import Pass, Terms
from stratigraph.shapes import Scalar

if TYPE_CHECKING:
    from stratigraph.models import Codes

__all__ = ["VQVAE", "distance", "perplexity"]


def distance(a: Tensor, b: Tensor) -> Scalar:
    """Squared distance of positions (b, z, d), summed over them and averaged over the batch."""
    return (a - b).square().sum(dim=(1, 2)).mean()


def perplexity(chosen: Tensor, codes: int) -> Scalar:
    """e^H of the use of ``codes`` codes, chosen (b, z): between 1 and ``codes``."""
    share = torch.bincount(chosen.flatten(), minlength=codes).float() / chosen.numel()
    return torch.special.entr(share).sum().exp()


@dataclass(frozen=True)
class VQVAE:
    """R + the codebook's loss + ``commitment`` times the encoder's, on ``codes`` codes."""

    codes: int = declared(Number(2, 65_536, whole=True))
    dimensions: int = declared(Number(1, 4096, whole=True), 8)
    commitment: float = 0.25
    strength: ClassVar[str | None] = "codes"

    def codebook(self) -> tuple[int, int]:
        """What the network is to quantise with: codes, and dimensions of each."""
        return self.codes, self.dimensions

    def terms(self, given: Pass) -> Terms:
        """R + ‖sg(z) − e‖² + commitment · ‖z − sg(e)‖²."""
        codes = cast("Codes", given.result.posterior)  # the network is one that quantises
        error = given.reconstruction()
        moved = distance(codes.encoded.detach(), codes.vectors)
        held = distance(codes.encoded, codes.vectors.detach())
        regulariser = moved + self.commitment * held
        rate = torch.full_like(error, codes.chosen.shape[1] * math.log(self.codes)).detach()
        more = {"perplexity": perplexity(codes.chosen, self.codes)}
        return Terms(error + regulariser, error, regulariser, rate, None, more)

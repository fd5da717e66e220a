r"""An autoencoder whose latents are codes: entries of a learned codebook.

Each of ``latents`` positions is a vector of ``dimensions`` numbers, and is replaced by the nearest
of ``codes`` vectors e_k:

    z_encoded = linear(encoder(x)),    z_quantised = e_k,  k = argmin_j ‖z_encoded − e_j‖²,
    output = decoder(z_quantised),

position by position. What is read where a VAE has mean and variance is a named module too:
``z_encoded`` and ``z_quantised``, each (b, latents · dimensions). The gradient of the output passes
the choice straight through, as if z_quantised were z_encoded; the codebook is moved by the
objective (`stratigraph.objectives.vq_vae`). There is no noise, no variance, and no posterior beside
the chosen code.

Source: van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from stratigraph.models.vae import names_along
from stratigraph.shapes import Images

__all__ = ["Codebook", "Codes", "QuantisedAutoencoder", "QuantisedOutput"]


class Codes(NamedTuple):
    """The codes of a batch: positions before and after the choice (b, z, d), and choices (b, z).

    ``vectors`` carry the codebook's gradient, ``encoded`` the encoder's.
    """

    encoded: Tensor
    vectors: Tensor
    chosen: Tensor


class QuantisedOutput(NamedTuple):
    """What a forward pass gives: the decoder's output (b, c, h, w), and the codes."""

    output: Tensor
    posterior: Codes


class Codebook(nn.Module):
    """Vectors (b, z · d) → the nearest entry of each position, with the gradient straight through.

    The numbers of a position need not lie together: a map (c, h, w) that was flattened has those of
    a place h · w apart, so that the decoder can make a map of them again.

    Args:
        codes: entries.
        dimensions: of each.
        places: of the map that the vectors were, 1 if they were none.

    """

    def __init__(self, codes: int, dimensions: int, places: int = 1) -> None:
        super().__init__()
        self.places = places
        self.vectors = nn.Parameter(torch.empty(codes, dimensions))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(−1/K, 1/K) for K codes; in the source's code it is U(−√(3/d), √(3/d)), d dimensions."""
        bound = 1 / len(self.vectors)
        nn.init.uniform_(self.vectors, -bound, bound)

    def positions(self, vectors: Tensor) -> Tensor:
        """Vectors (b, z · d) → positions (b, z, d)."""
        grouped = vectors.reshape(len(vectors), -1, self.vectors.shape[1], self.places)
        return grouped.transpose(2, 3).flatten(1, 2)

    def flattened(self, positions: Tensor) -> Tensor:
        """Positions (b, z, d) → vectors (b, z · d)."""
        count, _, dimensions = positions.shape
        return positions.reshape(count, -1, self.places, dimensions).transpose(2, 3).flatten(1)

    def nearest(self, positions: Tensor) -> Tensor:
        """Positions (b, z, d) → the index of the nearest entry of each (b, z)."""
        # ‖z − e‖² without ‖z‖², which is the same for every entry.
        return (self.vectors.square().sum(dim=1) - 2 * positions @ self.vectors.T).argmin(dim=-1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (b, z · d) → entries (b, z · d)."""
        entries = self.flattened(self.vectors[self.nearest(self.positions(vectors))])
        # The bits of the entries: vectors − vectors.detach() is 0, and has the gradient of vectors.
        return entries.detach() + (vectors - vectors.detach())


class QuantisedAutoencoder(nn.Module):
    """Encoder, a head that gives the positions, a codebook and a decoder.

    Args:
        encoder: images (b, c, h, w) → features; its children are its layers.
        z_encoded: features → the positions' vectors (b, z · d).
        z_quantised: what replaces them by entries of the codebook.
        decoder: (b, z · d) → (b, c, h, w), logits or means; its children are its layers.

    """

    def __init__(
        self, encoder: nn.Module, z_encoded: nn.Module, z_quantised: Codebook, decoder: nn.Module
    ) -> None:
        super().__init__()
        self.input = nn.Identity()
        self.encoder = encoder
        self.z_encoded = z_encoded
        self.z_quantised = z_quantised
        self.decoder = decoder

    def forward(self, images: Images, noise: Tensor | None = None) -> QuantisedOutput:
        """One pass; there is nothing that ``noise`` would be added to."""
        vectors = self.z_encoded(self.encoder(self.input(images)))
        output = self.decoder(self.z_quantised(vectors))
        book = self.z_quantised
        positions = book.positions(vectors)
        chosen = book.nearest(positions)
        return QuantisedOutput(output, Codes(positions, book.vectors[chosen], chosen))

    def read(self, images: Images, noise: Tensor, *, from_mean: bool) -> None:
        """Pass every layer once; neither noise nor the decoder's input can be chosen."""
        self(images)

    def layer_names(self) -> list[str]:
        """The layers, in the order in which data passes them."""
        return names_along(self.encoder, ("z_encoded", "z_quantised"), self.decoder)

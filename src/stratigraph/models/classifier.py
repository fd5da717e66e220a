"""A supervised classifier with a VAE's encoder as its trunk: one softmax head for each factor.

The encoder is the VAE's, layer for layer and, for a seed, weight for weight, so that what a network
learns from labels can be compared with what it learns from reconstruction.

Source: Bonheme & Grzes 2022, arXiv 2205.08399, and its code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from stratigraph.shapes import Images

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """An encoder, and a linear layer of logits for each factor.

    Args:
        encoder: images (b, c, h, w) → features (b, …); its children are its layers.
        width: features that the encoder gives, those of a map all together.
        factors: factor → number of its values, at least 2 each.

    """

    def __init__(self, encoder: nn.Module, width: int, factors: Mapping[str, int]) -> None:
        super().__init__()
        self.input = nn.Identity()
        self.encoder = encoder
        # Modules take no dots, and layers become the names of files.
        heads = {re.sub(r"\W", "_", name): size for name, size in factors.items()}
        self.head = nn.ModuleDict({f"{n}": nn.Linear(width, size) for n, size in heads.items()})

    def forward(self, images: Images) -> list[Tensor]:
        """Images (b, c, h, w) → the logits of each factor, (b, size)."""
        features = self.encoder(self.input(images)).flatten(1)
        return [head(features) for head in self.head.values()]

    def read(self, images: Images, noise: Tensor, *, from_mean: bool) -> None:
        """Pass every layer once; there is nothing that noise would be added to."""
        self(images)

    def cross_entropy(self, images: Images, factors: Tensor) -> Tensor:
        """The cross-entropy summed over factors (b, f), averaged over the batch, in nats."""
        logits = self(images)
        return torch.stack(
            [functional.cross_entropy(one, factors[:, i]) for i, one in enumerate(logits)]
        ).sum()

    def layer_names(self) -> list[str]:
        """The layers, in the order in which data passes them."""
        return [
            "input",
            *(f"encoder.{name}" for name, _ in self.encoder.named_children()),
            *(f"head.{name}" for name in self.head),
        ]

"""Cross-entropy of a data set's factors: what a classifier is trained for.

The loss is the sum over factors of the cross-entropy of each softmax head, averaged over the
batch, in nats. It has no reconstruction and no prior: those terms are NaN.

Source: Bonheme & Grzes 2022, arXiv 2205.08399, and its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """The summed cross-entropy of the factors; the encoder is a VAE's, the decoder is not built."""

    strength: ClassVar[str | None] = None

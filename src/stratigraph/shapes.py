"""The legend of axes, and the shapes of public functions as types.

==========  =====================================================================
axis        meaning
==========  =====================================================================
``n``       probes: the fixed, ordered inputs that every network sees
``p, q``    units of a layer
``k``       representations: one run, step and layer each
``z``       latents
``f``       factors of variation of a data set
``b``       images of a batch
``c h w``   channels, rows and columns of an image
==========  =====================================================================

The annotations are checked in the tests (jaxtyping with beartype) and cost nothing elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor

__all__ = [
    "BytesImages",
    "Factors",
    "Images",
    "Indices",
    "Latents",
    "Representation",
    "Scalar",
]

Images: TypeAlias = Float[Tensor, "b c h w"]
Latents: TypeAlias = Float[Tensor, "b z"]
Scalar: TypeAlias = Float[Tensor, ""]
BytesImages: TypeAlias = UInt8[np.ndarray, "b c h w"]
Indices: TypeAlias = Int[np.ndarray, " b"]
Factors: TypeAlias = Int[np.ndarray, "b f"]
Representation: TypeAlias = Float[np.ndarray, "n p"]

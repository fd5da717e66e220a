"""The former name of `stratigraph.stages`; it goes with the next version."""

import warnings

from stratigraph.stages import (
    LatentSizeSettings as LatentSizeSettings,
    choose_latents as choose_latents,
)

warnings.warn(
    "stratigraph.pipeline is called stratigraph.stages now", DeprecationWarning, stacklevel=2
)

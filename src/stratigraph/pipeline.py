"""The former name of `stratigraph.stages`; it goes with the next version."""

from stratigraph.renamed import warn_former
from stratigraph.stages import (
    LatentSizeSettings as LatentSizeSettings,
    choose_latents as choose_latents,
)

warn_former("stratigraph.pipeline", "stratigraph.stages")

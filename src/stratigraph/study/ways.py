"""The ways in which a study is read: the corrected one, and the published one.

A way is what is shown to the networks, what drives the decoder, which CKA scores the pairs, and
from which share of the training on snapshots are compared. The weights are the same; only the
reading differs, so that a verdict that changes between ways is an effect of the reading.

``corrected``
    as the study file says (by default held-out probes, the decoder read from the mean, every
    snapshot), scored by debiased CKA;
``published``
    probes drawn from all images, which are mostly training images; fresh noise into the decoder
    at every reading; biased CKA; no snapshot before 2 % of training.

Source of the published way: the authors' code of Bonheme & Grzes 2022, arXiv 2205.08399.
"""

from __future__ import annotations

from dataclasses import dataclass

from stratigraph.errors import InputError, suggest

__all__ = ["CORRECTED", "PUBLISHED", "WAYS", "Way", "find_way"]


@dataclass(frozen=True)
class Way:
    """A reading of a study.

    Attributes:
        name: as the command line takes it.
        cka: the CKA that scores pairs; Procrustes similarity stands beside it.
        first: the share of training before which no snapshot is compared.
        folder: what the names of this way's folders end with.
        source: where probes are drawn from; None is what the study file says.
        decoder_input: what drives the decoder; None is what the study file says.
        told: all that, in words.

    """

    name: str
    cka: str
    first: float = 0.0
    folder: str = ""
    source: str | None = None
    decoder_input: str | None = None
    told: str = "as the study file says"


CORRECTED = Way("corrected", "debiased_cka")
PUBLISHED = Way(
    "published",
    "linear_cka",
    0.02,
    "-published",
    "paper",
    "fresh_noise",
    "training images, fresh noise, biased CKA, late start",
)
WAYS = {way.name: way for way in (CORRECTED, PUBLISHED)}


def find_way(name: str) -> Way:
    """The way called ``name``.

    Raises:
        InputError: none is.

    """
    if name not in WAYS:
        raise InputError(f"way: none is called {name!r}.{suggest(name, WAYS)}")
    return WAYS[name]

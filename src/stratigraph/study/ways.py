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

A study that asks for the probes of some set of data (``probes: {data: [own, solids]}``) is read
``on`` it as well: its first and last snapshots, of whichever networks, read the probes that
networks of that set have for their own, so that networks of different data can be compared
(`read_on`). These readings answer the claims across data, and no other.

Source of the published way: the authors' code of Bonheme & Grzes 2022, arXiv 2205.08399.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from stratigraph.errors import InputError, suggest

__all__ = ["CORRECTED", "PUBLISHED", "WAYS", "Way", "find_way", "read_on"]


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
        data: whose probes all networks read, the data set's name and options; None: each its own.
        ends: whether the first and the last snapshot alone are read.

    """

    name: str
    cka: str
    first: float = 0.0
    folder: str = ""
    source: str | None = None
    decoder_input: str | None = None
    told: str = "as the study file says"
    data: Mapping[str, Any] | None = field(default=None, hash=False)
    ends: bool = False

    def steps(self, steps: list[int], last: int) -> list[int]:
        """Those of a run's snapshots that are read; ``last`` is the step at which it ends."""
        if self.ends:
            return sorted({*steps[:1], *steps[-1:]})
        return [step for step in steps if step >= self.first * last]


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


def read_on(data: Mapping[str, Any], others: Collection[Way] = ()) -> Way:
    """All networks of a study read the probes of one set of data.

    Args:
        data: its name and options.
        others: the readings on other sets, whose folders are called otherwise.

    """
    name = own = re.sub("[^a-z0-9]+", "_", str(data["name"]).lower()).strip("_")[-40:] or "data"
    number = 1
    while f"-on-{own}" in {other.folder for other in others}:
        number += 1
        own = f"{name}_{number}"
    return Way(
        f"on {own}", CORRECTED.cka, folder=f"-on-{own}", data=data, ends=True,
        told=f"all networks read the probes of {own}, at their first and last step",
    )  # fmt: skip


def find_way(name: str) -> Way:
    """The way called ``name``.

    Raises:
        InputError: none is.

    """
    if name not in WAYS:
        raise InputError(f"way: unknown name {name!r}.{suggest(name, WAYS)}")
    return WAYS[name]

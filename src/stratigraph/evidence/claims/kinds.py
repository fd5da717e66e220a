"""Claims 9 and 15: the place of a part, encoder or decoder, told apart from its kind.

In the published networks the encoder is convolutional and comes first; so does a random
convolution, which keeps the geometry of its input, whatever its place. Where encoders and decoders
of several kinds are crossed, with a_e(k) and a_d(k) the mean area (`stratigraph.evidence.settling`)
of the encoders and of the decoders of kind k, over their partners and within a data set,

    place      mean over k of a_e(k) − a_d(k): the encoder first, the kind held equal;
    kind       mean over both places of a(convolutional) − mean over the other kinds: convolution
               first, the place held equal.

Claim 1 is asked besides of the networks of one kind (fully-connected, transformers), and of those
in which encoder or decoder has at least twice the layers of the other.

Source: the limits named in Bonheme & Grzes 2022 (arXiv 2205.08399); the contrasts are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.encoder_first import LEAST_GAP, VERSIONS, without_untrained
from stratigraph.evidence.claims.parts import (
    decoder,
    encoder,
    of_vaes,
    one_run,
    settling,
    side_by_side,
)
from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question
from stratigraph.evidence.settling import Kind, part_areas

__all__ = ["kinds", "kinds_of"]

CONVOLUTIONAL = (
    "convolutional", "convolutional_k4", "deep_convolutional", "residual", "kl_autoencoder",
)  # fmt: skip
DEEPER = 2  # times the layers of the other part

# key, claim, statement, contrast, what a study without it lacks
Asked = tuple[str, int, str, str, str]


def kinds_of(architecture: str) -> tuple[str, str]:
    """Encoder and decoder of an architecture's name, without their options.

    ``vit(depth=6) → fully_connected`` is ``vit`` and ``fully_connected``; a name alone is both.
    """
    encoder, _, decoder = re.sub(r"\([^)]*\)", "", architecture).partition(" → ")
    return encoder, decoder or encoder


def kinds(evidence: Evidence) -> list[Question]:
    """Networks of one kind; place and kind apart; the deeper encoder, the deeper decoder."""
    questions: list[Question] = []

    def ask(
        asked: Asked,
        contrast: Callable[[Kind], Callable[[Pairs], Contrast | None]],
        keep: Callable[[Pairs], Pairs],
    ) -> None:
        key, claim, statement, words, lacking = asked
        for version, kind, above in VERSIONS:
            found: dict[str, Contrast] = {}
            missing = lacking
            if _any(evidence, keep):
                found = side_by_side(evidence, evidence.to_final, contrast(kind), keep)
                missing = (version and without_untrained(evidence)) or lacking
            questions.append(
                Question(
                    f"{key}{version}",
                    claim,
                    f"{statement}{above}.",
                    words if kind == "similarity" else f"{words}, of progress",
                    found,
                    LEAST_GAP,
                    missing="" if found else missing,
                    unit="progress" if version else "scores",
                )
            )

    def encoder_first(kind: Kind) -> Callable[[Pairs], Contrast | None]:
        return settling(kind, encoder, decoder)

    area = "area of similarity to the final state, encoder less decoder"
    for key, name, words in (
        ("fully_connected", "fully_connected", "fully-connected networks"),
        ("transformers", "vit", "transformers"),
    ):
        ask(
            (key, 9, f"In {words} too the encoder is learned first", f"{area}, {words} only",
             f"The study has no network of which both parts are {words}."),
            encoder_first, _both(name),
        )  # fmt: skip
    crossed = "The study does not cross encoders and decoders of two kinds."
    ask(
        ("encoder_first_of_a_kind", 15,
         "Of parts of the same kind the encoder is learned before the decoder",
         "area, encoders less decoders of the same kind, averaged over kinds", crossed),
        _place, _select_crossed,
    )  # fmt: skip
    ask(
        ("convolution_first", 15,
         "At the same place convolutions are learned before parts of other kinds",
         "area, convolutional parts less others, averaged over both places", crossed),
        _kind, _select_crossed,
    )  # fmt: skip
    for deep, shallow in (("encoder", "decoder"), ("decoder", "encoder")):
        ask(
            (f"deeper_{deep}", 15,
             f"The encoder is learned first where the {deep} is the deeper part",
             f"{area}, where the {deep} has at least twice the layers",
             f"The study has no network whose {deep} has twice the layers of its {shallow}."),
            encoder_first, _deeper(deep, shallow),
        )  # fmt: skip
    return questions


def _any(evidence: Evidence, keep: Callable[[Pairs], Pairs]) -> bool:
    return len(keep(evidence.to_final[evidence.cka])) > 0


def _sides(table: pd.DataFrame) -> pd.DataFrame:
    """The kinds of encoder and decoder of each row (k, 2)."""
    named = {name: kinds_of(str(name)) for name in table["architecture_x"].unique()}
    both = [named[name] for name in table["architecture_x"]]
    return pd.DataFrame(both, columns=["encoder", "decoder"], index=table.index)


def _both(kind: str) -> Callable[[Pairs], Pairs]:
    def keep(pairs: Pairs) -> Pairs:
        vaes = of_vaes(pairs)
        return vaes.where((_sides(vaes.table) == kind).all(axis=1))

    return keep


def _select_crossed(pairs: Pairs) -> Pairs:
    """The networks of data sets on which two kinds stand at both places, beside other kinds.

    Networks that are whole, and those of one kind where none is joined to another, tell nothing of
    place and kind apart.
    """
    vaes = of_vaes(pairs)
    sides = _sides(vaes.table)
    kept = np.zeros(len(vaes), dtype=bool)
    for _, rows in sides.groupby(vaes.table["data_x"], sort=False):
        mixed = rows[rows["encoder"] != rows["decoder"]]
        several = set(mixed["encoder"]) & set(mixed["decoder"])
        if len(several) > 1:
            own = rows["encoder"].isin(several) & rows["decoder"].isin(several)
            kept[rows.index[own]] = True
    return vaes.where(kept)


def _deeper(deep: str, shallow: str) -> Callable[[Pairs], Pairs]:
    def keep(pairs: Pairs) -> Pairs:
        vaes = of_vaes(pairs)
        table = vaes.table
        layers = {
            part: table[table["part_x"] == part].groupby("run_x")["layer_x"].nunique()
            for part in (deep, shallow)
        }
        both = layers[deep].align(layers[shallow], join="inner")
        return vaes.where(table["run_x"].isin(both[0].index[both[0] >= DEEPER * both[1]]))

    return keep


def _by_place(pairs: Pairs, kind: Kind) -> tuple[pd.DataFrame, np.ndarray]:
    """A row a run and place, with the kind of the part there; and its area (m, 1 + g)."""
    runs, areas, layers = part_areas(pairs, [encoder, decoder], kind)
    sides = _sides(runs)
    places = [
        one_run(runs).assign(place=place, kind=sides[place], layers=layers)
        for place in ("encoder", "decoder")
    ]
    return pd.concat(places, ignore_index=True), np.concatenate(areas)


def _place(kind: Kind) -> Callable[[Pairs], Contrast | None]:
    def contrast(pairs: Pairs) -> Contrast | None:
        rows, values = _by_place(pairs, kind)
        group = rows["data_x"].astype(str) + "\n" + rows["kind"]
        return weigh(
            rows.assign(group=group, side=rows["place"]), values, {"encoder": 1.0, "decoder": -1.0}
        )

    return contrast


def _kind(kind: Kind) -> Callable[[Pairs], Contrast | None]:
    def contrast(pairs: Pairs) -> Contrast | None:
        rows, values = _by_place(pairs, kind)
        side = np.where(rows["kind"].isin(CONVOLUTIONAL), "convolutional", "other")
        group = rows["data_x"].astype(str) + "\n" + rows["place"]
        return weigh(
            rows.assign(group=group, side=side), values,
            {"convolutional": 1.0, "other": -1.0}, ["kind"],
        )  # fmt: skip

    return contrast

"""Claim 16: encoders are generic, and decoders specific to the data that they were trained on.

Networks that differ in their data alone are shown the same probes, those of each set of data that
the study asks for (``probes: {data: [own, …]}``). Within a set of probes, and averaged over sets,

    across     the mean similarity of a layer of two networks of different data,
    baseline   that of two replicates of one configuration, on the same probes;

at the last step, of runs that share no random streams. Encoder layers before mean and variance are
generic where across − baseline is above −`MARGIN`, as alike as across seeds within the margin;
decoder layers are specific where it is below. Since one of two differences may pass a margin that
the other just misses, the difference of both is asked as well: how much more the decoder loses.

A decoder reads what its own encoder made of the probes, so that what sets two decoders apart is
also what their latents set apart.

Source: Bonheme & Grzes 2023 (arXiv 2304.10767), as far as its abstract says; the contrasts and the
margin are ours.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from stratigraph.evidence.claims.encoder_first import LEAST_GAP
from stratigraph.evidence.claims.encoders_alike import MARGIN, layer_mean
from stratigraph.evidence.claims.parts import (
    Mask,
    across,
    baseline,
    decoder,
    encoder,
    of_vaes,
    pairs_of_runs,
    side_by_side,
)
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["generic_encoders"]

LEAST_INPUT = 0.995  # below it, networks are told to see different inputs
ALIKE = ["but_data", "shown"]  # what both sides of every pair that is contrasted share
of_other_data = partial(across, what="data")


def generic_encoders(evidence: Evidence) -> list[Question]:
    """Of encoders, of decoders, and of the one against the other."""
    lacking = _lacking(evidence)
    questions = []
    for key, part, statement, speaks, least in (
        (
            "encoders_generic",
            encoder,
            "Encoder layers of networks trained on different data are as alike as across seeds.",
            1.0,
            0.0,
        ),
        (
            "decoders_specific",
            decoder,
            "Decoder layers of networks trained on different data are not as alike as that.",
            -1.0,
            0.0,
        ),
        (
            "encoders_more_generic",
            None,
            "The data that a network was trained on set its decoder apart more than its encoder.",
            1.0,
            LEAST_GAP,
        ),
    ):
        sides = _sides(part, speaks) if part else _sides(encoder, 1.0) | _sides(decoder, -1.0)
        contrast = pairs_of_runs(sides, ALIKE, null=0.0 if least else -speaks * MARGIN)
        found = (
            {}
            if lacking
            else side_by_side(evidence, evidence.across, contrast, partial(_of_part, part=part))
        )
        words = (
            ("across data less across replicates", f"; margin {MARGIN}")
            if speaks > 0
            else ("across replicates less across data", f"; margin {MARGIN}")
        )
        questions.append(
            Question(
                key,
                16,
                statement,
                "similarity on the same probes at the last step, "
                + (
                    f"{words[0]}, {'encoder' if part is encoder else 'decoder'} layers{words[1]}"
                    if part
                    else "across data less across replicates, encoder less decoder"
                ),
                found,
                least,
                [
                    row
                    for measure in found
                    for row in _rows(measure, _of_part(evidence.across[measure], part))
                ]
                if part
                else [],
                missing="" if found else lacking or "Too few replicates.",
                note=_tell_beside(evidence, part) if part and found else "",
                one_sided=not least,
            )
        )
    return questions


def _lacking(evidence: Evidence) -> str:
    """Why it cannot be asked, or ""."""
    pairs = evidence.across.get(evidence.cka)
    if pairs is None or not len(pairs):
        return "Its networks read the probes of their own data alone (`probes: data`)."
    if not of_other_data(pairs).any():
        return "The study has no two networks that differ in their data alone."
    if not baseline(pairs).any():
        return "The study has a single replicate."
    return ""


def _sides(part: Mask, sign: float) -> dict[str, Any]:
    """Across against the baseline, of a part of the network."""

    def within(mask: Any) -> Any:
        return lambda pairs: mask(pairs) & part(pairs.table)

    return {
        f"{part.__name__} across": (sign, within(of_other_data)),
        f"{part.__name__} baseline": (-sign, within(baseline)),
    }


def _of_part(pairs: Pairs, part: Mask | None) -> Pairs:
    """The pairs of VAEs at their last step, of one part or of both."""
    vaes = of_vaes(pairs)
    table = vaes.table
    chosen = part(table) if part else encoder(table) | decoder(table)
    return vaes.where(chosen & (table["last_x"] & table["last_y"]).to_numpy(dtype=bool))


def _tell_beside(evidence: Evidence, part: Mask) -> str:
    """How alike networks for different data were before any training, and what they are shown."""
    pairs = of_vaes(evidence.across[evidence.cka])
    pairs = pairs.where(of_other_data(pairs))
    untrained = part(pairs.table) & (pairs.table["step_x"] == 0).to_numpy()
    inputs = (pairs.table["part_x"] == "input").to_numpy()
    means = [layer_mean(pairs, chosen) for chosen in (untrained, inputs)]
    told = []
    if np.isfinite(means[0]):
        told.append(
            f"Before any training the same layers of such networks already score {means[0]:.2f}."
        )
    if means[1] < LEAST_INPUT:
        told.append(
            f"They do not see the same: probes are made to fit the channels and sizes that each "
            f"takes, and these inputs score {means[1]:.2f}, which no layer after them need exceed."
        )
    return " ".join(told)


def _rows(measure: str, pairs: Pairs) -> list[dict[str, Any]]:
    """A row a set of probes, two sets of data, and layer: across, and the baseline of each."""
    other = of_other_data(pairs)
    table = pairs.table[["shown_x", "layer_x", "data_x", "data_y"]].assign(score=pairs.values[:, 0])
    alone = table[baseline(pairs)]
    own = alone.groupby(["shown_x", "layer_x", "data_x"])["score"].mean().to_dict()
    both = table[other]
    ends = np.sort(both[["data_x", "data_y"]].to_numpy(dtype=object).astype(str), axis=1)
    both = both.assign(one=ends[:, 0], two=ends[:, 1])
    means = both.groupby(["shown_x", "one", "two", "layer_x"], sort=False)["score"].mean()
    return [
        {
            "probes": row["shown_x"],
            "data": row["one"],
            "other": row["two"],
            "layer": row["layer_x"],
            "measure": measure,
            "across": row["score"],
            "baseline": own.get((row["shown_x"], row["layer_x"], row["one"]), np.nan),
            "other_baseline": own.get((row["shown_x"], row["layer_x"], row["two"]), np.nan),
        }
        for row in means.reset_index().to_dict("records")
    ]

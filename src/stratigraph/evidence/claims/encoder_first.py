"""Claim 1: the encoder is learned before the decoder.

The contrast is the encoder's area under the curve of similarity to the final state less the
decoder's (`stratigraph.evidence.settling`), in every run, averaged over configurations. It is asked
in two versions, since random convolutions already carry the geometry of the input and score near 1
before any training: of the raw similarity, as published, and of the progress above the untrained
network. Three witnesses stand beside them, for none of which a layer scores high without having
moved:

- progress by deconfounded CKA, with the kernel of the input regressed out;
- the weights: 1 − ‖W_t − W_T‖/‖W_0 − W_T‖ of each layer;
- the factors: the share of the gain in linear decodability that has been made.

Sources: arXiv 2205.08399 (claim); Cui et al. 2022 (deconfounding).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.numbers import observed
from stratigraph.evidence.claims.parts import (
    configuration,
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
from stratigraph.evidence.settling import Kind, areas

__all__ = ["LEAST_GAP", "VERSIONS", "encoder_first", "without_parts", "without_untrained"]

LEAST_GAP = 0.05
LEAST_GAIN = 0.02  # of decodable variance, per layer: below it no share of a gain can be told
DECONFOUNDED = "deconfounded_cka"
# What a key ends in, the kind of trajectory, and what the statement adds.
VERSIONS: tuple[tuple[str, Kind, str], ...] = (
    ("", "similarity", ""),
    ("_progress", "progress", ", counted from the untrained network"),
)


def without_parts(evidence: Evidence) -> str:
    """Why nothing can be said of encoder and decoder, or ""."""
    parts = set(of_vaes(evidence.to_final[evidence.cka]).table["part_x"])
    lacking = [part for part in ("encoder", "decoder") if part not in parts]
    return f"The study reads no {' and no '.join(lacking)} of a VAE." if lacking else ""


def without_untrained(evidence: Evidence) -> str:
    """Why no progress can be told, or ""."""
    steps = of_vaes(evidence.to_final[evidence.cka]).table["step_x"]
    return (
        "" if (steps == 0).any() else "There is no snapshot of the untrained network to count from."
    )


def encoder_first(evidence: Evidence) -> list[Question]:
    """The raw version, progress, and three witnesses."""
    missing = without_parts(evidence)
    raw, progress = (
        side_by_side(evidence, evidence.to_final, settling(kind, encoder, decoder))
        for kind in ("similarity", "progress")
    )
    questions = [
        Question(
            "encoder_first",
            1,
            "The encoder is learned before the decoder.",
            "area of similarity to the final state, encoder less decoder",
            raw,
            LEAST_GAP,
            _by_configuration(raw),
            missing,
            "" if missing else _tell_untrained(evidence),
            family="primary",
        ),
        Question(
            "encoder_first_progress",
            1,
            "The encoder is learned before the decoder, counted from the untrained network.",
            "area of progress above the untrained network, encoder less decoder",
            progress,
            LEAST_GAP,
            _by_configuration(progress),
            missing or without_untrained(evidence),
            unit="progress",
            family="primary",
        ),
    ]
    lacking = without_untrained(evidence) or "Nothing was observed of it."
    for name, how, contrast in (
        ("deconfounded", "by what the input's geometry does not explain", _deconfounded(evidence)),
        ("weights", "by its weights", _weights(evidence)),
        ("factors", "by the factors that can be read from it", _factors(evidence)),
    ):
        if name == "deconfounded" and DECONFOUNDED not in evidence.to_final:
            continue
        measure = DECONFOUNDED if name == "deconfounded" else name
        questions.append(
            Question(
                f"encoder_first_{name}",
                1,
                f"The encoder is learned before the decoder, {how}.",
                "area of the share of the way that has been made, encoder less decoder",
                {} if contrast is None else {measure: contrast},
                LEAST_GAP,
                missing=missing or ("" if contrast else lacking),
                unit="progress",
            )
        )
    return questions


def _by_configuration(contrasts: Mapping[str, Contrast]) -> list[dict]:
    """The gap of each configuration, averaged over its runs, by every measure."""
    found: dict[str, dict] = {}
    for measure, contrast in contrasts.items():
        for config, group in contrast.table.groupby("config_x", sort=False):
            about = found.setdefault(str(config), configuration(group.iloc[0]))
            about[measure] = float(contrast.values[group.index, 0].mean())
            about[f"{measure}_runs"] = len(group)
    return list(found.values())


def _tell_untrained(evidence: Evidence) -> str:
    """How alike to its final state each part was before training."""
    rows, _, untrained = areas(of_vaes(evidence.to_final[evidence.cka]))
    means = [
        float(np.nanmean(untrained[part(rows), 0]))
        if np.isfinite(untrained[part(rows), 0]).any()
        else float("nan")
        for part in (encoder, decoder)
    ]
    if not np.isfinite(means).all():
        return without_untrained(evidence)
    return (
        f"Before any training the encoder's layers already score {means[0]:.2f} to their final "
        f"state, the decoder's {means[1]:.2f}."
    )


def _deconfounded(evidence: Evidence) -> Contrast | None:
    if DECONFOUNDED not in evidence.to_final:
        return None
    pairs = of_vaes(evidence.to_final[DECONFOUNDED])
    return settling("progress", encoder, decoder)(pairs)


def _weights(evidence: Evidence) -> Contrast | None:
    layers = evidence.layers
    if layers.empty or not layers["remaining"].notna().any():
        return None
    left = of_vaes(observed(evidence, "remaining"))
    return settling("similarity", encoder, decoder)(Pairs(left.table, 1 - left.values))


def _factors(evidence: Evidence) -> Contrast | None:
    """Pooled over layers: of what a part's layers gain together, how much has been gained."""
    layers = evidence.layers
    if layers.empty or not layers["decodable"].notna().any():
        return None
    pairs = of_vaes(observed(evidence, "decodable"))
    rows, area, untrained = areas(pairs)
    last = pairs.table["step_x"] == pairs.table["step_y"]
    final = dict(
        zip(
            zip(pairs.table["run_x"][last], pairs.table["layer_x"][last], strict=True),
            pairs.values[last.to_numpy(), 0],
            strict=True,
        )
    )
    end = np.array([final[k] for k in zip(rows["run_x"], rows["layer_x"], strict=True)])
    gained, gain = area[:, 0] - untrained[:, 0], end - untrained[:, 0]
    shares = []
    for part in (encoder, decoder):
        chosen = part(rows) & np.isfinite(gained) & np.isfinite(gain)
        sums = pd.DataFrame({"run": rows["run_x"], "a": gained, "b": gain})[chosen]
        sums = sums.groupby("run").agg(a=("a", "sum"), b=("b", "sum"), n=("a", "size"))
        shares.append((sums["a"] / sums["b"])[sums["b"] >= LEAST_GAIN * sums["n"]])
    both = (shares[0] - shares[1]).dropna()
    runs = one_run(rows.drop_duplicates("run_x")).reset_index(drop=True)
    inside = rows["part_x"].isin(["encoder", "decoder"])
    names = rows[inside].groupby("run_x")["layer_x"].agg(tuple)
    little = "what can be read of the factors hardly grows in one of its parts"
    lacking = runs["run_x"][~runs["run_x"].isin(both.index)]
    return weigh(
        runs.assign(group="", side="gap", layers=runs["run_x"].map(names)),
        both.reindex(runs["run_x"]).to_numpy()[:, None],
        {"gap": 1.0},
        left_out=dict.fromkeys(lacking, little),
    )

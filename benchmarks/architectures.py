"""What studies/architectures.yaml found: what docs/explanation/architectures.md shows of it.

    python benchmarks/architectures.py STUDY [--figure FILE]

STUDY is the folder of the study, assessed. The tables are Markdown: the questions about encoder and
decoder with their verdicts, then each architecture by itself.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import stratigraph as sg
from stratigraph.evidence import similarity_to_final
from stratigraph.evidence.claims.kinds import kinds_of
from stratigraph.study import Study

CKA, PROCRUSTES = "debiased_cka", "procrustes_similarity"
QUESTIONS = (
    "encoder_first", "encoder_first_of_a_kind", "convolution_first", "transformers",
    "fully_connected", "deeper_encoder", "deeper_decoder", "encoder_first_everywhere",
    "lower_first",
)  # fmt: skip
WITNESSES = ("encoder_first_deconfounded", "encoder_first_weights", "encoder_first_factors")


def interval(one: dict[str, Any] | None) -> str:
    """``+0.12 (0.03 to 0.21)``."""
    value = None if one is None else one.get("estimate", one.get("value"))
    if one is None or value is None:
        return "–"
    if one["lower"] is None or math.isnan(one["lower"]):
        return f"{value:+.2f}"
    return f"{value:+.2f} ({one['lower']:.2f} to {one['upper']:.2f})"


def shown_p(p: float | None) -> str:
    """``0.012``, or ``< 0.001``."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def heading(*names: str) -> list[str]:
    """The first two lines of a table."""
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]


def verdicts(study: Study) -> list[str]:
    """One row a question: both measures' estimates, p and verdict."""
    by_key = {found["key"]: found for found in study.findings}
    keys = [key + version for key in QUESTIONS for version in ("", "_progress")]
    lines = heading("claim", "question", "CKA, 95 % interval", "Procrustes, 95 % interval",
                    "p, corrected", "verdict")  # fmt: skip
    for key in (*keys, *WITNESSES):
        found = by_key.get(key)
        if found is None or found["verdict"] == "not asked":
            continue
        estimates = found["estimates"]
        first = estimates.get(CKA) or next(iter(estimates.values()))
        p = shown_p(found["p_holm"])
        lines.append(
            f"| {found['claim']} | {found['statement']} (`{key}`) | {interval(first)} | "
            f"{interval(estimates.get(PROCRUSTES))} | {p} | {found['verdict']} |"
        )
    return lines


def each(study: Study) -> pd.DataFrame:
    """One row a data set and architecture: gaps with intervals, untrained scores, losses."""
    details = {
        kind: pd.DataFrame(found["details"])
        for found in study.findings
        for kind, key in (("raw", "encoder_first_everywhere"),
                          ("progress", "encoder_first_everywhere_progress"))
        if found["key"] == key
    }  # fmt: skip
    final = similarity_to_final(study, CKA)
    rows = []
    for (data, architecture), own in final.groupby(["data", "architecture"], sort=False):
        row: dict[str, Any] = {"data": data, "architecture": architecture}
        for kind, table in details.items():
            mine = table[(table["data"] == data) & (table["architecture"] == architecture)]
            for measure in (CKA, PROCRUSTES):
                one = mine[mine["measure"] == measure]
                row[f"{kind} {measure}"] = one.iloc[0].to_dict() if len(one) else None
        first = own[own["step"] == 0].groupby("part")["untrained"].mean()
        row["untrained"] = first.get("encoder", np.nan), first.get("decoder", np.nan)
        losses = []
        for run in own["run"].unique():
            metrics = study.runs[run].metrics
            held_out = metrics[metrics["split"] == "validation"].iloc[-1]
            losses.append((held_out["reconstruction"], held_out["kl"]))
        row["reconstruction"], row["kl"] = np.mean(losses, axis=0)
        rows.append(row)
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> list[str]:
    """The rows of `each` as Markdown."""
    lines = heading("data", "encoder → decoder", "untrained", "raw: CKA", "raw: Procrustes",
                    "progress: CKA", "progress: Procrustes", "R, KL")  # fmt: skip
    for _, row in rows.iterrows():
        encoder, decoder = row["untrained"]
        gaps = [interval(row[f"{k} {m}"]) for k in ("raw", "progress") for m in (CKA, PROCRUSTES)]
        lines.append(
            f"| {row['data']} | {row['architecture']} | {encoder:.2f}, {decoder:.2f} | "
            f"{' | '.join(gaps)} | {row['reconstruction']:.0f}, {row['kl']:.1f} |"
        )
    return lines


def draw(rows: pd.DataFrame, file: Path) -> None:
    """Encoder less decoder for each crossing: raw above, progress below, a column a data set."""
    crossed = rows[[kinds_of(a)[0] != "ladder" and "depth" not in a for a in rows["architecture"]]]
    kinds = ["convolutional", "fully_connected", "vit"]
    sets = list(dict.fromkeys(crossed["data"]))
    figure, axes = plt.subplots(
        2, len(sets), figsize=(4.6 * len(sets), 7.4), layout="constrained", squeeze=False
    )
    for column, data in enumerate(sets):
        for line, kind in enumerate(("raw", "progress")):
            values, texts = np.full((3, 3), np.nan), {}
            for _, row in crossed[crossed["data"] == data].iterrows():
                encoder, decoder = kinds_of(row["architecture"])
                if encoder in kinds and decoder in kinds:
                    place = kinds.index(encoder), kinds.index(decoder)
                    one = row[f"{kind} {CKA}"]
                    values[place] = np.nan if one is None else one["estimate"]
                    texts[place] = interval(one).replace(" (", "\n(")
            axis = axes[line, column]
            shown = axis.imshow(values, cmap="PuOr", vmin=-1, vmax=1)
            for (i, j), text in texts.items():
                white = abs(values[i, j]) > 0.6
                axis.text(j, i, text, ha="center", va="center", fontsize=7.5,
                          color="white" if white else "black")  # fmt: skip
            names = [name.replace("_", "-\n") for name in kinds]
            axis.set_xticks(range(3), names, fontsize=8)
            axis.set_yticks(range(3), names, fontsize=8)
            axis.set_title(f"{data}: {'similarity' if kind == 'raw' else 'progress'}", fontsize=10)
            axis.set_xlabel("decoder")
            axis.set_ylabel("encoder")
    bar = figure.colorbar(shown, ax=axes, shrink=0.6)
    bar.set_label("area, encoder less decoder (above 0: the encoder settles first)")
    figure.savefig(file, dpi=130)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    opened = sg.load_study(given.study)
    found = each(opened)
    print("\n".join([*verdicts(opened), "", *table(found)]))
    if given.figure:
        draw(found, given.figure)

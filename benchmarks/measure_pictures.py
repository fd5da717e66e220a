"""Draw how each measure behaves, for docs/reference/each-measure.md.

    python benchmarks/measure_pictures.py [NAME …] --out docs/images/measures

Left: against the share of features in common, as they are, rotated, and under an affine map.
Right: unrelated features, against how many there are.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from stratigraph.errors import InputError
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.measure import Measure, score

mpl.use("agg")
from matplotlib import pyplot as plt

PROBES, UNITS = 200, 50
SHARES = np.linspace(0, 1, 11)
WIDTHS = (5, 10, 20, 50, 100, 150, 250, 400)
BLUE, GREY = "#2b6a99", "#777777"


def shared(share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of which a share is the same."""
    x, other = rng.normal(size=(2, PROBES, UNITS))
    same = round(share * UNITS)
    return x, np.hstack([x[:, :same], other[:, same:]])


def scored(measure: Measure, x: np.ndarray, y: np.ndarray) -> float:
    """The score, NaN where the measure has none or refuses so many units."""
    with warnings.catch_warnings(), contextlib.suppress(InputError):
        warnings.simplefilter("ignore")
        return score(measure, x, y)
    return math.nan


def draw(measure: Measure) -> Image.Image:
    """The two panels."""
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(UNITS, UNITS)))[0]
    stretch = np.exp(np.random.default_rng(2).normal(size=UNITS))
    maps = {"as they are": None, "rotated": rotation, "affine map": rotation * stretch}
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.3), layout="constrained")
    for (label, change), style in zip(maps.items(), ("-", "--", ":"), strict=True):
        scores = []
        for share in SHARES:
            x, y = shared(share, np.random.default_rng(0))
            scores.append(scored(measure, x, y if change is None else y @ change + 1))
        left.plot(SHARES, scores, style, color=BLUE, label=label)
    left.set(xlabel="share of features in common", ylabel="score", xlim=(0, 1))
    left.legend(frameon=False, fontsize=7)
    rng = np.random.default_rng(3)
    chance = [scored(measure, *rng.normal(size=(2, PROBES, width))) for width in WIDTHS]
    right.plot(WIDTHS, chance, "o-", markersize=3, color=BLUE)
    if any(map(math.isnan, chance)):
        right.text(0.97, 0.05, "refused beyond", ha="right", fontsize=7, transform=right.transAxes)
    right.axvline(PROBES, color=GREY, linewidth=0.8, linestyle=":")
    right.set(xlabel="unrelated features (dotted: as many as probes)", xlim=(0, 420))
    low, high = measure.bounds
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        if high == 1:
            axes.set_ylim(-0.05 if low is not None else None, 1.05)
        else:
            axes.set_ylim(bottom=0)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=150)
    plt.close(figure)
    return Image.open(held).convert("RGB")


def main() -> None:
    """Draw those that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="measures; all if none is given")
    parser.add_argument("--out", type=Path, default=Path("docs/images/measures"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 8, "axes.labelsize": 8})
    for name in given.names or MEASURES:
        draw(MEASURES[name]).save(given.out / f"{name}.webp", quality=60, method=6)
        print(name)


if __name__ == "__main__":
    main()

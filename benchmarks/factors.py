"""What each factor of a data set changes: a row a factor, its values from left to right.

    python benchmarks/factors.py solids --out docs/images/solids.png

All other factors are held at one value, and in the last row all are drawn at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import stratigraph as sg

SHOWN = 10


def main() -> None:
    """Read the images of each row, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a set whose images fill the grid of its factors")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    dataset = sg.load_dataset(given.data)
    sizes = np.array(dataset.factor_sizes)
    rng = np.random.default_rng(2)
    rows = []
    for factor, size in enumerate(sizes):
        # Rows of other objects, so that all are seen; no factor at an end of its range.
        held = np.clip(rng.integers(0, sizes), 1, np.maximum(sizes - 2, 1))
        grid = np.tile(held, (min(SHOWN, size), 1))
        grid[:, factor] = np.linspace(0, size - 1, len(grid)).round()
        rows.append(grid)
    rows.append(rng.integers(0, sizes, (SHOWN, len(sizes))))
    figure, axes = plt.subplots(
        len(rows), SHOWN, figsize=(SHOWN * 0.72 + 0.9, len(rows) * 0.72), squeeze=False
    )
    for own, grid, name in zip(axes, rows, (*dataset.factor_names, "all"), strict=True):
        for axis in own:
            axis.axis("off")
        for axis, image in zip(own, dataset.images(dataset.index(grid)), strict=False):
            axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0)
        own[0].text(-0.15, 0.5, name, ha="right", va="center", transform=own[0].transAxes)
    figure.subplots_adjust(0.13, 0.005, 0.995, 0.995, 0.04, 0.04)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.out, dpi=90)
    print(f"{given.out}: {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

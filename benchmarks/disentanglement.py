"""Reference values of the disentanglement scores: known codes, and the probes of a study.

    python benchmarks/disentanglement.py

Two tables for docs/reference/latents.md: scores of perfect, rotated and noise codes on a full
grid of factors (3 × 4 × 5 × 6 × 7, 2,520 rows), and on as many random rows of the sprites' factors
as a study has probes, with the time that each score takes. Rotated and noise are means over five
seeds, with their extremes. All estimators have their default settings.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from stratigraph.latents.scores import SCORES, factor_grid, known_codes

SEEDS = range(5)
SPRITES = (3, 6, 40, 32, 32)  # shape, scale, orientation, x, y


def table(factors: np.ndarray) -> list[str]:
    """A row a number of each score: perfect, rotated, noise; and seconds of a perfect code."""
    lines = ["| score | perfect | rotated | noise | seconds |", "|---|---|---|---|---|"]
    for name, score in SCORES.items():
        began = time.perf_counter()
        perfect = score.of(known_codes("perfect", factors), factors)
        seconds = time.perf_counter() - began
        others = {
            kind: [score.of(known_codes(kind, factors, seed), factors) for seed in SEEDS]
            for kind in ("rotated", "noise")
        }
        for called, title in score.titles.items():
            part = called.removeprefix(name).removeprefix("_")

            def number(found, part=part):
                return found.parts[part] if part else found.score

            cells = [f"{number(perfect):.3f}"]
            for found in others.values():
                values = [number(one) for one in found]
                cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            cells.append("" if part else f"{seconds:.2f}")
            lines.append(f"| {title} | {' | '.join(cells)} |".replace("-0.", "−0."))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[500, 10_000])
    asked = parser.parse_args()
    grid = factor_grid(3, 4, 5, 6, 7)
    for score in SCORES.values():  # the libraries are loaded before anything is timed
        score.of(known_codes("perfect", grid), grid)
    print(f"Full grid 3 × 4 × 5 × 6 × 7, {len(grid):,} rows\n")
    print("\n".join(table(grid)))
    for rows in asked.rows:
        drawn = np.random.default_rng(0).integers(0, SPRITES, (rows, len(SPRITES)))
        print(f"\n{rows:,} random rows of the sprites' factors, {SPRITES}\n")
        print("\n".join(table(drawn)))


if __name__ == "__main__":
    main()

"""Looks at a growing study: error over all of them, and power against a fixed number of replicates.

A question's contrast is the mean over S configurations of their replicates' means, its interval
that of t with Satterthwaite's degrees of freedom, as `stratigraph.evidence.estimate` has it;
configurations are alike, or of spreads from 1 to 4. It is looked at with 4, 6, 8 and 12 replicates,
and the boundaries of one configuration (the careful ones).
"""

from __future__ import annotations

import numpy as np
import scipy

from stratigraph.evidence.boundaries import thresholds

LOOKS = (4, 6, 8, 12)
TRIALS = 100_000
DRAWS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
}


def p_of_looks(y):
    """The two-sided p of each look, (trials, looks), of replicates (trials, configurations, n)."""
    found = []
    for n in LOOKS:
        seen = y[:, :, :n]
        variance = seen.var(axis=2, ddof=1) / n
        total = variance.sum(1)
        freedom = total**2 / (variance**2 / (n - 1)).sum(1)
        t = seen.mean(2).sum(1) / np.sqrt(total)
        found.append(2 * scipy.stats.t.sf(np.abs(t), freedom))
    return np.column_stack(found)


def sequential(report):
    """Error and power of planned looks, and of looking again and again at 0.05."""
    levels = {"0.05": 0.05, "0.05/6": 0.05 / 6}
    for strata, uneven in ((1, False), (12, False), (12, True)):
        spread = np.geomspace(1, 4, strata)[:, None] if uneven else np.ones((strata, 1))
        name = f"{strata} configurations{', uneven' if uneven else ''}"
        for draw, sample in DRAWS.items():
            rng = np.random.default_rng(0)
            p = np.concatenate(
                [
                    p_of_looks(spread * sample(rng, (TRIALS // 20, strata, LOOKS[-1])))
                    for _ in range(20)
                ]
            )
            for told, level in levels.items():
                report(
                    "sequential", name, effects=draw, level=told,
                    error=float((p < thresholds(LOOKS, level)).any(1).mean()),
                    naive=float((p < level).any(1).mean()), fixed=float((p[:, -1] < level).mean()),
                )  # fmt: skip
        power(report, name, spread)


def power(report, name, spread):
    """Power, and the replicates that it takes, where 12 of a fixed number have 0.5 to 0.95."""
    bounds = thresholds(LOOKS, 0.05)
    for wanted in (0.5, 0.8, 0.95):
        rng = np.random.default_rng(1)
        # The normal effect of this power, a little too small for t.
        shift = (1.96 + scipy.stats.norm.ppf(wanted)) * np.sqrt((spread**2).mean() / 12)
        y = spread * rng.standard_normal((TRIALS // 10, len(spread), LOOKS[-1]))
        p = p_of_looks(y + shift / np.sqrt(len(spread)))
        crossed = p < bounds
        first = np.where(crossed.any(1), crossed.argmax(1), len(LOOKS) - 1)
        report(
            "sequential", name, effects="normal", fixed_12=float((p[:, -1] < 0.05).mean()),
            looks=float(crossed.any(1).mean()), replicates=float(np.array(LOOKS)[first].mean()),
        )  # fmt: skip

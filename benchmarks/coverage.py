"""Whether intervals keep their word: coverage and error where the truth is known.

Scores are y_cig = μ_c + a_ci + b_g + e_cig, of run i of configuration c without group g of the
probes; the contrast is the mean over configurations of the mean over their runs, whose truth is the
mean of μ_c. With some share of runs failing, a run that fails has a score far off, its truth 0; of
the runs that learned the truth is μ, of all runs it is the mixture's.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.estimate import estimate_from

GROUPS = 20
TRIALS = 4000
DESIGNS = {  # standard deviations of runs, of probes, of both together (for one run and group)
    "runs": (1.0, 0.0, 0.0),
    "runs and probes": (1.0, 2.0, 0.0),
    "both together": (0.3, 0.6, 4.0),
    "probes": (0.0, 2.0, 0.0),
}
FAILED = -8.0  # standard deviations of runs, of a failed run's score
FAILURES = (0.05, 0.1, 0.25)


def estimate_table(y, config, stream):
    """The estimate of scores (runs, groups): equal weights of configurations, runs left out."""
    kinds, place = np.unique(config, return_inverse=True)
    counts = np.bincount(place)
    groups = y.shape[1]
    # Of all probes, then without each group of them.
    wide = np.column_stack([y.mean(1), (y.sum(1, keepdims=True) - y) / (groups - 1)])
    means = np.zeros((len(kinds), groups + 1))
    np.add.at(means, place, wide)
    means /= counts[:, None]
    whole = means.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        less = whole - (wide - means[place]) / (len(kinds) * (counts[place] - 1))[:, None]
    return estimate_from(whole, less, config, stream)


def draw(rng, configurations, replicates, design, skewed, shared):
    """Scores (runs, groups), the configuration of each run, and its stream."""
    of_run, of_probe, of_both = design

    def sample(*shape):
        return rng.exponential(size=shape) - 1 if skewed else rng.standard_normal(shape)

    luck = sample(configurations, replicates)
    if shared:  # half of the variance is the seed's, in every configuration
        luck = np.sqrt(0.5) * luck + np.sqrt(0.5) * sample(1, replicates)
    runs = configurations * replicates
    y = (
        of_run * luck.reshape(runs, 1)
        + of_probe * sample(1, GROUPS)
        + of_both * sample(runs, GROUPS)
    )
    stream = np.tile(np.arange(replicates), configurations) if shared else np.arange(runs)
    return y, np.repeat(np.arange(configurations), replicates), stream


def coverage(report):
    """The share of 95 % intervals that hold the truth, and of p below 0.05, nothing being there."""
    for configurations, shared in ((1, False), (12, False), (12, True)):
        for skewed in (False, True):
            for replicates in (3, 4, 6, 10):
                for name, design in DESIGNS.items():
                    rng = np.random.default_rng(0)
                    found = [
                        estimate_table(
                            *draw(rng, configurations, replicates, design, skewed, shared)
                        )
                        for _ in range(TRIALS)
                    ]
                    report(
                        "coverage", name, configurations=configurations,
                        streams="shared" if shared else "own",
                        effects="skewed" if skewed else "normal", replicates=replicates,
                        covered=float(np.mean([one.lower <= 0 <= one.upper for one in found])),
                        rejected=float(np.mean([one.p < 0.05 for one in found])),
                    )  # fmt: skip


def failures(report):
    """The same where some runs fail: of the runs that learned, and of all runs."""
    for configurations in (1, 12):
        for replicates in (4, 6, 10):
            for share in FAILURES:
                rng = np.random.default_rng(0)
                learned, every, open_ = [], [], 0
                for _ in range(TRIALS):
                    y, config, stream = draw(
                        rng, configurations, replicates, DESIGNS["runs and probes"], False, False
                    )
                    failed = rng.random(len(y)) < share
                    all_runs = estimate_table(np.where(failed[:, None], FAILED, y), config, stream)
                    truth = share * FAILED
                    every.append(all_runs.lower <= truth <= all_runs.upper)
                    # As `weigh` has it: configurations with one run left tell no spread.
                    left = np.bincount(config[~failed], minlength=configurations)
                    kept = ~failed & (left[config] > 1)
                    if not kept.any():
                        open_ += 1
                        continue
                    one = estimate_table(y[kept], config[kept], stream[kept])
                    learned.append(one.lower <= 0 <= one.upper)
                report(
                    "failures", f"{share:.0%} fail", configurations=configurations,
                    replicates=replicates, learned=float(np.mean(learned)),
                    all_runs=float(np.mean(every)), undecidable=open_ / TRIALS,
                )  # fmt: skip

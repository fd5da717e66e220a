"""How far findings can be trusted: coverage, false positives, and verdicts on known answers.

    python benchmarks/findings.py [coverage|null|verdicts|sequential …] [--studies N] [--json FILE]

coverage   95 % intervals of the jackknife over seeds and probes on crossed data y = μ + a_s + b_g +
           e_sg, beside the percentile bootstrap over seeds
null       how often p < 0.05 where nothing is there: the same; and permuted probes against the
           bound of `permutation_bound`
verdicts   planted studies (`stratigraph.testing.planted`): how often each verdict is given
sequential looks at 4, 6, 8 and 12 replicates: error over all of them, beside that of 0.05 at each
           look, and the power and replicates that they take, beside a fixed number of 12
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from sequential import sequential
from stratigraph.evidence.claims import ask
from stratigraph.evidence.estimate import from_replicates
from stratigraph.evidence.finding import judge
from stratigraph.similarity.uncertainty import cka_null, permutation_bound
from stratigraph.testing.planted import Plan, planted

GROUPS = 20
TRIALS = 4000
DESIGNS = {  # standard deviations of seeds, of probes, of both together (for one seed and group)
    "seeds": (1.0, 0.0, 0.0),
    "seeds and probes": (1.0, 2.0, 0.0),
    "both together": (0.3, 0.6, 4.0),
    "probes": (0.0, 2.0, 0.0),
}
PLANS = {
    "encoder first": Plan(encoder=20, decoder=400),
    "decoder first": Plan(encoder=400, decoder=20),
    "both together": Plan(),
    "lower layers first": Plan(lower=30),
    "collapse": Plan(collapse=((1.0, 0), (2.0, 1), (4.0, 2), (8.0, 4))),
    "encoders differ": Plan(alike=0.3),
    "latents differ": Plan(latents_alike=0.3),
}


def _trial(rng, seeds, design, skewed):
    of_seed, of_probe, of_both = design
    draw = (
        (lambda *n: rng.exponential(size=n) - 1) if skewed else (lambda *n: rng.standard_normal(n))
    )
    return of_seed * draw(seeds, 1) + of_probe * draw(1, GROUPS) + of_both * draw(seeds, GROUPS)


def _replicates(y):
    """The mean of a table (s, g), and without each seed and group."""
    s, g = y.shape
    rows, columns, total = y.sum(1), y.sum(0), y.sum()
    whole = np.r_[total / y.size, (total - columns) / (s * (g - 1))]
    first = (total - rows) / ((s - 1) * g)
    both = (total - rows[:, None] - columns[None, :] + y) / ((s - 1) * (g - 1))
    return whole, np.column_stack([first, both])


def coverage(report):
    for skewed in (False, True):
        for seeds in (3, 5, 10, 20):
            for name, design in DESIGNS.items():
                rng = np.random.default_rng(0)
                inside = boot = 0
                for _ in range(TRIALS):
                    y = _trial(rng, seeds, design, skewed)
                    found = from_replicates(*_replicates(y), null=0.0, runs=seeds)
                    inside += found.lower <= 0 <= found.upper
                    means = y.mean(1)[rng.integers(0, seeds, (400, seeds))].mean(1)
                    low, high = np.quantile(means, [0.025, 0.975])
                    boot += low <= 0 <= high
                report(
                    "coverage", name, skewed="skewed" if skewed else "normal", seeds=seeds,
                    jackknife=inside / TRIALS, bootstrap=boot / TRIALS,
                )  # fmt: skip


def null(report):
    rng = np.random.default_rng(1)
    for seeds in (3, 5, 10):
        for name, design in DESIGNS.items():
            hits = sum(
                from_replicates(
                    *_replicates(_trial(rng, seeds, design, False)), null=0.0, runs=seeds
                ).p
                < 0.05
                for _ in range(TRIALS)
            )
            report("null", name, seeds=seeds, rejected=hits / TRIALS)
    spreads, p, bounds = [], [], []
    for trial in range(200):
        x, y = rng.standard_normal((2, 60, 5))
        found = cka_null(x, y, 199, seed=trial)
        spreads.append(found.null.std() / np.sqrt(2 / (60 * 57)))
        p.append(found.p_value)
        bounds.append(permutation_bound(found.value, 60))
    report(
        "null", "permuted probes", spread_to_exact=float(np.mean(spreads)),
        p_below_5_percent=float(np.mean(np.array(p) < 0.05)),
        bound_below_5_percent=float(np.mean(np.array(bounds) < 0.05)),
    )  # fmt: skip


def verdicts(report, studies):
    for name, plan in PLANS.items():
        counts: dict[str, Counter] = {}
        for seed in range(studies):
            for finding in judge(ask(planted(plan, seed)), "corrected"):
                if finding.question.of_study and finding.verdict != "not asked":
                    counts.setdefault(finding.question.key, Counter())[finding.verdict] += 1
        for key, count in counts.items():
            report("verdicts", name, question=key, **count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", default=["coverage", "null", "verdicts", "sequential"])
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []

    def report(job, name, **values):
        rows.append({"job": job, "name": name, **values})
        shown = "  ".join(
            f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in values.items()
        )
        print(f"{job:<9} {name:<20} {shown}", flush=True)

    jobs = {"coverage": coverage, "null": null, "sequential": sequential}
    for job in arguments.jobs:
        if job == "verdicts":
            verdicts(report, arguments.studies)
        elif job in jobs:
            jobs[job](report)
        else:
            sys.exit(f"no job is called {job}; there are verdicts, {', '.join(jobs)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

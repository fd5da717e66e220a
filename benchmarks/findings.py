"""How far findings can be trusted: coverage, false positives, and verdicts on known answers.

    python benchmarks/findings.py [coverage|failures|null|verdicts|sequential …] [--studies N]
                                  [--json FILE]

coverage   95 % intervals and p over runs and probes, of one configuration and of twelve
failures   the same where some runs fail: of the runs that learned, and of all
null       permuted probes against the bound of `permutation_bound`
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
import torch

import stratigraph as sg
from coverage import coverage, failures
from sequential import sequential
from stratigraph.evidence.answer import answer
from stratigraph.pairs.chance import draw_orders
from stratigraph.pairs.permuted import score_permuted
from stratigraph.similarity.cka import DEBIASED_CKA
from stratigraph.similarity.uncertainty import permutation_bound
from stratigraph.testing.planted import Plan, planted

PLANS = {
    "encoder first": Plan(encoder=20, decoder=400),
    "decoder first": Plan(encoder=400, decoder=20),
    "both together": Plan(),
    "lower layers first": Plan(lower=30),
    "collapse": Plan(collapse=((1.0, 0), (2.0, 1), (4.0, 2), (8.0, 4))),
    "encoders differ": Plan(alike=0.3),
    "latents differ": Plan(latents_alike=0.3),
}


def null(report):
    """Permuted probes, against the exact variance and its bound."""
    rng = np.random.default_rng(1)
    spreads, p, bounds = [], [], []
    for trial in range(200):
        x, y = rng.standard_normal((2, 60, 5))
        found = sg.calibrate(x, y, null=199, seed=trial)
        sides = [[torch.from_numpy(x)], [torch.from_numpy(y)]]
        null, _ = score_permuted(sides, DEBIASED_CKA, draw_orders(60, 199, seed=trial)[0], 1 << 30)
        spreads.append(null.std() / np.sqrt(2 / (60 * 57)))
        p.append(found["p"].item())
        bounds.append(permutation_bound(found["value"].item(), 60))
    report(
        "null", "permuted probes", spread_to_exact=float(np.mean(spreads)),
        p_below_5_percent=float(np.mean(np.array(p) < 0.05)),
        bound_below_5_percent=float(np.mean(np.array(bounds) < 0.05)),
    )  # fmt: skip


def verdicts(report, studies):
    for name, plan in PLANS.items():
        counts: dict[str, Counter] = {}
        for seed in range(studies):
            for finding in answer(planted(plan, seed), "corrected"):
                if finding.question.family != "measures" and finding.verdict != "not asked":
                    counts.setdefault(finding.question.key, Counter())[finding.verdict] += 1
        for key, count in counts.items():
            report("verdicts", name, question=key, **count)


JOBS = {"coverage": coverage, "failures": failures, "null": null, "sequential": sequential}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", default=[*JOBS, "verdicts"])
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

    for job in arguments.jobs:
        if job == "verdicts":
            verdicts(report, arguments.studies)
        elif job in JOBS:
            JOBS[job](report)
        else:
            sys.exit(f"no job is called {job}; there are verdicts, {', '.join(JOBS)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Every promise of every measure in the catalogue, and a witness for what is not promised.

The checks are those that authors of plug-ins run (`stratigraph.testing.measures`); the last test
proves that no promise, and no measure, goes unchecked.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.kernel_cka import deconfounded_measure
from stratigraph.similarity.measure import Measure
from stratigraph.testing.laws import LAWS, PROBES, distance_from, is_promised
from stratigraph.testing.measures import CHECKS

# A measure that is made for given inputs keeps the same laws as those with a name.
INPUTS = np.random.default_rng(3).normal(size=(PROBES, 4))
HELD = {**MEASURES, "deconfounded_cka": deconfounded_measure(INPUTS)}
# … but one: its fewest probes are those of its inputs.
CASES = [
    (measure, law)
    for measure in HELD.values()
    for law in LAWS
    if (measure.name, law) != ("deconfounded_cka", "least")
]
KEPT = {f"{m.name}-check_{law}" for m, law in CASES if is_promised(m, law)}
BROKEN = [(m, law) for m, law in CASES if not is_promised(m, law)]
OTHER = [check for check in CHECKS if check.__name__.removeprefix("check_") not in LAWS]
FEWER = {"rtd": 24}  # barcodes of many probes take a minute


def named(case) -> str:
    return case.name if isinstance(case, Measure) else str(case)


@pytest.mark.parametrize(
    ("measure", "check"),
    [
        pytest.param(measure, check, id=f"{measure.name}-{check.__name__}")
        for measure in HELD.values()
        for check in CHECKS
        if check in OTHER or f"{measure.name}-{check.__name__}" in KEPT
    ],
)
def test_what_is_promised_holds(measure, check):
    check(measure, probes=FEWER.get(measure.name, PROBES))


@pytest.mark.parametrize(("measure", "law"), BROKEN, ids=named)
def test_what_is_not_promised_fails_on_a_witness(measure, law):
    probes = FEWER.get(measure.name, PROBES)
    assert any(distance_from(measure, law, seed, probes=probes) > 1e-4 for seed in range(5))


def test_no_promise_and_no_measure_goes_unchecked():
    described = {"name", "source", "larger", "cost", "prepare", "compare"}
    described |= {"embed", "entries", "write"}  # which `check_vectors` holds to the scores
    described |= {"sampled"}  # of what representations the promises are
    described |= {"places", "permute"}  # what `check_permuted_probes` asks for
    assert {field.name for field in dataclasses.fields(Measure)} == described | LAWS.keys()
    assert len(CASES) == len(HELD) * len(LAWS) - 1
    assert {f"check_{law}" for law in LAWS} <= {check.__name__ for check in CHECKS}
    assert {name: measure.name for name, measure in HELD.items()} == {n: n for n in HELD}

"""A claim that promises what it does not keep is found out, in words."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from stratigraph.evidence.claims.parts import baseline, pairs_of_runs, side_by_side
from stratigraph.evidence.finding import Question
from stratigraph.testing.claims import CHECKS

CALLS = itertools.count()
PAIRS = pairs_of_runs({"pair": (1.0, baseline)})


def alike(evidence, contrast=PAIRS, **more):
    """Layers of two runs are alike: a claim as an author of one writes it."""
    found = side_by_side(evidence, evidence.final, contrast)
    missing = "" if found else "No two runs have a score."
    text = {"statement": "Runs are alike.", "contrast": "mean score", "missing": missing}
    return [Question("alike", 0, contrasts=found, **{**text, **more})]


def careless(evidence):
    assert evidence.final["procrustes_similarity"] is not None
    return alike(evidence)


def lazy(evidence):
    yield from alike(evidence)


def wordless(evidence):
    return alike(evidence, missing="")


def sentence(evidence):
    return alike(evidence, statement="Alike")


def rows(evidence):
    return alike(evidence, details=[{"pairs": evidence.final}])


def once(evidence):
    return alike(evidence) if evidence.latents.empty else [*alike(evidence), *alike(evidence)]


def fewer(evidence):
    found = alike(evidence)
    more = Question("many", 0, "Runs are many.", "runs", missing="It is not asked here.")
    return found if found[0].missing else [*found, more]


def drifting(evidence):
    def contrast(pairs):
        found = PAIRS(pairs)
        return found and replace(found, statistic=lambda k: found.statistic(k) + next(CALLS))

    return alike(evidence, contrast)


def first_alone(evidence):
    return alike(evidence, lambda pairs: PAIRS(pairs.where(np.arange(len(pairs)) < 100)))


def writing(evidence):
    found = alike(evidence)
    for pairs in evidence.within.values():
        pairs.table["step_x"] = 0
    return found


BROKEN = [  # a claim, the check that refuses it, and what it says
    (careless, "questions", "careless, of a study without Procrustes: .*KeyError: 'procrustes_sim"),
    (lazy, "questions", "expected a list of Questions, got <generator"),
    (wordless, "questions", r"`missing` why there are none, got contrasts of \[\] and missing=''"),
    (sentence, "questions", "statement: expected a sentence, got 'Alike'"),
    (rows, "questions", "details: expected rows of plain values, which findings.json takes"),
    (once, "keys", "two questions are called alike"),
    (fewer, "keys", r"expected the questions \['alike', 'many'\] of every study, got \['alike'\]"),
    (drifting, "repeated", "asked again with its runs in another order: alike by debiased_cka was"),
    (first_alone, "repeated", "asked again with its runs in another order: alike by debiased_cka"),
    (writing, "repeated", "it changes within; work on a copy"),
]


def check_of(name):
    (found,) = (check for check in CHECKS if check.__name__ == f"check_{name}")
    return found


@pytest.mark.parametrize(("claim", "name", "text"), BROKEN)
def test_a_promise_that_is_not_kept(claim, name, text):
    with pytest.raises(AssertionError, match=text):
        check_of(name)(claim)


@pytest.mark.parametrize("check", CHECKS)
def test_a_claim_of_ones_own(check):
    check(alike)


def test_every_check_has_a_claim_that_fails_it():
    assert {f"check_{name}" for _, name, _ in BROKEN} == {check.__name__ for check in CHECKS}

"""What every claim promises, as checks: functions of a claim, `Evidence` → list of `Question`.

A claim is asked of planted studies (`stratigraph.testing.planted`): of whole ones, and of those
that lack what it might take for granted (a second seed, Procrustes, defined scores, any pairs).
Whether its verdicts are right is its author's to test, on planted studies that differ in what is
asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import numpy as np
import pandas as pd

from stratigraph.evidence.contrast import Contrast, estimate
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question, Unit
from stratigraph.evidence.verdict import judge
from stratigraph.testing.planted import Plan, planted
from stratigraph.testing.require import require

__all__ = ["CHECKS", "lacking", "whole"]

Claim = Callable[[Evidence], list[Question]]
KINDS = ("to_final", "final", "within", "across")
ROUNDING = 1e-9
UNDEFINED = "defined scores"


@cache
def whole() -> dict[str, Evidence]:
    """Planted studies by name, from which nothing is missing."""
    first = Plan(
        20, 300, collapse=((1.0, 0), (4.0, 2), (8.0, 4)), seeds=3, probes=16, disentangled=100
    )
    kinds = (("convolutional", 1.0), ("vit", 4.0))
    crossed = Plan(kinds=kinds, collapse=((1.0, 0),), seeds=2, probes=16)
    data = Plan(20, 300, collapse=((1.0, 0),), seeds=2, probes=16, data=("one", "another"))
    return {
        "the encoder first": planted(first, 0),
        "two kinds crossed": planted(crossed, 0),
        "two sets of data": planted(replace(data, generic_decoder=0.1), 0),
    }


def _change(evidence: Evidence, change: Callable[[Pairs], Pairs]) -> Evidence:
    """The evidence with something done to all of its pairs."""

    def every(kind: Mapping[str, Pairs]) -> dict[str, Pairs]:
        return {measure: change(pairs) for measure, pairs in kind.items()}

    return replace(
        evidence,
        to_final=every(evidence.to_final),
        final=every(evidence.final),
        within=every(evidence.within),
        across=every(evidence.across),
    )


def _copy(pairs: Pairs) -> Pairs:
    return Pairs(pairs.table.copy(), pairs.values.copy())


@cache
def lacking() -> dict[str, Evidence]:
    """The first of them without one thing each, by the name of what is missing."""
    first = next(iter(whole().values()))
    run = first.to_final[first.cka].table["run_x"].iloc[0]
    latents = first.latents

    def by_cka(kind: Mapping[str, Pairs]) -> dict[str, Pairs]:
        return {measure: pairs for measure, pairs in kind.items() if measure == first.cka}

    def of_seed(pairs: Pairs) -> Pairs:
        return pairs.where((pairs.table["seed_x"] == 0) & (pairs.table["seed_y"] == 0))

    def of_run(pairs: Pairs) -> Pairs:
        return pairs.where((pairs.table["run_x"] == run) & (pairs.table["run_y"] == run))

    def none(pairs: Pairs) -> Pairs:
        return pairs.where(np.zeros(len(pairs)))

    return {
        "a second seed": _change(first, of_seed),
        "a second run": replace(_change(first, of_run), latents=latents[latents["run"] == run]),
        "Procrustes": replace(
            first,
            to_final=by_cka(first.to_final),
            final=by_cka(first.final),
            within=by_cka(first.within),
            across=by_cka(first.across),
        ),
        "groups of probes": _change(first, lambda p: Pairs(p.table, p.values[:, :1])),
        UNDEFINED: _change(first, lambda p: Pairs(p.table, np.full_like(p.values, np.nan))),
        "latents": replace(first, latents=pd.DataFrame()),
        "disentanglement scores": replace(first, scores=pd.DataFrame()),
        "any pairs": replace(_change(first, none), latents=pd.DataFrame()),
    }


def _name(claim: Claim) -> str:
    return f"claim {getattr(claim, '__name__', claim)!s}"


def _plain(value: Any) -> Any:
    return value.item()  # a number of numpy's; anything else has none, and is refused


def _check_question(of: str, question: Question, asked: bool) -> None:
    """A question says what it is, and either is estimated or says why it cannot be.

    Where scores are undefined, and so nothing can be asked of them, it need not say that.
    """
    for text in ("key", "contrast"):
        value = getattr(question, text)
        good = isinstance(value, str) and value
        require(good, f"{of}: {text}: expected words, got {value!r}.")
    of = f"{of}, {question.key}"
    stop = question.statement.endswith(".")
    require(stop, f"{of}: statement: expected a sentence, got {question.statement!r}.")
    number = isinstance(question.claim, int) and question.claim >= 0
    require(
        number, f"{of}: claim: expected a number, 0 of a claim of your own, got {question.claim!r}."
    )
    units = get_args(Unit)
    require(question.unit in units, f"{of}: unit: expected one of {units}, got {question.unit!r}.")
    least = math.isfinite(question.least) and question.least >= 0
    require(least, f"{of}: least: expected a distance, at least 0, got {question.least!r}.")
    require(
        bool(question.missing) != bool(question.contrasts) or not (asked or question.missing),
        f"{of}: expected contrasts, or in `missing` why there are none, got contrasts of "
        f"{list(question.contrasts)} and missing={question.missing!r}.",
    )
    for measure, one in question.contrasts.items():
        right = isinstance(one, Contrast)
        require(right, f"{of}: {measure}: expected a Contrast, got a {type(one).__name__}.")
    try:
        json.dumps([dict(row) for row in question.details], default=_plain)
    except (TypeError, ValueError, AttributeError) as error:
        raise AssertionError(
            f"{of}: details: expected rows of plain values, which findings.json takes: {error}."
        ) from error


@cache  # several checks ask the same
def _ask(claim: Claim, study: str) -> list[Question]:
    """What a claim asks of a study, told by its name."""
    missing = study in lacking()
    of = f"{_name(claim)}, of a study {'without' if missing else 'of'} {study}"
    evidence = (lacking() if missing else whole())[study]
    try:
        questions = claim(_change(evidence, _copy))  # which it may write into
    except Exception as error:
        raise AssertionError(
            f"{of}: expected questions with `missing`, got {type(error).__name__}: {error}."
        ) from error
    every = isinstance(questions, list) and all(isinstance(q, Question) for q in questions)
    require(every and questions, f"{of}: expected a list of Questions, got {questions!r}.")
    for question in questions:
        _check_question(of, question, asked=study != UNDEFINED)
    return questions


def check_questions(claim: Claim) -> None:
    """Asked of any study, it gives questions that say what they are, and can be judged."""
    for study in whole() | lacking():
        judge(_ask(claim, study), "corrected", (whole() | lacking())[study])


def check_keys(claim: Claim) -> None:
    """It asks the same questions of every study, by keys that name one each."""
    first: list[str] = []
    for study in whole() | lacking():
        keys = [question.key for question in _ask(claim, study)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        require(not twice, f"{_name(claim)}: two questions are called {', '.join(twice)}.")
        first = first or keys
        require(
            keys == first,
            f"{_name(claim)}: expected the questions {first} of every study, got {keys} of that of "
            f"or without {study}; what cannot be asked says so in `missing`.",
        )


def check_repeated(claim: Claim) -> None:
    """Asked again, with the runs in another order, it estimates the same; evidence is only read.

    Within a run, layers stand in the order of the network.
    """
    for study, evidence in whole().items():
        here = _values(_ask(claim, study))
        turned = _change(evidence, _last_first)
        before = _change(turned, _copy)
        of = f"{_name(claim)}, of a study of {study}"
        there = _values(claim(turned))
        again = f"{of}, asked again with its runs in another order"
        require(here.keys() == there.keys(), f"{again}: expected {list(here)}, got {list(there)}.")
        for key, values in here.items():
            same = np.allclose(values, there[key], rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
            text = f"{again}: {' by '.join(key)} was {values}, and is {there[key]}."
            require(same, text)
        for kind in KINDS:
            for measure, was in getattr(before, kind).items():
                now = getattr(turned, kind)[measure]
                same = now.table.equals(was.table) and np.array_equal(
                    now.values, was.values, equal_nan=True
                )
                require(same, f"{of}: it changes {kind}; work on a copy.")


def _values(questions: list[Question]) -> dict[tuple[str, str], tuple[float, float, float]]:
    return {
        (question.key, measure): (one.value, one.lower, one.upper)
        for question in questions
        for measure, contrast in question.contrasts.items()
        for one in [estimate(contrast)]
    }


def _last_first(pairs: Pairs) -> Pairs:
    runs, _ = pd.factorize(pairs.table["run_x"])
    order = np.argsort(-runs, kind="stable")
    return Pairs(pairs.table.iloc[order].reset_index(drop=True), pairs.values[order])


CHECKS: tuple[Callable[[Claim], None], ...] = (
    check_questions,
    check_keys,
    check_repeated,
)

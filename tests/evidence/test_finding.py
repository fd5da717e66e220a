"""Verdicts and their correction."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.finding import Question, holm, judge, within_tolerances


def an_estimate(value: float, p: float, seeds: int = 5, null: float = 0.0) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, p, null, 0.05, 0.01, 4.0, seeds, seeds)


def asked(key="q", least=0.0, missing="", **estimates) -> Question:
    return Question(key, 1, "It is so.", "this less that", estimates, least, missing=missing)


def the_verdict(question: Question):
    (finding,) = judge([question], "corrected")
    return finding.verdict, finding.why


def test_holm_by_hand():
    # Holm 1979: the smallest × 3, the next × 2 (or what came before), the largest × 1.
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04]), [0.06, 0.03, 0.06])
    found = holm([0.01, math.nan, 0.5])
    np.testing.assert_allclose(found[[0, 2]], [0.02, 0.5])
    assert math.isnan(found[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_only_raises_p_keeps_their_order_and_stays_below_bonferroni(values):
    corrected = holm(values)
    assert (corrected >= np.array(values)).all()
    assert (corrected <= np.minimum(1, len(values) * np.array(values)) + 1e-12).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_supported_and_contradicted_take_both_measures():
    assert the_verdict(asked(a=an_estimate(0.3, 1e-4), b=an_estimate(0.2, 1e-3)))[0] == "supported"
    verdict, why = the_verdict(asked(a=an_estimate(-0.3, 1e-4), b=an_estimate(-0.2, 1e-3)))
    assert verdict == "contradicted"
    assert "other way" in why


def test_measures_that_disagree_are_inconclusive_and_said_to():
    verdict, why = the_verdict(asked(a=an_estimate(0.3, 1e-4), b=an_estimate(-0.2, 1e-3)))
    assert verdict == "inconclusive"
    assert "disagree" in why
    verdict, why = the_verdict(asked(a=an_estimate(0.3, 1e-4), b=an_estimate(0.01, 0.7)))
    assert verdict == "inconclusive"
    assert "by a only" in why


def test_signs_that_differ_within_chance_are_no_disagreement():
    _, why = the_verdict(asked(a=an_estimate(0.01, 0.8), b=an_estimate(-0.01, 0.9)))
    assert "disagree" not in why


def test_a_single_seed_is_never_supported():
    verdict, why = the_verdict(asked(a=an_estimate(0.9, 1e-9, seeds=1)))
    assert verdict == "inconclusive"
    assert "One seed" in why


def test_what_is_too_small_to_matter_is_inconclusive():
    verdict, why = the_verdict(asked(least=0.05, a=an_estimate(0.01, 1e-6)))
    assert verdict == "inconclusive"
    assert "smaller than what matters" in why


def test_a_margin_is_tested_against_and_not_zero():
    question = asked(a=an_estimate(-0.02, 1e-5, null=-0.1))
    assert the_verdict(question)[0] == "supported"
    question = asked(a=an_estimate(-0.3, 1e-5, null=-0.1))
    assert the_verdict(question)[0] == "contradicted"


def test_undefined_and_unasked():
    assert the_verdict(asked(a=an_estimate(math.nan, math.nan)))[0] == "inconclusive"
    assert the_verdict(asked(missing="No such run.")) == ("not asked", "No such run.")
    assert "three" in the_verdict(asked(a=an_estimate(0.3, math.nan, seeds=2)))[1]


def test_questions_are_corrected_together_and_those_of_the_measures_apart():
    one = asked("one", a=an_estimate(0.3, 0.03))
    many = judge([one, *[asked(f"q{i}", a=an_estimate(0.1, 0.9)) for i in range(3)]], "corrected")
    assert many[0].p_holm == pytest.approx(0.12)
    assert many[0].verdict == "inconclusive"
    synthetic = Question("s", 12, "So.", "x", {"a": an_estimate(0.1, 0.04)}, of_study=False)
    both = judge([one, synthetic], "corrected")
    assert [f.p_holm for f in both] == pytest.approx([0.03, 0.04])


def test_a_tolerance_is_bounded_in_what_the_question_is_counted_in():
    t, measure = 0.002, "procrustes_similarity"
    question = asked(least=0.05, **{measure: an_estimate(0.15, 0.001)})
    (scores,) = within_tolerances([question], {measure: t})
    assert scores.least == 0.05
    assert the_verdict(scores)[0] == "supported"
    (progress,) = within_tolerances([replace(question, unit="progress")], {measure: t})
    assert progress.least == pytest.approx(0.2)  # 2t / 0.02
    assert the_verdict(progress)[0] == "inconclusive"


def test_the_bound_of_progress_holds_where_there_is_least_room():
    t = 0.002
    untrained = 1 - 0.02 - t / 2  # at worst it is seen with a room of 0.02
    worst = 0.0
    for share in np.linspace(0, 1, 11):
        area = untrained + share * (1 - untrained)
        for a, s in itertools.product((-t / 2, t / 2), repeat=2):
            seen = (area + a - untrained - s) / (1 - untrained - s)
            worst = max(worst, abs(seen - share))
    assert 0.9 * t / 0.02 < worst <= t / 0.02 + 1e-12


def test_correlations_are_not_asked_of_certified_measures():
    both = {"debiased_cka": an_estimate(0.5, 0.001), "procrustes_similarity": an_estimate(0.5, 1)}
    question = replace(asked(**both), unit="correlations")
    (found,) = within_tolerances([question], {"procrustes_similarity": 0.01})
    assert list(found.estimates) == ["debiased_cka"]
    verdict, why = the_verdict(found)
    assert verdict == "supported"
    assert "not asked of procrustes_similarity" in why
    (found,) = within_tolerances([question], dict.fromkeys(both, 0.01))
    assert the_verdict(found)[0] == "not asked"
    assert within_tolerances([question], {"linear_cka": 0.01}) == [question]

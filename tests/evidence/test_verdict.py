"""Verdicts, families and their correction."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from stratigraph.evidence.boundaries import thresholds
from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.family import LEVEL, holm
from stratigraph.evidence.finding import Question
from stratigraph.evidence.sequential import Looks, Standing
from stratigraph.evidence.verdict import decide, judge

NOTHING = Evidence("debiased_cka", {}, {}, {})


def a_contrast(value: float, error: float, runs: int = 5, null: float = 0.0) -> Contrast:
    """Runs whose mean and standard error are these."""
    draws = np.linspace(-1, 1, runs) if runs > 1 else np.zeros(1)
    spread = draws / draws.std(ddof=1) * error * math.sqrt(runs) if runs > 1 else draws
    names = [f"r{i}" for i in range(runs)]
    table = pd.DataFrame({"run_x": names, "config_x": "c", "stream_x": names})
    found = weigh(
        table.assign(group="", side="gap"), (value + spread)[:, None], {"gap": 1.0}, null=null
    )
    assert found is not None
    return found


def asked(key="q", least=0.05, missing="", **contrasts) -> Question:
    return Question(key, 1, "It is so.", "this less that", contrasts, least, missing=missing)


def the_finding(question: Question, tolerances=None):
    (finding,) = judge([question], "corrected", replace(NOTHING, tolerances=tolerances or {}))
    return finding


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


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.3, 0.02, "supported"),
        (-0.3, 0.02, "contradicted"),
        (0.01, 0.002, "negligible"),
        (0.06, 0.02, "undecided"),
        (0.0, 0.2, "undecided"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(value, error, verdict):
    found = the_finding(asked(a=a_contrast(value, error)))
    assert found.verdict == verdict
    assert (found.reason == "replicates") == (verdict == "undecided")
    assert (found.p < LEVEL) == (verdict != "undecided")


@given(st.floats(-0.5, 0.5), st.floats(0.005, 0.2), st.sampled_from([0.0, 0.05]), st.booleans())
@settings(deadline=None)
def test_the_deciding_p_is_the_level_at_which_the_interval_decides(value, error, least, one_sided):
    one = Estimate(value, 0, 0, 0, 0.1, error, math.nan, 0.0, 7.0, 8, 1, 8, error=error)
    p, _ = decide(one, least, one_sided)
    for level in (0.001, 0.01, 0.05, 0.2):
        lower, upper = one.interval(1 - (2 * level if one_sided else level))
        if one_sided:
            decided = lower > 0.1 or upper < 0.1
        else:
            low, high = 0.1 - least, 0.1 + least
            decided = lower > high or upper < low or (lower > low and upper < high)
        if abs(p - level) > 1e-6:
            assert decided == (p < level)


def test_a_margin_is_one_sided_and_not_zero():
    def one(value, error=0.02):
        contrast = a_contrast(value, error, null=-0.1)
        return the_finding(replace(asked(least=0.0, a=contrast), one_sided=True))

    assert one(-0.02).verdict == "supported"
    assert one(-0.3).verdict == "contradicted"
    assert one(-0.1).verdict == "undecided"
    # One-sided: t = 2.2 of four degrees of freedom decides at .05, which two-sided it does not.
    found = one(-0.1 + 2.2 * 0.02)
    assert found.p == pytest.approx(stats.t.sf(2.2, 4))
    assert found.verdict == "supported"


def test_cka_decides_and_procrustes_stands_beside():
    both = the_finding(asked(a=a_contrast(0.3, 0.02), b=a_contrast(0.01, 0.2)))
    assert both.verdict == "supported"
    against = the_finding(asked(a=a_contrast(0.3, 0.02), b=a_contrast(-0.2, 0.02)))
    assert (against.verdict, against.reason) == ("undecided", "measures disagree")
    assert "+0.300" in against.why
    chance = the_finding(asked(a=a_contrast(0.3, 0.02), b=a_contrast(-0.05, 0.2)))
    assert chance.verdict == "supported"


def test_a_single_run_decides_nothing():
    found = the_finding(asked(a=a_contrast(0.9, 0.0, runs=1)))
    assert (found.verdict, found.reason) == ("undecided", "replicates")
    assert "One replicate" in found.why
    missing = the_finding(asked(missing="No such run."))
    assert (missing.verdict, missing.why) == ("not asked", "No such run.")


def test_families_are_corrected_apart():
    def question(key, error, family):
        return replace(asked(key, a=a_contrast(0.3 + 1e-6 * error, error)), family=family)

    alone = judge([question("one", 0.08, "primary")], "corrected", NOTHING)
    many = judge(
        [
            question("one", 0.08, "primary"),
            *[question(f"q{i}", 0.3 + 0.01 * i, "secondary") for i in range(9)],
            question("m", 0.1, "measures"),
        ],
        "corrected",
        NOTHING,
    )
    assert many[0].p_holm == alone[0].p_holm
    assert many[0].verdict == alone[0].verdict
    crowded = judge(
        [question("one", 0.08, "primary")]
        + [question(f"q{i}", 0.3 + 0.01 * i, "primary") for i in range(5)],
        "corrected",
        NOTHING,
    )
    assert crowded[0].p_holm == pytest.approx(6 * crowded[0].p)
    assert crowded[0].adjusted[2] == pytest.approx(1 - LEVEL / 6)


@given(st.lists(st.floats(0.01, 0.3), min_size=2, max_size=7, unique=True))
@settings(deadline=None, max_examples=25)
def test_a_verdict_is_what_the_adjusted_interval_says(errors):
    questions = [asked(f"q{i}", a=a_contrast(0.2 + 1e-5 * i, e)) for i, e in enumerate(errors)]
    for found in judge(questions, "corrected", NOTHING):
        lower, upper, _ = found.adjusted
        decided = lower > 0.05 or upper < -0.05 or (lower > -0.05 and upper < 0.05)
        assert decided == (found.verdict != "undecided") == (found.p_holm < LEVEL)


def test_the_same_number_is_counted_once():
    twice = [
        replace(asked("a", a=a_contrast(0.3, 0.05)), family="primary"),
        asked("b", a=a_contrast(0.3, 0.05)),
        asked("c", a=a_contrast(0.2, 0.05)),
    ]
    first, again, other = judge(twice, "corrected", NOTHING)
    assert again.p_holm == pytest.approx(first.p_holm)
    assert other.p_holm == pytest.approx(other.p)


def test_failed_runs_are_told_and_stand_beside():
    runs = pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(5)],
            "duplicate_of": "",
            "learned": [True, True, True, True, False],
            "why": ["", "", "", "", "it did not learn"],
        }
    )
    evidence = replace(NOTHING, runs=runs)
    learned, every = asked(a=a_contrast(0.3, 0.02, runs=4)), asked(a=a_contrast(0.2, 0.1, runs=5))
    (found,) = judge([learned], "corrected", evidence, [every])
    assert found.estimates["a"].value == pytest.approx(0.3)
    assert found.every["a"].value == pytest.approx(0.2)
    assert (found.entered.of, found.entered.failed) == (5, 1)
    assert found.entered.left_out == {"it did not learn": ["r4"]}
    (none,) = judge([asked(missing="Too few.")], "corrected", evidence, [every])
    assert (none.verdict, none.reason) == ("undecided", "failed runs")


def test_a_tolerance_widens_intervals_by_what_it_can_make_of_the_contrast():
    t, measure = 0.002, "procrustes_similarity"
    question = asked(debiased_cka=a_contrast(0.3, 0.02), **{measure: a_contrast(0.3, 0.02)})
    exact = the_finding(question).estimates[measure]
    scores = the_finding(question, {measure: t})
    assert scores.estimates[measure].lower == pytest.approx(exact.lower - t)
    assert "certified" in scores.why
    progress = the_finding(replace(question, unit="progress"), {measure: t})
    assert progress.estimates[measure].upper == pytest.approx(exact.upper + 0.2)  # 2t / 0.02
    alone = asked(**{measure: a_contrast(0.0615, 0.001)})
    assert the_finding(alone).verdict == "supported"
    wide = the_finding(alone, {measure: 0.02})
    assert wide.verdict == "undecided"
    assert wide.adjusted[:2] == pytest.approx(
        np.add(the_finding(alone).adjusted[:2], (-0.02, 0.02))
    )
    assert wide.p > 0.05 > the_finding(alone).p
    ranks = the_finding(replace(question, unit="correlations"), {measure: t})
    assert list(ranks.estimates) == ["debiased_cka"]
    assert "not asked of procrustes_similarity" in ranks.why


def looked(value: float, error: float, counts, now, before, runs=None):
    question = asked(a=a_contrast(value, error, runs or counts[now]))
    looks = Looks(counts, now, before)
    (found,) = judge([question], "corrected", NOTHING, looks=looks)
    return found


def test_over_looks_the_interval_is_the_repeated_one_and_a_verdict_stays():
    first = looked(0.2, 0.03, (4, 6, 8), 0, {})
    assert first.verdict == "undecided"  # 0.2 ± 3.18 × 0.03 would have decided by itself
    assert first.adjusted[2] == pytest.approx(1 - thresholds((4, 6, 8), 0.05)[0])
    assert the_finding(asked(a=a_contrast(0.2, 0.03, 4))).verdict == "supported"
    second = looked(0.2, 0.02, (4, 6, 8), 1, {"q": first.standing})
    assert second.verdict == "supported"
    assert second.standing.settled
    assert second.p < first.p
    third = looked(0.1, 0.06, (4, 6, 8), 2, {"q": second.standing})
    assert third.verdict == "supported"
    assert third.p == second.p
    assert "Decided with 6 replicates, which stays." in third.why


def test_what_is_open_is_given_up_as_futile_or_out_of_budget():
    assert looked(0.05, 0.03, (4, 6, 8), 0, {}).standing.outlook == "futile"
    assert looked(0.12, 0.03, (4, 6, 8), 0, {}).standing.outlook == ""
    assert looked(0.12, 0.05, (4, 6, 8), 2, {}).standing.outlook == "out of budget"


def test_what_is_undecided_says_how_many_replicates_would_do():
    found = the_finding(asked(a=a_contrast(0.12, 0.03, 5)))
    assert found.need is not None
    assert found.need.replicates > 5
    assert f"{found.need.replicates} replicates would decide it with power 0.8" in found.why


def with_probes(value: float, runs: int) -> Contrast:
    """Runs that score alike but for their probes, of which groups were left out."""
    rng = np.random.default_rng(0)
    scores = value + 0.001 * rng.standard_normal((runs, 21))
    names = [f"r{i}" for i in range(runs)]
    table = pd.DataFrame({"run_x": names, "config_x": "c", "stream_x": names})
    found = weigh(table.assign(group="", side="gap"), scores, {"gap": 1.0})
    assert found is not None
    return found


def test_an_interval_over_probes_alone_decides_nothing_at_no_look():
    question = asked(a=with_probes(0.3, 1))
    found = the_finding(question)
    assert math.isfinite(found.estimates["a"].lower)  # over the probes
    assert math.isnan(found.p)
    assert math.isnan(found.adjusted[0])
    (found,) = judge([question], "corrected", NOTHING, looks=Looks((4, 6), 0, {}))
    assert (found.verdict, found.reason, found.standing.settled) == (
        "undecided", "replicates", False,
    )  # fmt: skip
    every = asked(a=with_probes(0.3, 5))
    runs = pd.DataFrame({"run": ["r1"], "duplicate_of": "", "learned": [False], "why": "no"})
    (found,) = judge([question], "corrected", replace(NOTHING, runs=runs), [every])
    assert found.reason == "failed runs"


@pytest.mark.parametrize("missing", ["No such run.", ""])
def test_a_verdict_stays_where_nothing_is_left_to_ask(missing):
    looks = Looks((4, 6, 8), 1, {"q": Standing(1e-5, "supported", 4, True)})
    (found,) = judge([asked(missing=missing)], "corrected", NOTHING, looks=looks)
    assert (found.verdict, found.standing) == ("supported", looks.before["q"])
    assert "Decided with 4 replicates, which stays." in found.why
    open_ = Looks((4, 6, 8), 1, {"q": Standing(0.3, "supported", 4)})
    (found,) = judge([asked(missing=missing)], "corrected", NOTHING, looks=open_)
    assert found.verdict == ("not asked" if missing else "undecided")
    assert (found.standing.p, found.standing.settled) == (0.3, False)


def test_a_claim_about_a_value_is_not_about_zero():
    contrast = a_contrast(0.5, 0.01, null=0.8)
    assert the_finding(asked(least=0.0, a=contrast)).verdict == "contradicted"
    near = the_finding(asked(least=0.4, a=contrast))
    assert near.verdict == "negligible"
    assert "within 0.8 ±0.4" in near.why


def test_a_claim_of_four_sides_is_widened_twice():
    runs = [f"r{i}" for i in range(12)]
    table = pd.DataFrame({"run_x": runs, "config_x": np.repeat(list("abcd"), 3), "stream_x": runs})
    signs = {"a": 1.0, "b": -1.0, "c": -1.0, "d": 1.0}
    values = np.random.default_rng(0).normal(size=(12, 1))
    found = weigh(table.assign(group="", side=table["config_x"]), values, signs)
    exact, wide = (the_finding(asked(a=found), t).estimates["a"] for t in ({}, {"a": 0.01}))
    assert wide.upper == pytest.approx(exact.upper + 0.02)


def test_p_of_both_sides_are_as_small():
    above, below = (the_finding(asked(a=a_contrast(s, 1e-6, 40))) for s in (0.5, -0.5))
    assert below.p == pytest.approx(above.p, rel=1e-6)
    assert below.p > 0

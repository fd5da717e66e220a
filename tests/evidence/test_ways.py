"""Two readings of the same weights, compared by their paired difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stratigraph.evidence.answer import answer
from stratigraph.evidence.basis import table_of_scores
from stratigraph.evidence.claims.encoder_first import encoder_first
from stratigraph.evidence.claims.encoder_first_everywhere import encoder_first_everywhere
from stratigraph.evidence.claims.measures_agree import measures_agree
from stratigraph.evidence.claims.shared_features import shared_features
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.ways import compare_ways
from stratigraph.testing.planted import Plan, planted

CLAIMS = (encoder_first, encoder_first_everywhere, measures_agree, shared_features)
PLAN = Plan(20, 300, collapse=((1.0, 0),), seeds=5, probes=16)


def reading(change=lambda pairs: pairs.values, cka="debiased_cka") -> Evidence:
    """The same runs, with what another reading makes of their scores."""
    evidence = planted(PLAN, 0)

    def named(kind):
        return {cka if m == "debiased_cka" else m: pairs for m, pairs in kind.items()}

    to_final = {m: Pairs(p.table, change(p)) for m, p in evidence.to_final.items()}
    return replace(
        evidence, cka=cka, to_final=named(to_final), final=named(evidence.final),
        within=named(evidence.within),
    )  # fmt: skip


def compare(first: Evidence, second: Evidence):
    found = (answer(first, "corrected", CLAIMS), answer(second, "published", CLAIMS))
    return {(one.question.key, one.measures): one for one in compare_ways(*found)}


def add(values, pairs):
    """Of the decoder's layers, as much more as the run's number says."""
    moved = (pairs.table["part_x"] == "decoder") & (pairs.table["step_x"] < 3000)
    runs = pairs.table["run_x"].str[-1].astype(int).to_numpy()
    return pairs.values + np.where(moved, values[runs], 0.0)[:, None]


def test_what_a_run_does_to_both_readings_cancels():
    shift = np.array([0.01, 0.02, 0.015, 0.025, 0.03])
    found = compare(reading(), reading(lambda pairs: add(shift, pairs), "linear_cka"))
    one = found["encoder_first", ("debiased_cka", "linear_cka")]
    # The area of what was added to all snapshots but the last, over the logarithm of training.
    at = np.log1p([0, 10, 50, 200, 600, 3000])
    area = 1 - (at[5] - at[4]) / 2 / (at[5] - at[0])
    assert one.decides
    assert one.difference.value == pytest.approx(area * shift.mean())
    assert one.values[0] - one.values[1] == pytest.approx(area * shift.mean())
    # The runs are the t test's of the differences; the probes' errors are of each reading.
    error = area * stats.sem(shift)
    assert one.difference.error_replicates == pytest.approx(error)
    whole = answer(reading(), "corrected", CLAIMS)[0].estimates["debiased_cka"]
    assert one.difference.error_probes == pytest.approx(np.sqrt(2) * whole.error_probes)
    assert whole.error_replicates > 3 * error
    # Procrustes has no probes left out.
    alone = found["encoder_first", ("procrustes_similarity", "procrustes_similarity")].difference
    assert (alone.freedom, alone.runs) == (pytest.approx(4), 5)
    test = stats.ttest_1samp(area * shift, 0)
    assert alone.p == pytest.approx(test.pvalue)
    interval = test.confidence_interval()
    assert (alone.lower, alone.upper) == pytest.approx((interval.low, interval.high))


def test_the_same_reading_twice_changes_nothing():
    found = compare(reading(), reading())
    keys = {key for key, _ in found}
    # No smallest number, and nothing of the measures themselves.
    assert keys == {"encoder_first", "encoder_first_progress", "measures_agree"}
    for one in found.values():
        assert one.difference.value == 0
        assert not (one.difference.lower > 0 or one.difference.upper < 0)


def test_only_runs_that_both_have_are_compared():
    first = reading()
    runs = first.runs["run"].tolist()
    failed = first.runs.assign(learned=[False, None, None, None, None], why="it did not")
    other = replace(first, runs=failed.astype({"learned": object}))
    one = compare(first, other)["encoder_first", ("debiased_cka",) * 2]
    assert one.difference.runs == 4
    assert one.values[0] == one.values[1]
    none = replace(first, runs=first.runs.assign(learned=False, why="it did not"))
    every = compare(none, none)["encoder_first", ("debiased_cka",) * 2]
    assert (every.decides, every.difference.runs) == (False, len(runs))


def test_scores_that_are_kept_make_the_contrast():
    evidence = reading()
    learned = [True, False, True, True, True]
    runs = evidence.runs.assign(learned=learned, why="").astype({"learned": object})
    findings = answer(replace(evidence, runs=runs), "corrected", CLAIMS)
    table = table_of_scores(findings)
    for finding in findings:
        for decides, estimates in ((True, finding.estimates), (False, finding.every)):
            for measure, one in estimates.items():
                own = table[
                    (table["key"] == finding.question.key)
                    & (table["measure"] == measure)
                    & (table["decides"] == decides)
                ]
                assert len(own)
                if "weight" in own and own["weight"].notna().all() and not one.parts:
                    cells = own.groupby("cell")
                    value = (cells["value"].mean() * cells["weight"].first()).sum()
                    assert value == pytest.approx(one.value)
    agree = table[table["key"] == "measures_agree"]
    assert agree["value"].isna().all()
    assert agree[["debiased_cka", "procrustes_similarity"]].notna().all(axis=None)
    assert set(table[table["key"] == "encoder_first"]["layers"]) == {
        "encoder.conv1 encoder.conv2 decoder.dense1 decoder.output"
    }

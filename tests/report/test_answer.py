"""The answer in words, the rows behind it, and where they lie on the forest's axis."""

from __future__ import annotations

import pytest

from stratigraph.errors import IntegrityError
from stratigraph.records.forms import check_json
from stratigraph.report.answer import answer_table, answer_words
from stratigraph.report.findings import finding_rows, reach_of, runs_of_answer
from stratigraph.report.questions import QUESTIONS, ask_in_order, rest_of, view_of

NEED = {"replicates": 7, "low": 5, "high": 34, "never": 0.0, "why": ""}


def finding(key, verdict, value=0.3, *, claim=1, null=0.0, **more):
    one = {"value": value, "lower": value - 0.1, "upper": value + 0.1, "null": null, "runs": 3}
    entered = {"runs": ["a", "b", "c"], "of": 4, "failed": 1, "layers": ["z"], "left_out": []}
    adjusted = {"lower": value - 0.15, "upper": value + 0.15, "confidence": 0.99}
    return {
        "key": key, "claim": claim, "family": "primary", "way": "corrected", "verdict": verdict,
        "statement": f"Claim {claim}.", "contrast": "one less other", "why": "", "reason": "",
        "p_holm": 0.01, "least": 0.05, "one_sided": False, "adjusted": adjusted, "need": None,
        "standing": None, "estimates": {} if verdict == "not asked" else {"debiased_cka": one},
        "of_all_runs": {}, "entered": entered, "details": [], **more,
    }  # fmt: skip


def test_two_readings_that_differ_are_both_said():
    raw, progress = answer_words([
        finding("encoder_first", "supported"),
        finding("encoder_first_progress", "contradicted", -0.4),
        finding("latents_exception", "undecided", claim=5),
    ])  # fmt: skip
    assert raw == (
        "By similarity to the final state, encoders settle before decoders (+0.300, 95 % interval "
        "+0.200 to +0.400); but above the untrained network, decoders settle before encoders "
        "(−0.400, 95 % interval −0.500 to −0.300)."
    )
    assert progress == (
        "Of the other main questions, undecided: that mean and variance differ more than the "
        "encoder's layers do."
    )


@pytest.mark.parametrize("verdict", ["supported", "contradicted", "negligible", "undecided"])
def test_readings_that_agree_are_not_set_against_each_other(verdict):
    keys = ("encoder_first", "encoder_first_progress")
    first, _ = answer_words([finding(key, verdict) for key in keys])
    assert "but" not in first
    assert "above the untrained network" in first


def test_what_was_not_asked_or_not_learned_is_said():
    assert answer_words([]) == []
    (none,) = answer_words([finding("encoder_first", "not asked")])
    assert "Nothing was asked" in none
    failed = {"runs": [], "of": 4, "failed": 4, "layers": [], "left_out": []}
    (said,) = answer_words([finding("encoder_first", "undecided", entered=failed, estimates={})])
    assert said.startswith("None of the 4 runs learned")
    first, rest = answer_words([finding("mine", "supported", claim=0, family="own")])
    assert "was not asked" in first
    assert rest == "Of 1 other question: 1 supported."


def test_a_row_says_where_it_lies_and_what_it_lacks():
    (row,) = finding_rows([finding("stable", "undecided", 0.95, null=0.9, need=NEED)])
    assert row["null"] == "0.9"
    assert row["place"]["value"] == pytest.approx(0.05)
    assert row["place"]["outer_low"] == pytest.approx(-0.1)
    assert row["need"].startswith("7 replicates would decide it")
    assert reach_of([row]) == 0.25
    (settled,) = finding_rows([
        finding("one", "supported", standing={"replicates": 6, "settled": True, "outlook": ""})
    ])  # fmt: skip
    assert settled["need"] == "Settled with 6 replicates."
    (older,) = finding_rows([
        {k: v for k, v in finding("encoder_first", "inconclusive").items()
         if k not in ("family", "least", "one_sided", "adjusted", "need", "standing", "entered")}
    ])  # fmt: skip
    assert (older["family"], older["place"]["least"]) == ("primary", 0.0)


def test_the_terminals_table_says_margins_and_needs():
    told = "\n".join(answer_table([
        finding("encoders_alike_across_strengths", "supported", -0.01, claim=3, null=-0.1),
        finding("encoder_first", "undecided", need=NEED),
        finding("mine", "supported", claim=0),
    ]))  # fmt: skip
    assert "against −0.1" in told
    assert "7 replicates would decide it" in told
    assert "own" not in told


def test_every_claim_has_a_question_and_every_finding_a_view():
    from stratigraph.web.app import PAGES

    assert {claim for one in QUESTIONS for claim in one.claims} == {*range(1, 20), "own"}
    rows = finding_rows([finding("encoder_first_progress", "supported"),
                         finding("mine", "supported", claim=0)])  # fmt: skip
    assert view_of(rows[0]) == "/convergence?show=parts&kind=progress"
    assert all(view_of(row).partition("?")[0] in PAGES for row in rows)
    asked = ask_in_order(rows, ["answer", "convergence", "losses"])
    assert [question.name for question, _ in asked] == ["order", "own"]
    assert rest_of(["answer", "convergence", "losses"]) == ["losses"]


def test_the_picture_is_of_the_runs_that_the_answer_rests_on():
    assert runs_of_answer([finding("encoder_first", "supported")]) == ["a", "b", "c"]
    assert runs_of_answer([finding("mine", "supported")]) == []


def test_what_rows_are_made_of_is_held_against_its_form():
    check_json("findings.json", {"findings": [finding("one", "undecided", need=NEED)]})
    for wrong in ({"need": {"replicates": "many"}}, {"standing": 3}, {"least": "small"}):
        with pytest.raises(IntegrityError, match="not in the form of such a file"):
            check_json("findings.json", {"findings": [finding("one", "undecided", **wrong)]})

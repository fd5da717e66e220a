"""A study's answer in words: two sentences, and for a terminal a small table under them.

The first sentence is claim 1's, by similarity and by progress above the untrained network, which
may point opposite ways; the second says how the other main questions (claims 2 to 5) stand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from stratigraph.evidence.family import PRIMARY
from stratigraph.report.findings import finding_rows

__all__ = ["answer_table", "answer_words"]

FIRST = ("encoder_first", "encoder_first_progress")
ORDERS = {
    "supported": "encoders settle before decoders",
    "contradicted": "decoders settle before encoders",
    "negligible": "encoders and decoders settle at times that hardly differ",
    "undecided": "it stays open whether encoders settle before decoders",
    "inconclusive": "it stays open whether encoders settle before decoders",  # of format 1
}
TOPICS = {
    "encoder_first_everywhere": "that this holds in every configuration",
    "encoders_alike_across_strengths": "that encoders are alike across strengths",
    "encoders_alike_across_objectives": "that encoders are alike across objectives",
    "latents_exception": "that mean and variance differ more than the encoder's layers do",
}
VERDICTS = ("supported", "contradicted", "negligible", "undecided", "inconclusive", "not asked")
WIDTH = 50  # of a question in the terminal's table
KEY = (
    "supported: the whole interval is beyond the least difference that matters, as claimed;",
    "contradicted: on the other side; negligible: within it; undecided: none of these, so far.",
)


def answer_words(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The answer: two sentences, or one that says why there is none."""
    rows = finding_rows(findings)
    held = {row["key"]: row for row in rows}
    if not any(row["verdict"] != "not asked" for row in rows):
        return ["Nothing was asked of this study that its runs could answer."] if rows else []
    of_runs = [r for r in rows if r["verdict"] != "not asked" and r["family"] != "measures"]
    entered = [row["entered"] for row in of_runs if row["entered"]]
    if entered and all(one["failed"] == one["of"] for one in entered):
        return [
            f"None of the {entered[0]['of']} runs learned its images, so nothing is known of how "
            "they learn: train them longer, or at another learning rate."
        ]
    return [_say_order(held), _say_rest(rows)]


def _say_order(held: Mapping[str, Mapping[str, Any]]) -> str:
    raw, progress = (held.get(key) for key in FIRST)
    asked = [row for row in (raw, progress) if row and row["verdict"] != "not asked"]
    if not asked:
        return "Whether encoders are learned before decoders was not asked of this study."
    said: list[str] = []
    for row in asked:
        ground = "By similarity to the final state" if row is raw else "Above the untrained network"
        ground = ground if not said else ground[0].lower() + ground[1:]
        verdict = ORDERS.get(row["verdict"], row["verdict"])
        if said and row["verdict"] == asked[0]["verdict"]:
            verdict = {
                "supported": "they do too", "contradicted": "they do too",
                "negligible": "they hardly differ either",
            }.get(row["verdict"], "it stays open too")  # fmt: skip
        said.append(f"{ground}, {verdict}{_number(row)}")
    joint = "; but " if len({row["verdict"] for row in asked}) > 1 else "; "
    return joint.join(said) + "."


def _number(row: Mapping[str, Any]) -> str:
    """The estimate with its interval, in brackets; nothing where there is none."""
    return f" ({row['value']}, 95 % interval {row['interval']})" if row["place"] else ""


def _say_rest(rows: Sequence[Mapping[str, Any]]) -> str:
    main = [row for row in rows if row["key"] in TOPICS and row["verdict"] != "not asked"]
    if not main:
        asked = [r for r in rows if r["verdict"] != "not asked" and r["key"] not in FIRST]
        counts = [
            f"{count} {verdict}"
            for verdict in VERDICTS
            if (count := sum(row["verdict"] == verdict for row in asked))
        ]
        noun = "question" if len(asked) == 1 else "questions"
        return f"Of {len(asked)} other {noun}: {', '.join(counts)}." if asked else (
            "No other main question was asked."
        )  # fmt: skip
    said = []
    for verdict in VERDICTS:
        own = [TOPICS[row["key"]] for row in main if row["verdict"] == verdict]
        if own:
            said.append(f"{verdict}: {' and '.join(filter(None, [', '.join(own[:-1]), own[-1]]))}")
    return f"Of the other main questions, {'; '.join(said)}."


def answer_table(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The main questions as lines of a terminal: claim, question, verdict, estimate, interval."""
    rows = [
        row
        for row in finding_rows(findings)
        if row["key"] in PRIMARY and row["verdict"] != "not asked"
    ]
    if not rows:
        return []
    lines = [f"{'claim':<6}{'':<{WIDTH}}  {'verdict':<13}{'estimate':>8}   95 % interval"]
    for row in rows:
        words = textwrap.wrap(row["statement"].rstrip("."), WIDTH)
        estimate, interval = row["value"], row["interval"]
        if row["null"]:
            interval += f", against {row['null']}"
        first, *more = words
        lines.append(
            f"{row['claim']!s:<6}{first:<{WIDTH}}  {row['verdict']:<13}{estimate:>8}   {interval}"
        )
        lines += [f"{'':<6}{word}" for word in more]
        if row["need"]:
            lines.append(f"{'':<6}{row['need']}")
    return [*lines, *KEY]

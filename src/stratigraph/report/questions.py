"""The report's questions: which claims each is of, and which of the report's figures answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["QUESTIONS", "Question", "ask_in_order", "rest_of", "view_of"]


@dataclass(frozen=True)
class Question:
    """A section of the report.

    Attributes:
        name: its place on the page.
        title: what is asked.
        claims: the numbers of the claims that it is of (`stratigraph.evidence.claims`).
        figures: of the sections of figures (`stratigraph.report.sections`), those that answer it.
        view: the page's view that shows it, as its address.

    """

    name: str
    title: str
    claims: tuple[int | str, ...]
    figures: tuple[str, ...]
    view: str


QUESTIONS = (
    Question(
        "order", "Is the encoder learned before the decoder?", (1,), ("convergence", "probes"),
        "/convergence?show=parts",
    ),
    Question(
        "everywhere", "Is it so in every configuration?", (2,), (), "/convergence?show=parts",
    ),
    Question(
        "alike", "What is alike across strengths and objectives?", (3, 4, 5, 7),
        ("between-settings",), "/runs",
    ),
    Question(
        "collapse", "What tells of latents that collapse?", (6,), ("layer-pairs", "latents"),
        "/latents",
    ),
    Question("seeds", "Is it stable across seeds?", (10,), ("chance",), "/models"),
    Question(
        "networks", "Does it hold for other networks?", (9, 15), ("between-networks",),
        "/convergence?show=parts",
    ),
    Question(
        "classifiers", "Is a classifier's encoder alike?", (11,), ("between-classifier",), "/runs",
    ),
    Question(
        "disentangled", "When are latents disentangled?", (17, 18, 19),
        ("disentanglement", "gains"), "/convergence?show=scores",
    ),
    Question("data", "What depends on the data?", (16,), ("across-data",), "/runs"),
    Question("layers", "Which layers settle first?", (14,), ("settled",), "/convergence"),
    Question(
        "measures", "What do the measures see?", (8, 12, 13), ("measures-behave",), "/heat",
    ),
    Question("own", "Your own questions", ("own",), (), "/convergence"),
)  # fmt: skip


def ask_in_order(
    rows: Sequence[Mapping[str, Any]], figures: Iterable[str]
) -> list[tuple[Question, list[Mapping[str, Any]]]]:
    """The questions that have an answer or a figure, each with its findings (`finding_rows`)."""
    there = set(figures)
    found = []
    for question in QUESTIONS:
        own = [r for r in rows if r["claim"] in question.claims and r["verdict"] != "not asked"]
        if own or there.intersection(question.figures):
            found.append((question, own))
    return found


def rest_of(figures: Iterable[str]) -> list[str]:
    """The sections of figures that answer no question."""
    used = {name for question in QUESTIONS for name in question.figures}
    return [name for name in figures if name not in {*used, "answer", "findings-figure", "power"}]


def view_of(row: Mapping[str, Any]) -> str:
    """The page's view that shows what a finding (`finding_rows`) is of, as its address."""
    view = next((one.view for one in QUESTIONS if row["claim"] in one.claims), "/convergence")
    if row["key"].endswith("_progress") and view.startswith("/convergence"):
        return f"{view}{'&' if '?' in view else '?'}kind=progress"
    return view

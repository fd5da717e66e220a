"""Assess: the findings of a compared study, in each way that it is read, as one JSON file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stratigraph.engine import Engine, one_thread
from stratigraph.errors import DataError
from stratigraph.evidence import gather
from stratigraph.evidence.answer import answer
from stratigraph.evidence.basis import table_of_scores
from stratigraph.evidence.claims import CLAIMS
from stratigraph.evidence.claims.own import own_claims
from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.finding import Finding
from stratigraph.evidence.sequential import Standing
from stratigraph.evidence.ways import Change, compare_ways
from stratigraph.records import remove_leftovers, write_json, write_record
from stratigraph.stages.catalog import are_trained
from stratigraph.stages.compare import compare_study
from stratigraph.stages.extract import extract_study
from stratigraph.stages.floors import keep_floors
from stratigraph.stages.looks import find_looks, keep_standings
from stratigraph.stages.progress import Progress
from stratigraph.stages.read import read_study
from stratigraph.stages.recorded import check_recorded
from stratigraph.stages.score import score_latents
from stratigraph.study import CORRECTED, PUBLISHED, Study, findings_path
from stratigraph.study.layout import basis_path
from stratigraph.study.tables import FINDINGS_FORMAT
from stratigraph.version import __version__

__all__ = ["assess_study", "findings_of"]


def findings_of(study: Study) -> list[Finding]:
    """The findings of a study, read its way; from its matrices, nothing is written.

    Raises:
        DataError: no CKA of the way was compared.

    """
    if study.way.cka not in study.measures():
        raise DataError(
            f"study {study.config.name} has no similarity matrix of {study.way.cka}, by which "
            f"findings are judged; add it to `measures`, and run `stratigraph compare`."
        )
    # As all else that is kept, since the last digits depend on it; and threads made these thousands
    # of small products seventy times slower on two busy cores.
    with one_thread():
        claims = (*CLAIMS, *own_claims(study.config.claims))
        looks = find_looks(study, study.way.name)
        return answer(gather(study), study.way.name, claims, looks=looks)


def assess_study(
    study: Study, engine: Engine, progress: Progress, published: bool = False
) -> list[dict[str, Any]]:
    """Judge every claim, write ``findings.json``, and return what it holds.

    As all that a stage calls, it is for who holds the study's lock (`run_stage` does).

    Args:
        study: a compared study.
        engine: where the published reading is made, if it is asked for and not there yet.
        progress: says what is going on.
        published: read the study the published way too (`stratigraph.study.ways`), and judge that.

    Raises:
        DataError: the study was not compared by debiased CKA, or cannot be, or no run reached its
            last step.

    """
    if not study.complete():
        raise DataError(
            f"study {study.config.name} has no run that reached its last step, so nothing has a "
            f"final state to assess; `stratigraph list {study.path}` says why."
        )
    if study.way.cka not in study.measures():
        check_recorded(study)  # or it would be told to compare what cannot be compared
    remove_leftovers(study.path, of=findings_path(study.path).name)
    keep_floors(study)  # as it may have these
    score_latents(study, engine, progress)  # an earlier version may have left them unscored
    found: dict[str, list[Finding]] = {}
    sources = {}
    for other in study.others():
        progress.say(f"{other.way.name}: {other.way.told}")
        extract_study(other, engine, progress)
        compare_study(other, engine, progress)
    ways = {way.way.name: way for way in study.ways()}
    if published:
        ways[PUBLISHED.name] = study.read(PUBLISHED)
    for way in ways.values():
        if way.way.name != study.way.name:
            progress.say(f"the {way.way.name} way: {way.way.told}")
            read_study(way, engine, progress)
            compare_study(way, engine, progress)
        found[way.way.name] = findings_of(way)
        sources[way.way.name] = way.source()
        _keep_basis(study, way.way.name, found[way.way.name])
    every = [finding for own in found.values() for finding in own]
    standings: dict[str, dict[str, Standing]] = {}
    for finding in every:
        if finding.standing is not None:
            standings.setdefault(finding.way, {})[finding.question.key] = finding.standing
    if standings and are_trained(study.path, list(study.runs)):  # else the look is not complete
        keep_standings(study, standings)
    rows = [_plain(finding) for finding in every]
    changes = compare_ways(found[CORRECTED.name], found.get(PUBLISHED.name, ()))
    about = {
        "format": FINDINGS_FORMAT,
        "study": study.config.name,
        "version": __version__,
        "runs": len(study.complete()),
        "ways": list(sources),
        "representations": sources,
    }
    compared = [_plain_change(change) for change in changes]
    write_json(findings_path(study.path), {**about, "findings": rows, "ways_compared": compared})
    return rows


def _keep_basis(study: Study, way: str, found: Sequence[Finding]) -> None:
    """Write down the scores that the findings of a way rest on."""
    folder = basis_path(study.path, way)
    remove_leftovers(folder.parent, of=folder.name)
    table = table_of_scores(found)
    write_record(folder, lambda files: files.table("rows.parquet", table))


def _plain_change(change: Change) -> dict[str, Any]:
    (first, second), (one, other) = change.measures, change.values
    return _finite(
        {
            "key": change.question.key,
            "claim": change.question.claim,
            "statement": change.question.statement,
            "decides": change.decides,
            "measures": {CORRECTED.name: first, PUBLISHED.name: second},
            "values": {CORRECTED.name: one, PUBLISHED.name: other},
            "difference": _numbers({"": change.difference})[""],
        }
    )


def _plain(finding: Finding) -> dict[str, Any]:
    question, entered = finding.question, finding.entered
    lower, upper, confidence = finding.adjusted
    return _finite(
        {
            "key": question.key,
            "claim": question.claim,
            "family": question.family,
            "way": finding.way,
            "statement": question.statement,
            "contrast": question.contrast,
            "verdict": finding.verdict,
            "reason": finding.reason,
            "why": finding.why,
            "p": finding.p,
            "p_holm": finding.p_holm,
            "least": question.least,
            "one_sided": question.one_sided,
            "level": finding.level,
            "adjusted": {"lower": lower, "upper": upper, "confidence": confidence},
            "need": None if finding.need is None else asdict(finding.need),
            "standing": None if finding.standing is None else asdict(finding.standing),
            "estimates": _numbers(finding.estimates),
            "of_all_runs": _numbers(finding.every),
            "entered": {
                "runs": list(entered.runs),
                "of": entered.of,
                "failed": entered.failed,
                "layers": list(entered.layers),
                "left_out": [{"why": why, "runs": runs} for why, runs in entered.left_out.items()],
            },
            "details": [dict(row) for row in question.details],
        }
    )


def _numbers(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {measure: asdict(one) for measure, one in estimates.items()}


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is undefined is null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Of the pairs that findings read, what they score with probes left out, and what hangs on which.

``jackknife/<measure>``: the scores without each group of probes, for the measures of which they can
be computed in closed form (`stratigraph.pairs.group_sums`): what intervals are made of.

``influence/<measure>``: how much hangs on which probes,

``agreement.parquet``   how well halves of the probes agree on the order of pairs: kind (a layer,
                        across runs, or all layers over training), pairs, agreement, lowest
``probes.parquet``      data, probe, influence: what claim 1's contrast, the area of the encoder
                        less the decoder's, loses without each probe
``without.parquet``     data, factor, value, probes (left), contrast: without one class or value
``turned.parquet``      data, contrast, probes, fewest (without which it changes its sign; 0: no
                        half of them does), predicted, after (the contrast without them)

The last three are of the CKA that the study's way is judged by, and empty of every other measure. A
contrast is of one set of data, whose probes are not another's, and of its runs that learned (of
all, where none did).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.errors import StratigraphError
from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.evidence import Pairs
from stratigraph.evidence.from_study import sides
from stratigraph.evidence.runs import runs_of_findings
from stratigraph.evidence.weights import weigh_encoder_less_decoder
from stratigraph.pairs.agreement import rank_agreement
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.group_sums import GROUPS, groups_of
from stratigraph.pairs.influence import INFLUENCED, weigh_pairs
from stratigraph.pairs.jackknife import MOST_PROBES, jackknife_pairs, order_in_tiles
from stratigraph.records import Files, write_record
from stratigraph.similarity.influence import fewest_to_turn
from stratigraph.stages.job import Job
from stratigraph.stages.task import current_facts
from stratigraph.study import claim_pairs, influence_path, jackknife_path, probe_factors
from stratigraph.training import RunConfig

__all__ = ["leave_probes_out"]

HALVES = 10  # splits of the probes in two
MOST_VALUES = 16  # of a factor that is left out value by value
LEAST_LEFT = 8  # probes
TABLES = {
    "probes": ["data", "probe", "influence"],
    "without": ["data", "factor", "value", "probes", "contrast"],
    "turned": ["data", "contrast", "probes", "fewest", "predicted", "after"],
}


def leave_probes_out(job: Job, about: dict[str, Any]) -> None:
    """Write both records of a measure, where they are missing or out of date."""
    study, name = job.study, job.measure.name
    scores = jackknife_path(study.path, name, study.way.folder)
    influence = influence_path(study.path, name, study.way.folder)
    of_scores = {**about, "jackknife": 2, "groups": GROUPS}
    of_influence = {**about, "influence": 1}
    stale = current_facts(scores, of_scores) is None
    if not stale and current_facts(influence, of_influence) is not None:
        return
    pairs, found, groups = _score(job)
    if stale:
        write_record(scores, partial(_fill_scores, pairs, found[:, : 1 + groups]), of_scores)
    agreement = _agree(job.labels, pairs, found[:, 1 + groups :])
    tables: dict[str, list[dict[str, Any]]] = {key: [] for key in TABLES}
    if groups and name == study.way.cka and name in INFLUENCED:
        every = sides(job.labels, {i: run.config for i, run in study.runs.items()})
        scored = Pairs(Pairs.label(every, pairs).assign(place=np.arange(len(pairs))), found)
        own = scored.where(scored.table["run_x"].isin(runs_of_findings(study)))
        to_final = of_vaes(own.split()[0])
        for probes, _ in job.sets():
            place = to_final.table["place"].to_numpy(dtype=np.int64)
            same = job.labels["probes"].to_numpy()[pairs[place, 0]] == probes
            _weigh(job, to_final.where(same), pairs, tables)

    def fill(files: Files) -> None:
        files.table("agreement.parquet", agreement)
        for key, columns in TABLES.items():
            files.table(f"{key}.parquet", pd.DataFrame(tables[key], columns=columns))

    write_record(influence, fill, of_influence)


def _fill_scores(pairs: np.ndarray, scores: np.ndarray, files: Files) -> None:
    files.array("pairs.npy", pairs.astype(np.int32))
    files.array("scores.npy", scores)


def _score(job: Job) -> tuple[np.ndarray, np.ndarray, int]:
    """The pairs (m, 2), their scores with probes left out (m, 1 + g + 2h), and g."""
    labels, name = job.labels, job.measure.name
    counts = [len(read_coordinates(job.files[own.index[0]])) for _, own in job.sets()]
    # One number of groups for the study: every set of probes is cut alike.
    groups = 0 if max(counts) > MOST_PROBES else min(groups_of(count) for count in counts)
    halves = HALVES if groups else 0
    pairs = claim_pairs(labels) if groups else np.empty((0, 2), dtype=np.int64)
    defined = (labels["reason"] == "").to_numpy()
    pairs = pairs[job.wanted.of(pairs) & defined[pairs].all(axis=1)]
    pairs = pairs[order_in_tiles(pairs, labels["layer"].to_numpy()[pairs[:, 0]], max(counts))]
    found = np.full((len(pairs), 1 + groups + 2 * halves), np.nan)
    probes = labels["probes"].to_numpy()[pairs[:, 0]]
    for one, own in job.sets() if groups else ():
        found[probes == one] = jackknife_pairs(
            job.files,
            pairs[probes == one],
            name,
            confounder=job.input_row(own),
            groups=groups,
            halves=halves,
            engine=job.engine,
            progress=job.progress.stage(f"leaving probes out of {name}"),
        )
    return pairs, found, groups


def _agree(labels: pd.DataFrame, pairs: np.ndarray, halves: np.ndarray) -> pd.DataFrame:
    """Agreement on the order of the pairs of a layer across runs, of all layers over training, ….

    What is 1 whatever the probes has no order: a representation with itself, the input of all runs.
    """
    columns = ("run", "step", "layer")
    run, step, layer = (labels[key].to_numpy(dtype=object)[pairs] for key in columns)
    across, moved = run[:, 0] != run[:, 1], step[:, 0] != step[:, 1]
    kinds = np.where(across, layer[:, 0], np.where(moved, "over training", "within a network"))
    apart = (pairs[:, 0] != pairs[:, 1]) & ~(layer == "input").all(1)
    return rank_agreement(halves[apart], kinds[apart])


def _weigh(job: Job, scored: Pairs, pairs: np.ndarray, tables: dict[str, list[Any]]) -> None:
    """Claim 1's contrast on one set of probes, with them left out: rows are added to the tables."""
    weights = weigh_encoder_less_decoder(scored)
    if not weights.any():
        return
    name, table = job.measure.name, scored.table
    own = pairs[table["place"].to_numpy(dtype=np.int64)]
    used = np.flatnonzero(weights)
    used = used[np.lexsort((own[used, 0], own[used, 1]))]
    weigh = partial(
        weigh_pairs, job.files, own[used], weights[used], name, engine=job.engine,
        progress=job.progress.stage(f"leaving single probes out of {name}"),
    )  # fmt: skip
    config = job.study.shown(job.study.runs[str(table["run_x"].iloc[0])])
    data = config.data["name"]
    n = len(read_coordinates(job.files[own[0, 0]]))
    values, kept = _without_values(job, config, n)
    found = weigh(kept)
    turned = fewest_to_turn(
        found.value, found.influence, lambda some: weigh(some, each=False).subsets
    )
    tables["probes"] += [
        {"data": data, "probe": probe, "influence": value}
        for probe, value in enumerate(found.influence.tolist())
    ]
    tables["without"] += [
        {"data": data, "factor": factor, "value": value, "probes": left, "contrast": contrast}
        for (factor, value), left, contrast in zip(
            values, kept.sum(0).tolist(), found.subsets.tolist(), strict=True
        )
    ]
    tables["turned"].append(
        {
            "data": data,
            "contrast": found.value,
            "probes": n,
            "fewest": len(turned.probes),
            "predicted": turned.predicted,
            "after": turned.value,
        }
    )


def _without_values(
    job: Job, config: RunConfig, n: int
) -> tuple[list[tuple[str, int]], np.ndarray]:
    """(factor, value) and which of n probes do not have it, (n, c); of factors of few values."""
    try:
        factors, names = probe_factors(config, job.study.config.probes)
    except (StratigraphError, OSError) as error:
        job.progress.say(f"no class or factor value is left out in turn: {error}")
        factors, names = np.empty((n, 0)), ()
    found, columns = [], []
    for name, column in zip(names, factors.T, strict=True):
        held = np.unique(column)
        for value in held.tolist() if 2 <= len(held) <= MOST_VALUES else ():
            if (column != value).sum() >= LEAST_LEFT:
                found.append((name, int(value)))
                columns.append(column != value)
    return found, np.stack(columns, 1) if columns else np.empty((n, 0), dtype=bool)

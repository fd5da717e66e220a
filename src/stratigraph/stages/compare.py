"""Compare: the similarity matrix of each measure, over every representation of the study.

One matrix a measure, K × K over (run, step, layer), kept as ``values.npy`` with its labels in
``labels.parquet``; with a tolerance, the ends of the intervals that hold the exact scores stand
beside it, ``lower.npy`` and ``upper.npy``. Until it is whole its blocks lie in a scratch folder
beside it, and a comparison that was interrupted goes on from them. It is made anew when the
representations it was made of are no longer those of the study.

Nothing of size K × K is ever in memory: which pairs are wanted is asked block by block, and the
matrix is written down in bands of rows, gathered from the blocks.

Of the pairs that findings read, the scores with probes left out are kept beside it (`left_out`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.engine import Engine
from stratigraph.identity import digest, plain
from stratigraph.pairs.blocks import Wanted
from stratigraph.pairs.comparison import Part
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.jackknife import JACKKNIFED
from stratigraph.pairs.stored import compare_stored
from stratigraph.plugins import is_plugin, plugin_digest
from stratigraph.records import remove_leftovers, remove_record
from stratigraph.similarity.kernel_cka import deconfounded_measure
from stratigraph.stages.job import Job
from stratigraph.stages.labels import representation_table
from stratigraph.stages.left_out import leave_probes_out
from stratigraph.stages.matrix_record import write_matrix
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import current_facts
from stratigraph.study import Selection, Study, similarity_path

__all__ = ["ask_in_order", "compare_study", "in_blocks_order"]

SCRATCH = ".scratch-"  # blocks of a comparison that was interrupted: the next one goes on


def compare_study(
    study: Study,
    engine: Engine,
    progress: Progress,
    *,
    disk: int | None = None,
) -> list[str]:
    """Compute each similarity matrix that is missing or out of date; return their measures.

    Args:
        study: an extracted study.
        engine: where blocks of pairs run.
        progress: told how many are done.
        disk: bytes that prepared vectors may take while a matrix is made; None is what is free.

    """
    folder = study.way.folder
    made_in = ("similarity", "jackknife", "influence", "chance")
    remove_leftovers(*(study.path / f"{kind}{folder}" for kind in made_in))
    labels, files, source, readers = representation_table(study)
    if len(readers) > 1:
        progress.say(f"representations were read under {len(readers)} conditions: {readers}")
    made = []
    for measure in study.config.measures:
        job = Job(study, measure, labels, files, engine, progress, disk)
        path = similarity_path(study.path, measure.name, folder)
        about = {
            "representations": source,
            "measure": measure.name,
            "pairs": plain(measure.pairs),
            # A user's own code is part of what its scores were made by, and is not in its name.
            **({"code": plugin_digest(measure.name)} if is_plugin(measure.name) else {}),
        }
        if current_facts(path, {**about, "tolerance": measure.tolerance}) is None:
            # An exact record says nothing of a tolerance: so said those of earlier versions.
            exact = measure.tolerance is None
            said = about if exact else {**about, "tolerance": measure.tolerance}
            _compare(job, path, said, readers)
            made.append(measure.name)
        remove_record(_scratch_of(path))
        if measure.name in JACKKNIFED:
            leave_probes_out(job, about)
    return made


def _compare(job: Job, path: Path, about: dict[str, Any], readers: list[str]) -> None:
    labels, name = job.labels, job.measure.name
    reasons = labels["reason"].to_numpy(dtype=object, copy=True)
    parts, plans = [], []
    scratch = _scratch(path, about)
    for probes, own in job.sets():
        rows = in_blocks_order(own, job.measure.pairs)
        confounder = job.input_row(own)
        result = compare_stored(
            [job.files[row] for row in rows],
            name
            if confounder is None
            else deconfounded_measure(np.asarray(read_coordinates(job.files[confounder]))),
            wanted=ask_in_order(job.wanted, rows),
            tolerance=job.measure.tolerance,
            engine=job.engine,
            scratch=scratch / probes,
            disk=job.disk,
            progress=job.progress.stage(f"comparing by {name}"),
        )
        parts.append((rows, result.scores))
        plans.append(result.plan)
        for row, reason in zip(rows, result.reasons, strict=True):
            reasons[row] = reason or reasons[row]
    kinds: tuple[Part, ...] = ("values",)
    if job.measure.tolerance is not None:
        kinds = ("values", "lower", "upper")
    about = {**about, "plan": "; ".join(plans), "read_by": readers}
    write_matrix(path, labels.assign(reason=reasons), parts, kinds, about)


def ask_in_order(wanted: Selection, rows: np.ndarray) -> Wanted:
    """The pairs asked for, of representations in another order than the labels'."""

    def block(x: slice, y: slice) -> np.ndarray:
        return wanted.block(rows[x], rows[y])

    return block


def in_blocks_order(labels: pd.DataFrame, pairs: Sequence[str]) -> np.ndarray:
    """Rows in an order in which the pairs that a selection asks for lie in few blocks.

    The last steps come first, which are compared with each other. Then run by run, where each is
    compared with itself: layer by layer, blocks of any two layers would hold pairs of every run,
    and all pairs be multiplied for a few of them. Otherwise layer by layer, and in a layer run by
    run the steps that are compared with one of the last.
    """
    earlier = labels["step"] < labels.groupby("run")["step"].transform("max")
    by = ["earlier", "run", "layer"] if "within_run" in pairs else ["layer", "earlier"]
    ordered = labels.assign(earlier=earlier).sort_values(by, kind="stable")
    return ordered.index.to_numpy()


def _scratch(path: Path, about: dict[str, Any]) -> Path:
    """Where this comparison keeps its blocks until it is whole; those of another one go."""
    folder = _scratch_of(path)
    own = folder / digest({**about, "order": 5})[:16]
    if folder.is_dir():
        for other in folder.iterdir():
            if other != own:
                remove_record(other)
    return own


def _scratch_of(path: Path) -> Path:
    return path.parent / f"{SCRATCH}{path.name}"

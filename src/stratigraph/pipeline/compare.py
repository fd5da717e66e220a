"""Compare: the similarity matrix of each measure, over every representation of the study.

One matrix a measure, K × K over (run, step, layer), kept as ``values.npy`` with its labels in
``labels.parquet``. Until it is whole its blocks lie in a scratch folder beside it, and a comparison
that was interrupted goes on from them. It is made anew when the representations it was made of are
no longer those of the study.

Of the pairs that findings read, the scores with groups of probes left out are kept beside it
(`stratigraph.similarity.jackknife`), for the measures of which they can be had in closed form.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.durable import sha256
from stratigraph.engine import Engine
from stratigraph.errors import ConfigError, DataError
from stratigraph.identity import digest, plain
from stratigraph.pipeline.extract import current_facts, reading_digest
from stratigraph.pipeline.progress import Progress
from stratigraph.similarity.jackknife import (
    GROUPS,
    JACKKNIFED,
    MOST_PROBES,
    groups_of,
    jackknife_pairs,
    tiled,
)
from stratigraph.similarity.kernel_cka import deconfounded_measure
from stratigraph.similarity.matrix import compare_stored
from stratigraph.similarity.reduction import read_coordinates
from stratigraph.snapshots import MANIFEST, remove_leftovers, write_record
from stratigraph.study import (
    DECONFOUNDED,
    MeasureConfig,
    Study,
    claim_pairs,
    jackknife_path,
    representations_path,
    select_pairs,
    similarity_path,
)

__all__ = ["compare_study", "representation_table"]

SCRATCH = ".scratch-"  # blocks of a comparison that was interrupted: the next one goes on


def representation_table(study: Study) -> tuple[pd.DataFrame, list[Path], str]:
    """Every representation there is: its labels, its file, and one hash of all the bytes.

    Rows are ordered by run (as in the study file), step and layer (as in the network).

    Raises:
        DataError: there is none.
        IntegrityError: one is damaged.

    """
    rows: list[dict[str, Any]] = []
    files: list[Path] = []
    hashes = []
    for run in study.runs.values():
        about = reading_digest(study, run)
        config = run.config
        for step in study.steps(run):
            record = representations_path(run.path, step, study.way.folder)
            facts = current_facts(record, about)
            if facts is None:
                continue
            hashes.append([run.run_id, step, sha256(record / MANIFEST)])
            for layer in facts["layers"]:
                rows.append(
                    {
                        "run": run.run_id,
                        "data": config.data["name"],
                        "architecture": config.architecture,
                        "objective": config.objective["name"],
                        "strength": np.nan if config.strength is None else float(config.strength),
                        "latents": config.latents,
                        "seed": config.seed,
                        "step": step,
                        "layer": layer["name"],
                        "units": layer["units"],
                        "probes": about["probes"],
                        "reason": layer["reason"] or "",
                        "doubt": layer["doubt"] or "",
                    }
                )
                files.append(record / f"{layer['name']}.npy")
    if not rows:
        raise DataError(
            f"study {study.config.name} has nothing to compare yet; "
            "run `stratigraph extract` first."
        )
    return pd.DataFrame(rows), files, digest(hashes)


def compare_study(study: Study, engine: Engine, progress: Progress) -> list[str]:
    """Compute each similarity matrix that is missing or out of date; return their measures."""
    folder = study.way.folder
    remove_leftovers(study.path / f"similarity{folder}", study.path / f"jackknife{folder}")
    labels, files, source = representation_table(study)
    made = []
    for measure in study.config.measures:
        path = similarity_path(study.path, measure.name, folder)
        about = {"representations": source, "measure": measure.name, "pairs": plain(measure.pairs)}
        if current_facts(path, about) is None:
            _compare(path, measure, labels, files, about, engine, progress)
            made.append(measure.name)
        if measure.name in JACKKNIFED:
            path = jackknife_path(study.path, measure.name, folder)
            about = {**about, "jackknife": 2, "groups": GROUPS}
            if current_facts(path, about) is None:
                wanted = select_pairs(labels, measure.pairs)
                _jackknife(path, measure, wanted, labels, files, about, engine, progress)
    return made


def _input_row(labels: pd.DataFrame, own: pd.DataFrame) -> int:
    """The row that holds the input of a set of probes, the same for every run and step.

    Raises:
        ConfigError: the study reads no such layer.

    """
    inputs = own.index[own["layer"] == "input"]
    if not len(inputs):
        raise ConfigError(
            f"measures: {DECONFOUNDED} regresses the input out, and the study reads no layer "
            "`input`; add it to activations: layers."
        )
    return int(inputs[0])


def _measure(name: str, labels: pd.DataFrame, own: pd.DataFrame, files: list[Path]) -> Any:
    """The measure of a study's name for one set of probes."""
    if name != DECONFOUNDED:
        return name
    return deconfounded_measure(np.asarray(read_coordinates(files[_input_row(labels, own)])))


def _jackknife(
    path: Path,
    measure: MeasureConfig,
    wanted: np.ndarray,
    labels: pd.DataFrame,
    files: list[Path],
    about: dict[str, Any],
    engine: Engine,
    progress: Progress,
) -> None:
    """The scores of the pairs that findings read, without each group of probes in turn."""
    rows, columns = claim_pairs(labels).T
    defined = (labels["reason"] == "").to_numpy()
    asked = wanted[rows, columns] & defined[rows] & defined[columns]
    rows, columns = rows[asked], columns[asked]
    pairs = np.stack([rows, columns], axis=1)
    probes = labels["probes"].to_numpy()
    counts = {
        one: len(read_coordinates(files[labels.index[labels["probes"] == one][0]]))
        for one in labels["probes"].unique()
    }
    # One number of groups for the study: every set of probes is cut alike.
    groups = min(groups_of(count) for count in counts.values())
    if max(counts.values()) > MOST_PROBES:
        groups = 0
    pairs = pairs[tiled(pairs, labels["layer"].to_numpy()[rows], max(counts.values()))]
    found = np.full((len(pairs), 1 + groups), np.nan)
    for one in labels["probes"].unique() if groups else ():
        own = labels[labels["probes"] == one]
        mine = probes[pairs[:, 0]] == one
        found[mine] = jackknife_pairs(
            files,
            pairs[mine],
            measure.name,
            confounder=_input_row(labels, own) if measure.name == DECONFOUNDED else None,
            groups=groups,
            engine=engine,
            progress=progress.stage(f"leaving probes out of {measure.name}"),
        )

    def fill(folder: Path) -> None:
        np.save(folder / "pairs.npy", pairs[: len(found) if groups else 0].astype(np.int32))
        np.save(folder / "scores.npy", found if groups else found[:0])

    write_record(path, fill, about)


def _compare(
    path: Path,
    measure: MeasureConfig,
    labels: pd.DataFrame,
    files: list[Path],
    about: dict[str, Any],
    engine: Engine,
    progress: Progress,
) -> None:
    wanted = select_pairs(labels, measure.pairs)
    values = np.full(wanted.shape, np.nan)
    reasons = labels["reason"].to_numpy(dtype=object, copy=True)
    plans = []
    scratch = _scratch(path, about)
    # Representations of different probes cannot be compared: each set is a matrix of its own.
    for probes in labels["probes"].unique():
        own = labels[labels["probes"] == probes]
        rows = _order(own)
        block = np.ix_(rows, rows)
        result = compare_stored(
            [files[row] for row in rows],
            _measure(measure.name, labels, own, files),
            wanted=wanted[block],
            engine=engine,
            scratch=scratch / str(probes),
            progress=progress.stage(f"comparing by {measure.name}"),
        )
        values[block] = result.values
        plans.append(result.plan)
        for row, reason in zip(rows, result.reasons, strict=True):
            reasons[row] = reason or reasons[row]

    def fill(folder: Path) -> None:
        np.save(folder / "values.npy", values)
        labels.assign(reason=reasons).to_parquet(folder / "labels.parquet", index=False)

    write_record(path, fill, {**about, "plan": "; ".join(plans)})
    shutil.rmtree(scratch.parent, ignore_errors=True)


def _order(labels: pd.DataFrame) -> np.ndarray:
    """Rows in an order in which the pairs that sparse selections ask for lie in few blocks.

    Layer by layer; in a layer the last steps of all runs first, which are compared with each other,
    and then run by run the steps that are compared with one of those.
    """
    earlier = labels["step"] < labels.groupby("run")["step"].transform("max")
    ordered = labels.assign(earlier=earlier).sort_values(["layer", "earlier"], kind="stable")
    return ordered.index.to_numpy()


def _scratch(path: Path, about: dict[str, Any]) -> Path:
    """Where this comparison keeps its blocks until it is whole; those of another one go."""
    folder = path.parent / f"{SCRATCH}{path.name}"
    own = folder / digest({**about, "order": 2})[:16]
    if folder.is_dir():
        for other in folder.iterdir():
            if other != own:
                shutil.rmtree(other, ignore_errors=True)
    return own

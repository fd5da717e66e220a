"""Every representation of a study, labelled: of which run, step, layer and probes it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stratigraph.durable import sha256
from stratigraph.errors import DataError
from stratigraph.identity import canonical, digest
from stratigraph.records import MANIFEST
from stratigraph.stages.recorded import check_recorded
from stratigraph.stages.task import current_facts, reading_digest
from stratigraph.study import Run, Study, representations_path

__all__ = ["Representations", "label_row", "representation_table"]


class Representations(NamedTuple):
    """Every representation of a study: labels, files, one hash of all, and what read them."""

    labels: pd.DataFrame
    files: list[Path]
    source: str
    readers: list[str]


def representation_table(study: Study) -> Representations:
    """Every representation there is.

    Rows are ordered by run (as in the study file), step and layer (as in the network).

    Raises:
        DataError: there is none, or a recorded study has lost some.
        IntegrityError: one is damaged.

    """
    check_recorded(study)
    rows: list[dict[str, Any]] = []
    files: list[Path] = []
    hashes, readers = [], set()
    for run in study.runs.values():
        about = reading_digest(study, run)
        for step in study.steps(run):
            record = representations_path(run.path, step, study.way.folder)
            facts = current_facts(record, about)
            if facts is None:
                continue
            hashes.append([run.run_id, step, sha256(record / MANIFEST)])
            readers.add(canonical(facts.get("read_by", "unknown")))
            for layer in facts["layers"]:
                rows.append(label_row(run, step, layer, about["probes"]))
                files.append(record / f"{layer['name']}.npy")
    if not rows:
        raise DataError(
            f"study {study.config.name} has nothing to compare yet; "
            "run `stratigraph extract` first."
        )
    return Representations(pd.DataFrame(rows), files, digest(hashes), sorted(readers))


def label_row(run: Run, step: int, layer: Mapping[str, Any], probes: str) -> dict[str, Any]:
    """The label of one representation: of which run, step, layer and probes.

    Args:
        run: that it is of.
        step: the snapshot's.
        layer: ``name``, ``units``, ``reason`` and ``doubt``, as the record has them.
        probes: the digest of those it is over.

    """
    config = run.config
    return {
        "run": run.run_id,
        "data": config.data["name"],
        "architecture": config.architecture_name,
        "objective": config.objective["name"],
        "strength": np.nan if config.strength is None else float(config.strength),
        "latents": config.latents,
        "seed": config.seed,
        "step": step,
        "layer": layer["name"],
        "units": layer["units"],
        "probes": probes,
        "reason": layer["reason"] or "",
        "doubt": layer["doubt"] or "",
    }

"""Where things are in a study's folder.

::

    study.yaml                              the study file, copied
    probes/<digest>/                        which images the probes are
    runs/<run_id>/config.json               the run's configuration
                  state.json                running, done, diverged or failed; step; reason
                  metrics.parquet           losses over training
                  snapshots/<step>/         weights
                  checkpoint/<step>/        what a stopped run goes on from
                  representations/<step>/   one .npy a layer
    similarity/<measure>/                   values.npy and labels.parquet
    figures/, report/index.html
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["STUDY_FILE", "probes_path", "representations_path", "run_path", "similarity_path"]

STUDY_FILE = "study.yaml"


def run_path(study: Path, run_id: str) -> Path:
    """The folder of a run."""
    return study / "runs" / run_id


def probes_path(study: Path, digest: str) -> Path:
    """The record of which images a set of probes is."""
    return study / "probes" / digest[:12]


def representations_path(run: Path, step: int) -> Path:
    """The record of what every layer of a run represents at a step."""
    return run / "representations" / f"{step:09d}"


def similarity_path(study: Path, measure: str) -> Path:
    """The record of a measure's similarity matrix."""
    return study / "similarity" / measure

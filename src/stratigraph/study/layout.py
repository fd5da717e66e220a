"""Where things are in a study's folder.

::

    study.yaml                              the study file, copied
    probes/<digest>/                        which images the probes are
    runs/<run_id>/config.json               the run's configuration
                  state.json                running, done, diverged or failed; step; reason
                  metrics/                  losses over training
                  snapshots/<step>/         weights
                  checkpoint/<step>/        what a stopped run goes on from
                  representations/<step>/   one .npy a layer, and the posterior
                  observed/tables/          latents, dimensions, factors read, weights moved
    similarity/<measure>/                   values.npy and labels.parquet
    jackknife/<measure>/                    the pairs that findings read, probes left out
    findings.json, figures/, report/index.html

A folder whose name ends in ``-published`` is of the study read the published way (`ways`).
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CONFIG",
    "METRICS",
    "STUDY_FILE",
    "findings_path",
    "jackknife_path",
    "metrics_path",
    "observed_path",
    "probes_path",
    "representations_path",
    "run_path",
    "similarity_path",
]

STUDY_FILE = "study.yaml"
CONFIG = "config.json"
METRICS = "metrics.parquet"


def run_path(study: Path, run_id: str) -> Path:
    """The folder of a run."""
    return study / "runs" / run_id


def probes_path(study: Path, digest: str) -> Path:
    """The record of which images a set of probes is."""
    return study / "probes" / digest[:12]


def metrics_path(run: Path) -> Path:
    """The record of a run's losses over training."""
    return run / "metrics"


def representations_path(run: Path, step: int, way: str = "") -> Path:
    """The record of what every layer of a run represents at a step, read one way."""
    return run / f"representations{way}" / f"{step:09d}"


def observed_path(run: Path, way: str = "") -> Path:
    """The record of what a run's latents and layers hold over training, read one way."""
    return run / f"observed{way}" / "tables"


def _folder(measure: str) -> str:
    return measure.replace(
        ":", "."
    )  # of a user's own, module:name; some file systems take no colon


def similarity_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's similarity matrix, read one way."""
    return study / f"similarity{way}" / _folder(measure)


def jackknife_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's scores with groups of probes left out."""
    return study / f"jackknife{way}" / _folder(measure)


def findings_path(study: Path) -> Path:
    """The file of a study's findings."""
    return study / "findings.json"

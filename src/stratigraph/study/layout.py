"""Where things are in a study's folder.

::

    study.yaml                              the study file, copied
    current.json                            what each stage was made of: what is current stays
    probes/<digest>/                        which images the probes are, and the first of them
    runs/<run_id>/config.json               the run's configuration
                  state.json                running, done, diverged or failed; step; reason
                  metrics/                  losses over training
                  snapshots/<step>/         weights
                  checkpoint/<step>/        what a stopped run goes on from
                  representations/<step>/   one .npy a layer, and the posterior
                  observed/tables/          latents, dimensions, factors read, weights moved
                  observed/scores/          disentanglement scores of the latents
    similarity/<measure>/                   values.npy and labels.parquet
    jackknife/<measure>/                    the pairs that findings read, probes left out
    findings.json, figures/, report/index.html

A folder whose name ends in ``-published`` is of the study read the published way (`ways`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CONFIG",
    "CURRENT",
    "EXPORT",
    "METRICS",
    "PLACES",
    "STATE",
    "STUDY_FILE",
    "Place",
    "find_place",
    "findings_path",
    "is_root",
    "jackknife_path",
    "metrics_path",
    "observed_path",
    "page_path",
    "probes_path",
    "representations_path",
    "run_path",
    "scores_path",
    "shown_path",
    "similarity_path",
]

STUDY_FILE = "study.yaml"
CONFIG = "config.json"
STATE = "state.json"
METRICS = "metrics.parquet"
CURRENT = "current.json"
EXPORT = "export.json"  # of an export alone


@dataclass(frozen=True)
class Place:
    """Where a study holds things of one kind.

    Args:
        pattern: of paths within the study: of a record's folder, or of a file.
        stage: what makes it, and makes it anew. The published way is read by ``assess``. The study
            file has no stage: only its user has it.
        passing: whether it may be removed once it was compared, and read again if need be.

    """

    pattern: re.Pattern[str]
    stage: str
    passing: bool = False


PLACES = (
    Place(re.compile(r"study\.yaml"), ""),
    Place(re.compile(r"runs/[^/]+/(config\.json|metrics)"), "train"),
    Place(re.compile(r"runs/[^/]+/(snapshots|checkpoint)/[0-9]+"), "train"),
    Place(re.compile(r"runs/[^/]+/representations/[0-9]+"), "extract", passing=True),
    Place(re.compile(r"runs/[^/]+/observed/(tables|scores)"), "extract"),
    Place(re.compile(r"runs/[^/]+/representations-[a-z]+/[^/]+"), "assess", passing=True),
    Place(re.compile(r"runs/[^/]+/observed-[a-z]+/[^/]+"), "assess"),
    Place(re.compile(r"probes/[^/]+"), "extract"),
    Place(re.compile(r"(similarity|jackknife)/[^/]+"), "compare"),
    Place(re.compile(r"(similarity|jackknife)-[a-z]+/[^/]+"), "assess"),
    Place(re.compile(r"findings\.json"), "assess"),
    Place(re.compile(r"figures|report"), "report"),
)


def find_place(path: str) -> Place | None:
    """The place that a path within a study is; None if it is none of ours."""
    return next((place for place in PLACES if place.pattern.fullmatch(path)), None)


def is_root(name: str) -> bool:
    """Whether a name in a study's folder is one of ours, or of a folder of ours."""
    roots = {place.pattern.pattern.partition("/")[0] for place in PLACES}
    return any(re.fullmatch(root, name) for root in roots)


def run_path(study: Path, run_id: str) -> Path:
    """The folder of a run."""
    return study / "runs" / run_id


def probes_path(study: Path, digest: str) -> Path:
    """The record of which images a set of probes is."""
    return study / "probes" / digest[:12]


def shown_path(study: Path, digest: str) -> Path:
    """The record of the first of a set of probes, as images, and of what networks know of them."""
    return study / "probes" / f"{digest[:12]}-shown"


def metrics_path(run: Path) -> Path:
    """The record of a run's losses over training."""
    return run / "metrics"


def representations_path(run: Path, step: int, way: str = "") -> Path:
    """The record of what every layer of a run represents at a step, read one way."""
    return run / f"representations{way}" / f"{step:09d}"


def observed_path(run: Path, way: str = "") -> Path:
    """The record of what a run's latents and layers hold over training, read one way."""
    return run / f"observed{way}" / "tables"


def scores_path(run: Path) -> Path:
    """The record of the disentanglement scores of a run's latents."""
    return run / "observed" / "scores"


def _folder(measure: str) -> str:
    # A user's own is called module:name, and some file systems take no colon.
    return measure.replace(":", ".")


def similarity_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's similarity matrix, read one way."""
    return study / f"similarity{way}" / _folder(measure)


def jackknife_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's scores with groups of probes left out."""
    return study / f"jackknife{way}" / _folder(measure)


def page_path(study: Path) -> Path:
    """The page of a study's report."""
    return study / "report" / "index.html"


def findings_path(study: Path) -> Path:
    """The file of a study's findings."""
    return study / "findings.json"

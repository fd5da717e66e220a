"""Where things are in a study's folder.

::

    study.yaml                              the study file, copied
    replicates.json                         how many replicates there are, beyond the study file's
    floors.json                             held-out loss of the best constant answers
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
    influence/<measure>/                    how much hangs on which probes
    chance/<measure>/                       what permuted probes would score, where that was asked
    findings.json, figures/, report/index.html
    basis/<way>/rows.parquet                the scores that findings rest on, with their weights

A folder whose name ends in ``-published`` is of the study read the published way, and one in
``-on-<name>`` of all its networks reading the probes of one set of data (`ways`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

__all__ = [
    "CONFIG",
    "CURRENT",
    "EXPORT",
    "FLOORS",
    "METRICS",
    "PLACES",
    "POSTERIOR",
    "POSTERIOR_FILE",
    "REPLICATES",
    "STATE",
    "STUDY_FILE",
    "Place",
    "Writer",
    "basis_path",
    "chance_path",
    "default_path",
    "find_place",
    "findings_path",
    "influence_path",
    "is_root",
    "jackknife_path",
    "metrics_path",
    "observed_path",
    "page_path",
    "places_of",
    "posterior_path",
    "probes_path",
    "representations_path",
    "run_path",
    "scores_path",
    "shown_path",
    "similarity_path",
    "udr_path",
]

STUDY_FILE = "study.yaml"
REPLICATES = "replicates.json"
LOOKS = "looks.json"
STANDINGS = "standings.json"
FLOORS = "floors.json"
CONFIG = "config.json"
STATE = "state.json"
METRICS = "metrics.parquet"
CURRENT = "current.json"
EXPORT = "export.json"  # of an export alone
POSTERIOR = "posterior.npy"  # beside the layers, of our networks: none of these is called so
# Of a recorded run: layers' files end in .npy, whatever they are called. Older ones have the other.
POSTERIOR_FILE = "posterior.moments"


Writer = Literal["file", "run", "results", "report"]
WAY = "[a-z]+(?:-[a-z0-9_]+)?"  # published, or on-solids


@dataclass(frozen=True)
class Place:
    """Where a study holds things of one kind.

    Args:
        pattern: of paths within the study, of a record's folder or of a file: ``{run}`` and
            ``{name}`` stand for any name, ``{step}`` for a number, ``{way}`` for a way of reading.
        stage: what makes it, and makes it anew. The published way is read by ``assess``. The study
            file has no stage, since only its user has it, nor has the note of what is current.
        writer: who writes it, one at a time: the study ``file``'s user, the trainer of a ``run``,
            whoever makes ``results``, or the ``report``; nobody of what stays on this machine.
        light: whether it is little, and enough to list a study by.
        until: when it may go: once a stage is current that has read it, since it can be made again;
            or once there is a ``newer`` one.
        once: whether nothing can make it again of a study that was recorded.
        exported: whether an export holds a copy of it.
        trusted: whether anything relies on it. What is only told, to whoever watches, may be lost
            or changed at any time.

    """

    pattern: str
    stage: str
    writer: Writer | None
    light: bool = False
    until: Literal["compare", "newer"] | None = None
    once: bool = False
    exported: bool = False
    trusted: bool = True

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """Of the paths that are of this kind."""
        pattern = self.pattern.replace(".", r"\.")
        return re.compile(pattern.format(run="[^/]+", name="[^/]+", step="[0-9]+", way=WAY))

    def glob(self, run: str = "*") -> str:
        """The pattern as `Path.glob` takes it: of one run, or of all."""
        return self.pattern.format(run=run, name="*", step="[0-9]*", way="[a-z]*")


PLACES = (
    Place("study.yaml", "", "file", light=True, exported=True),
    Place("replicates.json", "", "file", light=True, exported=True),
    Place("looks.json", "", "file", light=True, exported=True),
    Place("current.json", "", None, trusted=False),
    Place("runs/{run}/config.json", "train", "run", light=True, once=True),
    Place("runs/{run}/state.json", "train", "run", light=True, trusted=False),
    Place("runs/{run}/metrics", "train", "run", light=True, once=True),
    Place("runs/{run}/snapshots/{step}", "train", "run", once=True),
    Place("runs/{run}/checkpoint/{step}", "train", "run", until="newer"),
    Place("runs/{run}/representations/{step}", "extract", "results", until="compare", once=True),
    Place("runs/{run}/observed/tables", "extract", "results"),
    Place("runs/{run}/observed/scores", "extract", "results", light=True),
    Place("runs/{run}/representations-{way}/{step}", "assess", "results", until="compare"),
    Place("runs/{run}/observed-{way}/tables", "assess", "results"),
    Place("probes/{name}", "extract", "results"),
    Place("similarity/{name}", "compare", "results"),
    Place("jackknife/{name}", "compare", "results"),
    Place("influence/{name}", "compare", "results"),
    Place("chance/{name}", "compare", "results"),
    Place("udr/{name}", "extract", "results"),
    Place("similarity-{way}/{name}", "assess", "results"),
    Place("jackknife-{way}/{name}", "assess", "results"),
    Place("basis/{name}", "assess", "results", exported=True),
    Place("influence-{way}/{name}", "assess", "results"),
    Place("standings.json", "assess", "results", exported=True),
    Place("findings.json", "assess", "results", exported=True),
    Place("floors.json", "assess", "results", light=True, exported=True),
    Place("figures", "report", "report", exported=True),
    Place("report", "report", "report", exported=True),
)


def find_place(path: str) -> Place | None:
    """The place that a path within a study is; None if it is none of ours."""
    return next((place for place in PLACES if place.expression.fullmatch(path)), None)


def places_of(writer: Writer) -> list[Place]:
    """The places that one writer writes."""
    return [place for place in PLACES if place.writer == writer]


def is_root(name: str) -> bool:
    """Whether a name in a study's folder is one of ours, or of a folder of ours."""
    roots = {place.expression.pattern.partition("/")[0] for place in PLACES}
    return any(re.fullmatch(root, name) for root in roots)


def default_path(file: Path) -> Path:
    """The folder of a study file's study where none is named."""
    return Path("results", file.stem)


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


def posterior_path(record: Path) -> Path:
    """The file of mean and log-variance of q(z|x) on the probes, (2, n, z), if there is one."""
    file = record / POSTERIOR_FILE
    return file if file.is_file() else record / POSTERIOR


def observed_path(run: Path, way: str = "") -> Path:
    """The record of what a run's latents and layers hold over training, read one way."""
    return run / f"observed{way}" / "tables"


def scores_path(run: Path) -> Path:
    """The record of the disentanglement scores of a run's latents."""
    return run / "observed" / "scores"


def udr_path(study: Path) -> Path:
    """The record of how far the latents of replicates agree."""
    return study / "udr" / "corrected"


def _folder(measure: str) -> str:
    # A user's own is called module:name, and some file systems take no colon.
    return measure.replace(":", ".")


def similarity_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's similarity matrix, read one way."""
    return study / f"similarity{way}" / _folder(measure)


def jackknife_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of a measure's scores with groups of probes left out."""
    return study / f"jackknife{way}" / _folder(measure)


def influence_path(study: Path, measure: str, way: str = "") -> Path:
    """The record of how much a measure's scores hang on which probes."""
    return study / f"influence{way}" / _folder(measure)


def chance_path(study: Path, measure: str) -> Path:
    """The record of what a measure scores by chance."""
    return study / "chance" / _folder(measure)


def page_path(study: Path) -> Path:
    """The page of a study's report."""
    return study / "report" / "index.html"


def basis_path(study: Path, way: str) -> Path:
    """The record of the scores that the findings of a way rest on."""
    return study / "basis" / way


def findings_path(study: Path) -> Path:
    """The file of a study's findings."""
    return study / "findings.json"

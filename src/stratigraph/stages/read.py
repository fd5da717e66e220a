"""Read: what every layer represents, and what latents and layers hold, of all snapshots."""

from __future__ import annotations

from stratigraph.engine import Engine
from stratigraph.stages.extract import extract_study
from stratigraph.stages.observe import observe_study
from stratigraph.stages.progress import Progress
from stratigraph.stages.score import score_latents
from stratigraph.study import CORRECTED, Study

__all__ = ["read_study"]


def read_study(study: Study, engine: Engine, progress: Progress) -> None:
    """Read all of a study, its way, that has not been; latents are scored once, not for each way.

    Raises:
        ConfigError: a recorded study cannot be read this way.
        DataError: a recorded study has lost what was read at a snapshot.
        StratigraphError: a snapshot could not be read; those that could are kept.

    """
    extract_study(study, engine, progress)
    observe_study(study, engine, progress)
    if study.way is CORRECTED:
        score_latents(study, engine, progress)

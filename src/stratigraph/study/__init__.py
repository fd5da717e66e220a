"""The question: a grid of runs and how to compare them; and the study's folder, read."""

from stratigraph.study.config import (
    ActivationsConfig,
    MeasureConfig,
    ProbesConfig,
    StudyConfig,
    load_config,
)
from stratigraph.study.layout import (
    STUDY_FILE,
    representations_path,
    run_path,
    similarity_path,
)
from stratigraph.study.run import Run, read_state
from stratigraph.study.selection import SELECTIONS, comparable, select_pairs
from stratigraph.study.study import Study, load_study

__all__ = [
    "SELECTIONS",
    "STUDY_FILE",
    "ActivationsConfig",
    "MeasureConfig",
    "ProbesConfig",
    "Run",
    "Study",
    "StudyConfig",
    "comparable",
    "load_config",
    "load_study",
    "read_state",
    "representations_path",
    "run_path",
    "select_pairs",
    "similarity_path",
]

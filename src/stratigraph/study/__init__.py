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
    probes_path,
    representations_path,
    run_path,
    similarity_path,
)
from stratigraph.study.probes import (
    probe_images,
    probe_indices,
    probe_noise,
    probes_digest,
)
from stratigraph.study.run import Run, read_state
from stratigraph.study.selection import SELECTIONS, comparable, select_pairs
from stratigraph.study.study import Study, load_study
from stratigraph.study.trajectories import (
    LEAST_ROOM,
    part_of,
    similarity_to_final,
    steps_to_reach,
)

__all__ = [
    "LEAST_ROOM",
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
    "part_of",
    "probe_images",
    "probe_indices",
    "probe_noise",
    "probes_digest",
    "probes_path",
    "read_state",
    "representations_path",
    "run_path",
    "select_pairs",
    "similarity_path",
    "similarity_to_final",
    "steps_to_reach",
]

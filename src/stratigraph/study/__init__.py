"""The question: a grid of runs and how to compare them; and the study's folder, read."""

from stratigraph.study.config import (
    DECONFOUNDED,
    ActivationsConfig,
    MeasureConfig,
    ProbesConfig,
    ResourcesConfig,
    StudyConfig,
    load_config,
    study_measure,
)
from stratigraph.study.evidence import Evidence, Pairs, gather
from stratigraph.study.layout import (
    CONFIG,
    METRICS,
    STUDY_FILE,
    findings_path,
    jackknife_path,
    metrics_path,
    observed_path,
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
from stratigraph.study.run import Run, read_state, warning_of
from stratigraph.study.selection import (
    POSTERIOR,
    SELECTIONS,
    Selection,
    claim_pairs,
    comparable,
    select_pairs,
)
from stratigraph.study.study import Study, load_study
from stratigraph.study.trajectories import (
    LEAST_ROOM,
    part_of,
    similarity_to_final,
    steps_to_reach,
)
from stratigraph.study.ways import CORRECTED, PUBLISHED, WAYS, Way, find_way

__all__ = [
    "CONFIG",
    "CORRECTED",
    "DECONFOUNDED",
    "LEAST_ROOM",
    "METRICS",
    "POSTERIOR",
    "PUBLISHED",
    "SELECTIONS",
    "STUDY_FILE",
    "WAYS",
    "ActivationsConfig",
    "Evidence",
    "MeasureConfig",
    "Pairs",
    "ProbesConfig",
    "ResourcesConfig",
    "Run",
    "Selection",
    "Study",
    "StudyConfig",
    "Way",
    "claim_pairs",
    "comparable",
    "find_way",
    "findings_path",
    "gather",
    "jackknife_path",
    "load_config",
    "load_study",
    "metrics_path",
    "observed_path",
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
    "study_measure",
    "warning_of",
]

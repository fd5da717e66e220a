from .config import (
    DECONFOUNDED as DECONFOUNDED,
    ActivationsConfig as ActivationsConfig,
    MeasureConfig as MeasureConfig,
    ProbesConfig as ProbesConfig,
    ResourcesConfig as ResourcesConfig,
    StudyConfig as StudyConfig,
    study_measure as study_measure,
)
from .layout import (
    CONFIG as CONFIG,
    METRICS as METRICS,
    STUDY_FILE as STUDY_FILE,
    chance_path as chance_path,
    findings_path as findings_path,
    influence_path as influence_path,
    jackknife_path as jackknife_path,
    metrics_path as metrics_path,
    observed_path as observed_path,
    probes_path as probes_path,
    representations_path as representations_path,
    run_path as run_path,
    scores_path as scores_path,
    similarity_path as similarity_path,
)
from .load import load_study as load_study
from .parse import load_config as load_config
from .probes import (
    keep_probes as keep_probes,
    probe_factors as probe_factors,
    probe_images as probe_images,
    probe_indices as probe_indices,
    probe_noise as probe_noise,
    probes_digest as probes_digest,
    read_probes as read_probes,
    shown_config as shown_config,
)
from .replicates import set_replicates as set_replicates
from .run import Run as Run
from .selection import (
    SELECTIONS as SELECTIONS,
    Selection as Selection,
    claim_pairs as claim_pairs,
    select_pairs as select_pairs,
)
from .state import (
    read_replicates as read_replicates,
    read_state as read_state,
    warning_of as warning_of,
)
from .study import Study as Study
from .ways import CORRECTED as CORRECTED, PUBLISHED as PUBLISHED, WAYS as WAYS

"""Training: one run's configuration, which steps to keep, and a loop that yields states."""

from stratigraph.training.collapse import (
    CollapsedError as CollapsedError,
    CollapseWatch as CollapseWatch,
    OnCollapse as OnCollapse,
)
from stratigraph.training.config import RunConfig as RunConfig
from stratigraph.training.floor import floor_key as floor_key, floors_of as floors_of
from stratigraph.training.freezing import (
    Freezer as Freezer,
    Freezing as Freezing,
    trainable_layers as trainable_layers,
)
from stratigraph.training.loop import (
    DivergedError as DivergedError,
    TrainingState as TrainingState,
    initial_state as initial_state,
    split_of as split_of,
    to_batch as to_batch,
    training_states as training_states,
    validation_indices as validation_indices,
    validation_terms as validation_terms,
)
from stratigraph.training.network import DataFacts as DataFacts, build_network as build_network
from stratigraph.training.recorded import RecordedConfig as RecordedConfig, any_config as any_config
from stratigraph.training.schedule import SnapshotSchedule as SnapshotSchedule
from stratigraph.training.seeds import derived_seed as derived_seed, step_noise as step_noise
from stratigraph.training.stratum import (
    equal_models as equal_models,
    model_of as model_of,
    stratum as stratum,
)

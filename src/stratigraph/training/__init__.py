"""Training: one run's configuration, which steps to keep, and a loop that yields states."""

from stratigraph.training.config import RunConfig, whole_number
from stratigraph.training.freezing import Freezer, Freezing, trainable_layers
from stratigraph.training.loop import (
    DataFacts,
    DivergedError,
    TrainingState,
    build_network,
    initial_state,
    split_of,
    to_batch,
    training_states,
    validation_indices,
    validation_terms,
)
from stratigraph.training.recorded import RecordedConfig, any_config
from stratigraph.training.schedule import SnapshotSchedule
from stratigraph.training.seeds import derived_seed, step_noise

__all__ = [
    "DataFacts",
    "DivergedError",
    "Freezer",
    "Freezing",
    "RecordedConfig",
    "RunConfig",
    "SnapshotSchedule",
    "TrainingState",
    "any_config",
    "build_network",
    "derived_seed",
    "initial_state",
    "split_of",
    "step_noise",
    "to_batch",
    "trainable_layers",
    "training_states",
    "validation_indices",
    "validation_terms",
    "whole_number",
]

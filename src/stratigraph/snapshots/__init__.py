"""What a run keeps: snapshots to analyse, a checkpoint to go on from, both in hashed records."""

from stratigraph.snapshots.checkpoint import (
    checkpoint_step,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
)
from stratigraph.snapshots.files import (
    is_sealed,
    read_json,
    read_text,
    sealed_json,
    storage,
    write_file,
    write_json,
    write_text,
)
from stratigraph.snapshots.fitting import fit_weights, load_weights
from stratigraph.snapshots.foreign import read_contents, read_weights, weights_in
from stratigraph.snapshots.lock import LOCK, locked
from stratigraph.snapshots.snapshot import (
    load_snapshot,
    load_weights_of,
    save_snapshot,
    snapshot_path,
    snapshot_steps,
)
from stratigraph.snapshots.store import (
    MANIFEST,
    Files,
    npy,
    parquet,
    record_exists,
    remove_leftovers,
    remove_record,
    unlisted,
    verified,
    write_record,
)

__all__ = [
    "LOCK",
    "MANIFEST",
    "Files",
    "checkpoint_step",
    "fit_weights",
    "is_sealed",
    "load_checkpoint",
    "load_snapshot",
    "load_weights",
    "load_weights_of",
    "locked",
    "npy",
    "parquet",
    "read_contents",
    "read_json",
    "read_text",
    "read_weights",
    "record_exists",
    "remove_checkpoints",
    "remove_leftovers",
    "remove_record",
    "save_checkpoint",
    "save_snapshot",
    "sealed_json",
    "snapshot_path",
    "snapshot_steps",
    "storage",
    "unlisted",
    "verified",
    "weights_in",
    "write_file",
    "write_json",
    "write_record",
    "write_text",
]

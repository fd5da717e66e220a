"""What a run keeps: snapshots to analyse, a checkpoint to go on from, both in hashed records."""

from stratigraph.snapshots.checkpoint import (
    checkpoint_step,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
)
from stratigraph.snapshots.lock import locked
from stratigraph.snapshots.snapshot import (
    load_snapshot,
    save_snapshot,
    snapshot_path,
    snapshot_steps,
)
from stratigraph.snapshots.store import (
    MANIFEST,
    read_json,
    record_exists,
    remove_leftovers,
    replace_file,
    verified,
    write_json,
    write_record,
    write_text,
)

__all__ = [
    "MANIFEST",
    "checkpoint_step",
    "load_checkpoint",
    "load_snapshot",
    "locked",
    "read_json",
    "record_exists",
    "remove_checkpoints",
    "remove_leftovers",
    "replace_file",
    "save_checkpoint",
    "save_snapshot",
    "snapshot_path",
    "snapshot_steps",
    "verified",
    "write_json",
    "write_record",
    "write_text",
]

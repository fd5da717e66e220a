from .checkpoint import (
    checkpoint_step as checkpoint_step,
    load_checkpoint as load_checkpoint,
    remove_checkpoints as remove_checkpoints,
    save_checkpoint as save_checkpoint,
)
from .files import (
    is_sealed as is_sealed,
    read_json as read_json,
    read_text as read_text,
    sealed_json as sealed_json,
    storage as storage,
    write_file as write_file,
    write_json as write_json,
    write_text as write_text,
)
from .fitting import load_weights as load_weights
from .foreign import (
    read_contents as read_contents,
    read_weights as read_weights,
)
from .lock import LOCK as LOCK, locked as locked
from .scratch import (
    check_scratch as check_scratch,
    scratch_folder as scratch_folder,
    scratch_room as scratch_room,
)
from .snapshot import (
    load_snapshot as load_snapshot,
    load_weights_of as load_weights_of,
    save_snapshot as save_snapshot,
    snapshot_path as snapshot_path,
    snapshot_steps as snapshot_steps,
)
from .store import (
    MANIFEST as MANIFEST,
    Files as Files,
    npy as npy,
    parquet as parquet,
    record_exists as record_exists,
    remove_leftovers as remove_leftovers,
    remove_record as remove_record,
    unlisted as unlisted,
    verified as verified,
    write_record as write_record,
)

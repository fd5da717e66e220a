"""The folder of a checkpoint, as transformers, diffusers and others write it.

``model.safetensors``, or an index whose ``weight_map`` says in which of several files each tensor
is. A folder with one file of weights by any other name is taken too; what optimisers, schedulers
and random streams left beside it is not weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from stratigraph.errors import DataError, UnsafeFileError

__all__ = ["read_folder", "weights_of_folder"]

STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")
ENDINGS = (".safetensors", ".bin")
INDEX = ".index.json"
OTHER = {"training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states"}
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
LARGEST_INDEX = 100_000_000  # bytes


def weights_of_folder(folder: Path) -> Path:
    """The file that holds the weights of a checkpoint's folder, or the index of several.

    Raises:
        DataError: there is none, or more than one may be meant.

    """
    for stem in STEMS:
        for ending in ENDINGS:
            for name in (f"{stem}{ending}", f"{stem}{ending}{INDEX}"):
                if (folder / name).is_file():
                    return folder / name
    if (folder / "adapter_config.json").is_file():
        raise DataError(
            f"{folder}: holds an adapter, not the network's weights; merge it into the network "
            "(`merge_and_unload`) and save that."
        )
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and not any(path.name.startswith(other) for other in OTHER)
    )
    if len(found) != 1:
        held = ", ".join(path.name for path in found[:5]) or "none by a known name"
        raise DataError(
            f"{folder}: a folder, not a file, with one of {STEMS[0]}.safetensors, its index or a "
            f"single file of weights expected in it; it holds {held}. Name the file."
        )
    return found[0]


def read_folder(folder: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    """All tensors of a checkpoint's folder.

    Args:
        folder: of the checkpoint.
        read: reads one file of weights.

    Raises:
        DataError: no weights, or a file of theirs is missing or holds others than the index says.
        UnsafeFileError: the index leads out of the folder.

    """
    path = weights_of_folder(folder)
    if not path.name.endswith(INDEX):
        return read(path)
    try:
        if path.stat().st_size > LARGEST_INDEX:
            raise ValueError("too large")
        shard_of = dict(json.loads(path.read_text(encoding="utf-8"))["weight_map"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path}: not an index of weights ({error}).") from None
    tensors: dict[str, Tensor] = {}
    for shard in dict.fromkeys(shard_of.values()):
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise UnsafeFileError(f"{path}: names the file {shard!r}, which is not next to it.")
        if not (folder / shard).is_file():
            raise DataError(f"{folder}: {shard} is missing, although {path.name} names it.")
        held = read(folder / shard)
        lacking = [n for n, where in shard_of.items() if where == shard and n not in held]
        if lacking:
            raise DataError(
                f"{folder / shard}: {lacking[0]} is missing, although {path.name} names it."
            )
        tensors |= {name: held[name] for name in held if shard_of.get(name) == shard}
    return tensors

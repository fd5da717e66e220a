"""What a file is that was given where something else was meant: by its first bytes and its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["are_weights", "recognise"]

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
ARRAYS = (".npy", ".npz", ".parquet", ".pq", ".csv", ".tsv", ".arrow", ".feather", ".h5", ".hdf5",
          ".h5ad")  # fmt: skip
HTML = re.compile(rb"\s*(<!--.*?-->\s*)?<(!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
OF_WEIGHTS = re.compile(
    r"(^|[._])(weight|bias|running_mean|running_var|num_batches_tracked|kernel)(_\w+)?$"
)


def recognise(path: Path) -> str:
    """What a file is, in words that begin a sentence's second half; nothing where it is not known.

    >>> recognise(Path("no such file"))
    ''

    """
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return ""
    if HTML.match(start.removeprefix(b"\xef\xbb\xbf")):
        return "an HTML page, perhaps of a download that asked for a login; get the file itself"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; `git lfs pull` brings it"
    suffix = path.suffix.lower()
    if suffix in CHECKPOINTS or start[8:9] == b"{" or start[:1] == b"\x80":
        return (
            "tensors, perhaps a checkpoint; two networks are compared by `stratigraph compare "
            "--model FILE --factory MODULE:FUNCTION --inputs FILE`, a training's checkpoints made "
            "a study by `stratigraph import`"
        )
    if suffix in ARRAYS or start[:6] == b"\x93NUMPY":
        return "arrays; files of representations are compared by `stratigraph compare FILE FILE`"
    return ""


def are_weights(names: Iterable[str]) -> bool:
    """Whether tensors of these names are most likely a network's weights.

    >>> are_weights(["conv1.weight", "conv1.bias"]), are_weights(["layer1", "layer2"])
    (True, False)

    """
    every = list(names)
    return len(every) > 1 and 2 * sum(bool(OF_WEIGHTS.search(name)) for name in every) > len(every)

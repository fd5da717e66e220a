"""The MNIST family: files in the IDX format, 70,000 images of 28 × 28 with a class label.

Big-endian: two zero bytes, the type (0x08: uint8), the number of dimensions, a 32-bit size for each
of them, the values. Training images come first, then the 10,000 of the test part. The label is the
one factor, and any number of images share one.

===============  ===================================================================================
`mnist`          LeCun et al., 1998, *Gradient-based learning applied to document recognition*
`fashion_mnist`  Xiao et al., 2017, *Fashion-MNIST: a novel image dataset for benchmarking machine
                 learning algorithms*; Debian installs it with the package dataset-fashion-mnist
`kmnist`         Clanuwat et al., 2018, *Deep learning for classical Japanese literature*
===============  ===================================================================================
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from stratigraph.data.archives import ArrayStream, guarded, gzip_bytes
from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import check_file
from stratigraph.data.resizing import check_size
from stratigraph.data.stored import StoredImages, store
from stratigraph.durable import sha256
from stratigraph.errors import DataError
from stratigraph.paths import user_path

__all__ = ["describe_root", "load_idx", "loader"]

DEBIAN = {"fashion_mnist": "/usr/share/datasets/fashion-mnist"}
# Where torchvision keeps each, below the root that it was given.
TORCHVISION = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST", "mnist": "MNIST"}
PARTS = ("train", "t10k")
SIDE = 28
CLASSES = 10
LARGEST = 10_000_000  # images that a header may declare


def load_idx(
    name: str,
    *,
    size: int = 32,
    root: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """A set of the family from the four files in `root`, plain or ``.gz``.

    `root` may also be the one that torchvision was given: then they lie in ``MNIST/raw`` below it.
    At `size` 32 two zero pixels surround each image, and every one of its own stays as it was; at
    28 there is no border.
    """
    size = check_size(name, size, (32, 28))
    folder = _folder(name, root)
    files = [
        (_find(name, folder, f"{part}-images", 3), _find(name, folder, f"{part}-labels", 1))
        for part in PARTS
    ]
    key = hashlib.sha256()
    for images_path, labels_path in files:
        for path in (images_path, labels_path):
            check_file(path, None)
            key.update(bytes.fromhex(sha256(path)))
    parts = [_labels(path) for _, path in files]
    labels = np.concatenate(parts)
    counts = [len(part) for part in parts]
    images = StoredImages(
        path=cache_folder(cache_dir) / f"{name}-{key.hexdigest()[:12]}-{size}.npy",
        count=len(labels),
        image_shape=(1, size, size),
    )
    return Dataset(
        name=name,
        source=store(images, lambda: _images(files, counts, size)),
        factor_names=("label",),
        factor_sizes=(CLASSES,),
        labels=labels[:, None],
    )


def loader(name: str) -> Callable[..., Dataset]:
    """`load_idx` for one set of the family."""
    return partial(load_idx, name)


def _folder(name: str, root: str | Path | None) -> Path:
    folder = user_path(root or DEBIAN.get(name, ""))
    if root is None and name not in DEBIAN:
        raise DataError(f"{name} is not downloaded; give the folder of its four files as root")
    if not folder.is_dir():
        hint = "; `apt-get install dataset-fashion-mnist` puts it there" if root is None else ""
        raise DataError(
            f"{folder} is not there{hint}, or give the folder of the four {name} files as root"
        )
    for other, own in TORCHVISION.items():  # the four files are called alike in all of them
        if other != name and own in folder.resolve().parts[-2:]:
            raise DataError(f"{folder} is where torchvision keeps {own}; load it as {other}")
    return folder


def describe_root(folder: Path) -> str:
    """What to say of a folder that holds files of the family, and was taken for one of pictures."""
    for name, own in TORCHVISION.items():
        if (folder / own / "raw").is_dir():
            return f". It holds {own}: load it as {name}, with root={str(folder)!r}"
    if any(folder.glob("*-images*idx3-ubyte*")):
        return f". It holds IDX files: load it as mnist, say, with root={str(folder)!r}"
    return ""


def _find(name: str, folder: Path, stem: str, dimensions: int) -> Path:
    tried = [
        f"{stem}{joint}idx{dimensions}-ubyte{suffix}" for joint in "-." for suffix in (".gz", "")
    ]
    below = TORCHVISION.get(name, name)
    for place in (folder, folder / below / "raw", folder / "raw"):
        for candidate in tried:
            if (place / candidate).is_file():
                return place / candidate
    raise DataError(
        f"{folder} lacks {tried[0]} of {name} (or {', '.join(tried[1:])}), and so does its folder "
        f"{below}/raw, where torchvision keeps it"
    )


@contextmanager
def _values(path: Path, item: tuple[int, ...]) -> Iterator[ArrayStream]:
    """The array of an IDX file of bytes, whose rows must be of the shape `item`."""
    with gzip_bytes(path) as stream:
        length = 4 * (2 + len(item))
        with guarded(path, "IDX file"):
            header = stream.read(length)
        if len(header) != length:
            raise DataError(f"{path} is not a whole IDX file: it ends inside its header")
        magic, *shape = struct.unpack(f">{2 + len(item)}I", header)
        expected = 0x0800 | (1 + len(item))
        if magic != expected:
            raise DataError(f"{path}: its magic number is {magic:#010x}; expected {expected:#010x}")
        if tuple(shape[1:]) != item or not 0 < shape[0] <= LARGEST:
            raise DataError(
                f"{path}: it declares {tuple(shape)}; expected {('n', *item)}, n at most {LARGEST}"
            )
        yield ArrayStream(path, stream, tuple(shape), np.dtype("u1"))
        with guarded(path, "IDX file"):
            surplus = stream.read(1)
        if surplus:
            raise DataError(f"{path}: it goes on after the {shape[0]} items that it declares")


def _labels(path: Path) -> np.ndarray:
    with _values(path, ()) as values:
        labels = values.whole()
    if labels.max() >= CLASSES:
        raise DataError(f"{path}: it holds the label {labels.max()}; expected 0 to {CLASSES - 1}")
    return labels


def _images(files: list[tuple[Path, Path]], counts: list[int], size: int) -> Iterator[np.ndarray]:
    border = (size - SIDE) // 2
    for (path, labels_path), count in zip(files, counts, strict=True):
        with _values(path, (SIDE, SIDE)) as values:
            if values.shape[0] != count:
                raise DataError(
                    f"{path} holds {values.shape[0]} images, and {labels_path.name} {count} labels"
                )
            for block in values.blocks():
                yield np.pad(block[:, None], ((0, 0), (0, 0), (border, border), (border, border)))

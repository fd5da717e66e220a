"""Small files in the published formats, written as the formats say and read back by the tests."""

import gzip
import hashlib
import io
import math
import struct
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from stratigraph.data import cars3d, dsprites, shapes3d, smallnorb


def grid(sizes):
    """All combinations of factors, the last fastest."""
    return np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=1)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


class Published:
    """Writes small sets into `folder`, after shrinking the sizes that the readers expect."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        folder.mkdir(parents=True, exist_ok=True)

    def dsprites(self, **changes):
        """The npz, with a pickled `metadata` that would leave a file behind if it were opened."""
        sizes = (3, 2, 40, 2, 2)
        self.patch.setattr(dsprites, "FACTOR_SIZES", sizes)
        classes = grid(sizes)
        rng = np.random.default_rng(0)
        trap = np.array(Trap(self.folder / "unpickled"), dtype=object)
        arrays = {
            "imgs": rng.integers(0, 2, (len(classes), 64, 64), dtype=np.uint8),
            "latents_values": np.zeros((len(classes), 6)),
            "latents_classes": np.insert(classes, 0, 0, axis=1).astype(np.int64),
            "metadata": trap,
        } | changes
        path = self.folder / dsprites.FILE.name
        np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
        return path, arrays["imgs"]

    def cars3d(self, order=("car_002_mesh", "car_000_mesh", "car_001_mesh"), extra=()):
        """The archive: each view of one grey, which tells car, azimuth and elevation apart."""
        self.patch.setattr(cars3d, "FACTOR_SIZES", (4, 24, 3))
        path = self.folder / cars3d.FILE.name
        with tarfile.open(path, "w:gz") as archive:
            add(archive, "data/shapes48.mat", b"another set of the archive")
            if order is not None:
                add(archive, "data/cars/list.txt", "\n".join(order).encode() + b"\n")
            for car in range(3):
                mesh = np.zeros((128, 128, 3, 24, 4), dtype=np.uint8)
                mesh += np.arange(24, dtype=np.uint8)[:, None] * 4 + np.arange(4, dtype=np.uint8)
                mesh += np.uint8(50 * car)
                content = io.BytesIO()
                savemat(content, {"im": mesh}, do_compression=True)
                add(archive, f"data/cars/car_{car:03d}_mesh.mat", content.getvalue())
            for member, content in extra:
                archive.addfile(member, io.BytesIO(content))
        known = cars3d.PublishedFile(path.name, "http://127.0.0.1/", f"md5:{md5(path)}")
        self.patch.setattr(cars3d, "FILE", known)
        return path

    def smallnorb(self, **changes):
        """The six files, in rows of no order; every image is of one grey, its place in the grid."""
        sizes = (5, 10, 1, 2, 2)
        self.patch.setattr(smallnorb, "FACTOR_SIZES", sizes)
        self.patch.setattr(smallnorb, "ROWS", 100)
        factors = grid(sizes)
        rng = np.random.default_rng(3)
        for part, instances in (
            ("5x46789x9x18x6x2x96x96-training", (4, 6, 7, 8, 9)),
            ("5x01235x9x18x6x2x96x96-testing", (0, 1, 2, 3, 5)),
        ):
            rows = rng.permutation(np.flatnonzero(np.isin(factors[:, 1], instances)))
            images = np.zeros((100, 2, 96, 96), dtype=np.uint8)
            images[:, 0] = (rows + 50)[:, None, None]  # up to 249: signed bytes would be negative
            images[:, 1] = 7  # the second camera
            info = factors[rows][:, 1:].astype("<i4")
            info[:, 2] *= 2  # azimuths are published as 0, 2 … 34
            matrices = {
                "dat": (0x1E3D4C55, images),
                "cat": (0x1E3D4C54, factors[rows, 0].astype("<i4")),
                "info": (0x1E3D4C54, info),
            } | changes
            for kind, (magic, matrix) in matrices.items():
                path = self.folder / f"smallnorb-{part}-{kind}.mat.gz"
                path.write_bytes(gzip.compress(norb_header(magic, matrix) + matrix.tobytes()))
        return self.folder

    def shapes3d(self, **changes):
        """The HDF5 file."""
        sizes = (2, 2, 3, 2, 2, 2)
        self.patch.setattr(shapes3d, "FACTOR_SIZES", sizes)
        shape = (math.prod(sizes), 64, 64, 3)
        images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        path = self.folder / shapes3d.FILE.name
        with h5py.File(path, "w") as file:
            for name, values in ({"images": images} | changes).items():
                file.create_dataset(name, data=values, chunks=True, compression="gzip")
        return path, images

    def idx(self, joint="-", suffix=".gz"):
        """The four files of the MNIST family; returns all images and all labels."""
        rng = np.random.default_rng(2)
        images, labels = [], []
        for part, count in (("train", 30), ("t10k", 10)):
            images.append(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
            labels.append(rng.integers(0, 10, count, dtype=np.uint8))
            for kind, magic, values in (
                ("images", b"\x00\x00\x08\x03", images[-1]),
                ("labels", b"\x00\x00\x08\x01", labels[-1]),
            ):
                content = magic + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
                path = self.folder / f"{part}-{kind}{joint}idx{values.ndim}-ubyte{suffix}"
                path.write_bytes(gzip.compress(content) if suffix else content)
        return np.concatenate(images), np.concatenate(labels)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def norb_header(magic, matrix):
    dimensions = (*matrix.shape, 1, 1)[: max(3, matrix.ndim)]
    return struct.pack(f"<ii{len(dimensions)}i", magic, matrix.ndim, *dimensions)


@pytest.fixture(scope="session")
def published_in():
    return Published


@pytest.fixture
def published(tmp_path, monkeypatch):
    return Published(tmp_path / "published", monkeypatch)


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache")

"""Forty archives that mean harm: refused or passed over, nothing written, memory bounded."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stratigraph.data.archives import array_stream, guarded, gzip_bytes, tar_files
from stratigraph.data.cars3d import _views
from stratigraph.errors import DataError, UnsafeFileError

WANTED, LARGEST = r"data/car_\w+\.mat", 1 << 20
NAME = "data/car_001.mat"
MOST_MEMORY = 96 << 20
Maker = Callable[[Path], None]


def tar(*members: tuple[str, object], mode: str = "w", **facts: object) -> Maker:
    """A tar archive of (name, bytes, or a type of member)."""

    def make(path: Path) -> None:
        with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
            for name, content in members:
                info = tarfile.TarInfo(name)
                for key, value in facts.items():
                    setattr(info, key, value)
                if isinstance(content, bytes) and len(content) > 1:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                else:
                    info.type = content
                    archive.addfile(info)

    return make


def spoilt(make: Maker, change: Callable[[bytes], bytes]) -> Maker:
    def changed(path: Path) -> None:
        make(path)
        path.write_bytes(change(path.read_bytes()))

    return changed


def sized(size: int) -> Maker:
    """A member whose header declares a size that does not follow."""

    def make(path: Path) -> None:
        info = tarfile.TarInfo(NAME)
        info.size = size
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)

    return make


PASSED = [  # names that are not expected: the archive is read, and they are not
    "../car_001.mat", "/data/car_001.mat", "data/../../car_001.mat", "data/../data/car_001.mat",
    "..\\car_001.mat", "C:\\car_001.mat", "data/car_001.mat/../../x", "data//car_001.mat",
    "data/car_001.mat\n", "data/car_001.mat.exe", "DATA/CAR_001.MAT", "data/" + "c" * 300,
    "./../data/car_001.mat", "data/car_\u0430.m\u0430t",
]  # fmt: skip
TARS: dict[str, Maker] = {
    "symbolic link": tar((NAME, tarfile.SYMTYPE), linkname="/etc/passwd"),
    "hard link": tar((NAME, tarfile.LNKTYPE), linkname="/etc/passwd"),
    "character device": tar((NAME, tarfile.CHRTYPE), devmajor=1, devminor=5),
    "block device": tar((NAME, tarfile.BLKTYPE)),
    "pipe": tar((NAME, tarfile.FIFOTYPE)),
    "folder": tar((NAME, tarfile.DIRTYPE)),
    "twice": tar((NAME, b"one"), (NAME, b"two")),
    "too large": tar((NAME, bytes(LARGEST + 1))),
    "bomb": tar((NAME, bytes(200 << 20)), mode="w:gz"),
    "declares 8 GB": sized((1 << 33) - 1),
    "cut": spoilt(tar((NAME, bytes(5000))), lambda data: data[:2000]),
    "checksum": spoilt(tar((NAME, b"one")), lambda d: d[:20] + b"X" + d[21:]),
    "not a tar": lambda path: path.write_bytes(b"no archive" * 100) and None,
    "ten thousand": tar(*[(f"x{i}", tarfile.DIRTYPE) for i in range(10_001)]),
}


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00", length: int = 0) -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", length or len(text)) + text + data


def zipped(content: bytes, name: str = "imgs.npy", packed: int = zipfile.ZIP_DEFLATED) -> Maker:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", packed) as archive:
            archive.writestr(name, content)

    return make


HEAD = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
NPZS: dict[str, Maker] = {
    "four terabytes": zipped(npy(HEAD.format("|u1", (1 << 42,)))),
    "bomb": zipped(npy(HEAD.format("|u1", (9,)), bytes(200 << 20))),
    "objects": zipped(npy(HEAD.format("|O", (1,)), b"cos\nsystem\n(S'touch MARK'\ntR.")),
    "negative": zipped(npy(HEAD.format("|u1", (-1,)))),
    "code": zipped(npy("__import__('os').system('touch MARK')")),
    "huge header": zipped(npy("{}", length=65_535)),
    "version 9": zipped(npy(HEAD.format("|u1", (1,)), b"1", version=b"\x09\x09")),
    "cut": spoilt(zipped(npy(HEAD.format("|u1", (99,)), bytes(99))), lambda d: d[: len(d) // 2]),
    "wrong sum": spoilt(
        zipped(npy(HEAD.format("|u1", (99,)), bytes(99)), packed=zipfile.ZIP_STORED),
        lambda d: d.replace(bytes(99), bytes(98) + b"\x01"),
    ),
    "outside": zipped(npy(HEAD.format("|u1", (1,)), b"1"), name="../imgs.npy"),
}
MATS = {
    "cut": b"MATLAB 5.0 MAT-file" + bytes(200),
    "not a mat": b"\x00" * 300,
}


@pytest.fixture
def contained(tmp_path, monkeypatch):
    """Within, nothing may be written and little may be allocated; the archive lies in a folder."""
    place = tmp_path / "in"
    place.mkdir()
    monkeypatch.chdir(tmp_path)
    path = place / "archive"

    def check() -> None:
        assert [p.name for p in tmp_path.rglob("*")] == ["in", "archive"]
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        tracemalloc.stop()

    return path, check


def test_there_are_forty():
    assert len(PASSED) + len(TARS) + len(NPZS) + len(MATS) == 40


@pytest.mark.parametrize("name", PASSED)
def test_names_that_lead_elsewhere_are_passed_over(contained, name):
    path, check = contained
    tar((name, b"harm"))(path)
    tracemalloc.start()
    assert list(tar_files(path, WANTED, LARGEST)) == []
    check()


@pytest.mark.parametrize("kind", TARS)
def test_tars(contained, kind):
    path, check = contained
    TARS[kind](path)
    tracemalloc.start()
    with pytest.raises((DataError, UnsafeFileError), match=r"archive"):
        list(tar_files(path, WANTED, LARGEST))
    check()


@pytest.mark.parametrize("kind", NPZS)
def test_npzs(contained, kind):
    path, check = contained
    NPZS[kind](path)
    tracemalloc.start()
    with (
        pytest.raises((DataError, UnsafeFileError), match=r"archive"),
        array_stream(path, "imgs") as stream,
    ):
        for block in stream.blocks():
            assert isinstance(block, np.ndarray)
    check()


@pytest.mark.parametrize("kind", MATS)
def test_mats(contained, kind):
    path, check = contained
    path.touch()
    tracemalloc.start()
    with pytest.raises(DataError, match=r"archive"):
        _views(path, "car_001_mesh.mat", MATS[kind], 64)
    check()


def test_a_packed_stream_is_read_no_further_than_asked(tmp_path):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(bytes(200 << 20), 1))
    tracemalloc.start()
    with guarded(bomb, "gzip file"), gzip_bytes(bomb) as stream:
        assert len(stream.read(1000)) == 1000
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()

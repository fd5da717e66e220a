"""Files of the cache: whole or absent, and known to be what was written."""

import errno
import subprocess

import numpy as np
import pytest

from stratigraph.data.cache import cache_dir, check_array, open_array, write_array
from stratigraph.errors import IntegrityError, StorageError

BYTE = np.dtype(np.uint8)
ROWS = np.arange(60, dtype=np.uint8).reshape(10, 6)


def blocks(array=ROWS):
    yield array[:7]
    yield array[7:]


def test_an_array_comes_back(tmp_path):
    path = tmp_path / "deep" / "rows.npy"
    write_array(path, (10, 6), BYTE, blocks())
    np.testing.assert_array_equal(np.load(path), ROWS)  # any program can open it
    rows = open_array(path, (10, 6), BYTE)
    np.testing.assert_array_equal(rows.take(np.array([9, 0, 0])), ROWS[[9, 0, 0]])
    assert rows.take(np.array([], dtype=np.int64)).shape == (0, 6)
    check_array(path)


def test_the_hash_is_one_that_sha256sum_checks(tmp_path):
    write_array(tmp_path / "rows.npy", (10, 6), BYTE, blocks())
    subprocess.run(["sha256sum", "--check", "rows.npy.sha256"], cwd=tmp_path, check=True)


def test_rows_are_read_without_preadv_too(tmp_path, monkeypatch):
    monkeypatch.delattr("os.preadv")
    write_array(tmp_path / "rows.npy", (10, 6), BYTE, blocks())
    rows = open_array(tmp_path / "rows.npy", (10, 6), BYTE)
    np.testing.assert_array_equal(rows.take(np.array([3, 1])), ROWS[[3, 1]])


def test_nothing_is_left_of_an_array_that_failed(tmp_path):
    def full_disk():
        yield ROWS[:7]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"No space left on device; the array takes 60 bytes"):
        write_array(tmp_path / "rows.npy", (10, 6), BYTE, full_disk())
    with pytest.raises(StorageError, match=r"42 bytes for \(10, 6\), which takes 60"):
        write_array(tmp_path / "rows.npy", (10, 6), BYTE, [ROWS[:7]])
    with pytest.raises(KeyboardInterrupt):
        write_array(tmp_path / "rows.npy", (10, 6), BYTE, _interrupted())
    assert not list(tmp_path.iterdir())
    assert open_array(tmp_path / "rows.npy", (10, 6), BYTE) is None


def _interrupted():
    yield ROWS[:7]
    raise KeyboardInterrupt


def test_two_may_build_the_same_array_at_once(tmp_path):
    path = tmp_path / "rows.npy"

    def interleaved():
        yield ROWS[:7]
        write_array(path, (10, 6), BYTE, blocks())
        yield ROWS[7:]

    write_array(path, (10, 6), BYTE, interleaved())
    check_array(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.npy", "rows.npy.sha256"]


def test_a_replaced_file_is_opened_anew(tmp_path):
    path = tmp_path / "rows.npy"
    write_array(path, (10, 6), BYTE, blocks())
    assert open_array(path, (10, 6), BYTE).take(np.array([1]))[0, 0] == 6
    write_array(path, (10, 6), BYTE, blocks(ROWS + 1))
    assert open_array(path, (10, 6), BYTE).take(np.array([1]))[0, 0] == 7


def test_damage_is_seen(tmp_path):
    path = tmp_path / "rows.npy"
    write_array(path, (10, 6), BYTE, blocks())
    content = path.read_bytes()
    with pytest.raises(IntegrityError, match=r"holds uint8 \(10, 6\); expected uint8 \(5, 12\)"):
        open_array(path, (5, 12), BYTE)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(IntegrityError, match=r"its SHA-256 is [0-9a-f]{64}; [0-9a-f]{64} was"):
            check_array(path)
    path.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match=r"not a whole \.npy file .*; remove it"):
        open_array(path, (10, 6), BYTE)
    (tmp_path / "rows.npy.sha256").unlink()
    with pytest.raises(IntegrityError, match=r"no readable hash in rows\.npy\.sha256"):
        check_array(path)


def test_the_folder_is_the_caller_s_then_the_environment_s(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATIGRAPH_CACHE", str(tmp_path / "environment"))
    assert cache_dir(tmp_path) == tmp_path
    assert cache_dir() == tmp_path / "environment"
    monkeypatch.delenv("STRATIGRAPH_CACHE")
    assert cache_dir().name == "stratigraph"

"""Records: whole or not at all, and never silently damaged."""

import numpy as np
import pytest

from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.records import read_json, sealed_json, verified, write_record


def make(path, text="hello"):
    write_record(path, lambda files: files.add("a.txt", text.encode()), {"step": 7})
    return path


def test_round_trip(tmp_path):
    record = make(tmp_path / "r")
    assert verified(record) == {"step": 7}
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("name", ["a.txt", "manifest.json"])
def test_no_flipped_byte_or_truncation_is_accepted(tmp_path, name):
    file = make(tmp_path / "r") / name
    whole = file.read_bytes()
    damaged = [whole[:i] for i in range(len(whole))]
    damaged += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    accepted = []
    for content in damaged:
        file.write_bytes(content)
        try:
            verified(file.parent)
        except DataError as error:
            assert str(file.parent) in str(error)
        else:
            accepted.append(content)
    assert accepted == []
    file.write_bytes(whole)
    assert verified(file.parent) == {"step": 7}


def test_a_failing_fill_leaves_no_trace_and_the_old_record(tmp_path):
    record = make(tmp_path / "r")

    def fill(files):
        files.add("a.txt", b"half")
        raise RuntimeError("stop")

    for path in (record, tmp_path / "new"):
        with pytest.raises(RuntimeError, match="stop"):
            write_record(path, fill)
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert (record / "a.txt").read_text() == "hello"
    assert verified(record) == {"step": 7}


def test_missing_files_and_newer_formats(tmp_path):
    with pytest.raises(DataError, match="there is no record here"):
        verified(tmp_path / "r")
    record = make(tmp_path / "r")
    manifest = read_json(record / "manifest.json")
    (record / "manifest.json").write_bytes(sealed_json(manifest | {"format": 2}))
    with pytest.raises(
        ConfigError, match="written in format 2, this version reads up to 1; upgrade"
    ):
        verified(record)
    make(record)
    (record / "a.txt").unlink()
    with pytest.raises(IntegrityError, match=r"a\.txt: missing, though its manifest lists it"):
        verified(record)


def test_bands_of_an_array_have_the_bytes_of_the_whole(tmp_path):
    array = np.random.default_rng(0).normal(size=(7, 3))

    def fill(files):
        files.array("whole.npy", array)
        files.bands("bands.npy", array.shape, (array[i : i + 2] for i in range(0, 7, 2)))

    write_record(tmp_path / "record", fill)
    verified(tmp_path / "record")
    whole, bands = (tmp_path / "record" / f"{name}.npy" for name in ("whole", "bands"))
    assert whole.read_bytes() == bands.read_bytes()
    assert np.array_equal(np.load(bands), array)

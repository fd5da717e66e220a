"""No damage goes unnoticed: every byte changed, every length cut, and no parser sees any of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.records import (
    load_snapshot,
    read_json,
    read_text,
    save_snapshot,
    snapshot_path,
    verified,
    write_json,
    write_record,
    write_text,
)


def damaged(file: Path, flips: np.ndarray | None = None) -> Iterator[str]:
    """The file with each byte changed in turn, then at each length; whole again in the end."""
    whole = file.read_bytes()
    positions = range(len(whole)) if flips is None else flips
    with file.open("r+b") as stream:
        for position in positions:
            for changed in (whole[position] ^ 1, whole[position] ^ 0x80):
                stream.seek(position)
                stream.write(bytes([changed]))
                stream.flush()
                yield f"{file.name}: byte {position}"
            stream.seek(position)
            stream.write(whole[position : position + 1])
            stream.flush()
    for length in range(len(whole)) if flips is None else flips:
        file.write_bytes(whole[:length])
        yield f"{file.name}: cut to {length}"
    file.write_bytes(whole)


@pytest.fixture
def no_parser(monkeypatch):
    """Loaders that fail the test when they are reached."""

    def reached(*arguments: object, **options: object) -> None:
        pytest.fail(f"a parser was given damaged bytes: {arguments}")

    monkeypatch.setattr("stratigraph.records.snapshot.load_file", reached)
    monkeypatch.setattr(np, "load", reached)
    monkeypatch.setattr(pd, "read_parquet", reached)


def test_every_byte_of_a_small_snapshot(tmp_path, no_parser):
    model = torch.nn.Linear(3, 2)
    save_snapshot(tmp_path, 4, model, {"run_id": "x"})
    tried = 0
    for file in sorted(snapshot_path(tmp_path, 4).iterdir()):
        for what in damaged(file):
            tried += 1
            with pytest.raises((IntegrityError, ConfigError)) as error:
                load_snapshot(tmp_path, 4, model)
            assert str(file.parent) in str(error.value), what
    assert tried > 1000
    verified(snapshot_path(tmp_path, 4))


def test_every_byte_of_a_small_result(tmp_path, no_parser):
    record = tmp_path / "similarity" / "cka"

    def fill(files):
        files.array("values.npy", np.eye(3))
        files.add("labels.txt", b"enc.1\nenc.2\ndec.1\n")

    write_record(record, fill, {"measure": "cka"})
    for file in sorted(record.iterdir()):
        for what in damaged(file):
            with pytest.raises((IntegrityError, ConfigError)) as error:
                verified(record)
            assert str(record) in str(error.value), what


@pytest.mark.parametrize(
    ("write", "read", "value"),
    [
        (write_json, read_json, {"findings": [{"p": 0.031, "why": "β ≥ 4", "none": None}]}),
        (write_text, read_text, "name: tiny\nseed: [0, 1]  # β\n"),
    ],
)
def test_every_byte_of_a_sealed_file(tmp_path, write, read, value):
    path = tmp_path / "file"
    write(path, value)
    assert read(path) == value
    for what in damaged(path):
        with pytest.raises((IntegrityError, ConfigError)) as error:
            read(path)
        assert str(path) in str(error.value), what
    assert read(path) == value


@pytest.mark.damage
def test_bytes_of_a_real_study(tiny_study, tmp_path):
    """2,000 places in files of every kind, each changed twice and cut there once."""
    from stratigraph.stages import verify_study

    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    assert verify_study(folder).damages == []
    random = np.random.default_rng(0)
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", "state.json", "current.json"))
    ]
    tried = 0
    for file in [files[i] for i in random.choice(len(files), 200)]:
        record = file.parent if (file.parent / "manifest.json").is_file() else file
        places = np.unique(random.integers(0, file.stat().st_size, 10))
        for what in damaged(file, places):
            tried += 1
            with pytest.raises((IntegrityError, ConfigError)):
                if record.is_dir():
                    verified(record)
                else:
                    (read_text if file.name == "study.yaml" else read_json)(file)
                pytest.fail(f"not noticed: {what}")
    assert verify_study(folder).damages == []
    print(f"\n{tried} damages of {len(files)} files, all noticed")
    assert tried > 5000


def test_a_reader_of_a_record_that_is_replaced_meanwhile(tmp_path, monkeypatch):
    """It reads the new one; damage is damage only if nobody wrote."""
    from stratigraph.records import store

    record = tmp_path / "r"
    write_record(record, lambda files: files.add("a", b"old"), {"round": 1})
    hashed = store.sha256

    def replaced_first(path: Path) -> str:
        monkeypatch.setattr(store, "sha256", hashed)
        write_record(record, lambda files: files.add("a", b"new"), {"round": 2})
        return hashed(path)

    monkeypatch.setattr(store, "sha256", replaced_first)
    assert verified(record) == {"round": 2}


def test_a_record_without_its_manifest_is_none(tmp_path):
    record = tmp_path / "r"
    write_record(record, lambda files: files.add("a", b"x"))
    (record / "manifest.json").unlink()
    with pytest.raises(DataError, match="there is no record here"):
        verified(record)

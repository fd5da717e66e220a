"""Weights that others wrote: refused before they can run code, fill the memory, or half fit."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.records import load_weights, read_weights


class Calls:
    """Unpickled, it calls a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def torch_file(path: Path, value) -> Path:
    torch.save(value, path)
    return path


HOSTILE = [
    (os.system, "touch MARK"), (os.mkdir, "MARK"), (exec, "open('MARK', 'w')"),
    (eval, "open('MARK', 'w')"), (builtins.open, "MARK", "w"), (io.open, "MARK", "w"),
    (os.rename, "MARK0", "MARK"), (os.symlink, "/", "MARK"), (pickle.loads, b"."),
    (__import__, "os"), (getattr, "x", "upper"), (Path.touch, Path("MARK")),
    (resource.setrlimit, resource.RLIMIT_NOFILE, (1, 1)), (os.putenv, "MARK", "1"),
    (compile, "1", "x", "eval"), (os.listdir, "."), (type, "X", (), {}), (bytearray, 10**13),
    (nn.Linear, 3, 2), (os._exit, 0),
]  # fmt: skip


@pytest.mark.parametrize("call", HOSTILE, ids=lambda call: getattr(call[0], "__name__", "call"))
@pytest.mark.parametrize("bare", [False, True], ids=["torch", "bare"])
def test_twenty_hostile_pickles(tmp_path, monkeypatch, call, bare):
    monkeypatch.chdir(tmp_path)
    value = {"weight": Calls(*call)}
    path = tmp_path / "hostile.pt"
    if bare:
        path.write_bytes(pickle.dumps(value))
    else:
        torch_file(path, value)
    with pytest.raises((UnsafeFileError, DataError)) as told:
        read_weights(path)
    assert str(path) in str(told.value)
    assert "safetensors" in str(told.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hostile.pt"]
    assert "MARK" not in os.environ


def test_a_whole_module_is_refused_with_how_to_convert(tmp_path):
    path = torch_file(tmp_path / "model.pt", nn.Linear(3, 2))
    with pytest.raises(UnsafeFileError, match=r"save_file\(model\.state_dict\(\)"):
        read_weights(path)


def rezipped(source: Path, path: Path, compression=zipfile.ZIP_STORED, **changed: bytes) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name.rpartition("/")[2], old.read(name)))
    return path


def test_a_file_that_unpacks_to_far_more_is_refused(tmp_path):
    plain = torch_file(tmp_path / "a.pt", {"w": torch.zeros(64 << 18)})
    bomb = rezipped(plain, tmp_path / "b.pt", zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(UnsafeFileError, match=r"bytes that unpack to 67,"):
        read_weights(bomb)


def test_a_file_that_declares_terabytes_is_refused_before_they_are_asked_for(tmp_path):
    plain = torch_file(tmp_path / "a.pt", {"w": torch.zeros(1000)})
    with zipfile.ZipFile(plain) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        program = archive.read(name)
    small, large = pickle.dumps(1000, 2)[2:-1], pickle.dumps(10**12, 2)[2:-1]
    assert small in program
    lying = rezipped(plain, tmp_path / "b.pt", **{"data.pkl": program.replace(small, large)})
    with pytest.raises(UnsafeFileError, match="declares 1,000,000,000,000 elements"):
        read_weights(lying)


def test_safetensors_and_torch_files_are_read(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    for path in (
        tmp_path / "a.safetensors",
        torch_file(tmp_path / "b.pt", model.state_dict()),
        torch_file(tmp_path / "c.ckpt", {"state_dict": model.state_dict(), "seed": 20240115}),
    ):
        nn.init.zeros_(other.weight)
        load_weights(other, path)
        assert torch.equal(other.weight, model.weight)


BROKEN = [
    ("missing", None, r"no such file"),
    ("a folder", "folder", r"a folder, not a file"),
    ("empty", b"", r"empty \(0 bytes\)"),
    ("a web page", b"<!doctype html><p>404", r"neither safetensors nor a torch file: an HTML page"),
    ("cut header", struct.pack("<Q", 10**15) + b"{" + b" " * 50, r"header claims 1,000,000,000,"),
    ("not JSON", struct.pack("<Q", 8) + b"{not ok}", r"not readable as safetensors"),
    ("half a zip", b"PK\x03\x04" + b"\0" * 60, r"not a whole torch file"),
]


@pytest.mark.parametrize(
    ("content", "message"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_files_that_are_no_weights(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as told:
        read_weights(path)
    assert str(path) in str(told.value)


def test_a_zip_without_weights_and_values_that_are_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.pt", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(DataError, match=r"without torch's data\.pkl"):
        read_weights(tmp_path / "z.pt")
    with pytest.raises(DataError, match="holds a Tensor; expected a state dict"):
        read_weights(torch_file(tmp_path / "t.pt", torch.zeros(2)))
    with pytest.raises(DataError, match="'epoch' is a int, not a tensor"):
        read_weights(torch_file(tmp_path / "e.pt", {"epoch": 3}))


def test_a_header_that_points_outside_of_the_file(tmp_path):
    header = b'{"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(DataError, match="not readable as safetensors"):
        read_weights(path)


def test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded(tmp_path):
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(8)])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {f"other.{i}": torch.zeros(2) for i in range(3)} | {"0.weight": torch.zeros(3, 3)}
    with pytest.raises(DataError) as told:
        load_weights(model, torch_file(tmp_path / "w.pt", given))
    text = str(told.value)
    assert "does not fit Sequential: 0.bias is missing; 1.weight is missing" in text
    assert "; and 9 more." in text
    with pytest.raises(DataError, match=r"0\.weight is \(3, 3\), the model's \(2, 2\)"):
        load_weights(model, torch_file(tmp_path / "w.pt", before | {"0.weight": torch.zeros(3, 3)}))
    wide = {name: value.double() * 1e300 for name, value in before.items()}
    with pytest.raises(DataError, match=r"0\.weight holds 4 values that are NaN or infinite"):
        load_weights(model, torch_file(tmp_path / "w.pt", wide))
    whole = {name: value.long() for name, value in before.items()}
    with pytest.raises(DataError, match=r"0\.weight is torch\.int64, the model's torch\.float32"):
        load_weights(model, torch_file(tmp_path / "w.pt", whole))
    spoiled = {name: value.clone() for name, value in before.items()}
    spoiled["3.weight"][0, 0] = torch.nan
    with pytest.raises(DataError, match=r"3\.weight holds 1 values that are NaN"):
        load_weights(model, torch_file(tmp_path / "w.pt", spoiled))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

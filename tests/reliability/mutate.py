"""Reads random mutations of one file: `python mutate.py KIND COUNT FOLDER`, in its own process.

Ends with 0 if each was read or refused with an error of ours. A crash, a hang (an alarm ends it)
and an allocation beyond the limit (the system refuses it) end it otherwise; the last line that is
printed says at which mutation.
"""

from __future__ import annotations

import gzip
import io
import random
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save

import stratigraph as sg
from stratigraph.cli.compare_networks import read_inputs
from stratigraph.errors import StratigraphError
from stratigraph.records import load_weights
from stratigraph.study.parse import load_config

ROOM = 1 << 30  # bytes that a reader may take for a file of a few kilobytes
PATIENCE = 20  # seconds for one
X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
STUDY = """
name: a study
grid:
  data: {name: sprites, size: 32}
  objective: {beta_vae: {beta: [1, 4]}, annealed_vae: {c_max: [5, 25]}}
  seed: {replicates: 2}
training: {steps: 20, batch_size: 8, learning_rate: 1e-3}
snapshots: {kind: log, count: 4}
measures: [debiased_cka, {name: procrustes_similarity, pairs: claims, tolerance: 0.1}]
"""


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=X, ids=np.arange(20))
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


def _packed() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=np.zeros((20, 8, 8), np.uint8), factors=np.zeros((20, 2)))
    return file.getvalue()


def _frame() -> pd.DataFrame:
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(id=[f"i{i}" for i in range(20)])


def _arrow() -> bytes:
    file = io.BytesIO()
    _frame().to_feather(file)
    return file.getvalue()


def _hdf5() -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as held:
        held["obsm/X"] = X
        held.create_dataset("packed", data=X, compression="gzip", chunks=(5, 3))
    return file.getvalue()


def _torch() -> bytes:
    file = io.BytesIO()
    torch.save(torch.nn.Linear(3, 4).state_dict(), file)
    return file.getvalue()


def _picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(file, form)
    return file.getvalue()


def _idx() -> bytes:
    images = struct.pack(">IIII", 2051, 20, 28, 28) + bytes(20 * 28 * 28)
    return gzip.compress(images, 1)


def _compare(path: Path) -> object:
    ids = "id" if path.suffix in (".csv", ".parquet", ".feather") else None
    held = sg.load_representations(path, ids=ids)
    return [np.asarray(one) for one in held.values()]


def _images(path: Path) -> object:
    return sg.load_dataset(path, cache_dir=path.parent / "cache").images([0])


def _folder(path: Path) -> object:
    return sg.load_dataset(path.parent, size=8, cache_dir=path.parent.parent / "cache").images([0])


def _weights(path: Path) -> object:
    return load_weights(torch.nn.Linear(3, 4), path)


KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "npy": ("a.npy", _npy, _compare),
    "npz": ("a.npz", _npz, _compare),
    "npz of images": ("a.npz", _packed, _images),
    "npy of inputs": ("a.npy", _npy, read_inputs),
    "csv": ("a.csv", lambda: _frame().to_csv(index=False).encode(), _compare),
    "parquet": ("a.parquet", lambda: _frame().to_parquet(None), _compare),
    "arrow": ("a.feather", _arrow, _compare),
    "hdf5": ("a.h5", _hdf5, _compare),
    "safetensors": ("a.safetensors", lambda: save({"x": torch.tensor(X)}), _compare),
    "torch": ("a.pt", _torch, _weights),
    "weights": ("w.safetensors", lambda: save(torch.nn.Linear(3, 4).state_dict()), _weights),
    "study file": ("a.yaml", STUDY.encode, load_config),
    **{
        form: (f"pictures/a.{form.lower()}", lambda form=form: _picture(form), _folder)
        for form in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
    },
}


def mutated(content: bytes, number: int) -> bytes:
    """A few random changes: bits, bytes, lengths, cuts, pieces twice or gone."""
    draw = random.Random(number)
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(max(len(data), 1))
        kind = draw.randrange(7)
        if not data:
            break
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, ord("9"), ord("("), ord("\n")))
        elif kind == 2:
            data[at : at + 4] = struct.pack("<I", draw.choice((0, 2**31 - 1, 2**32 - 1, 10**9)))
        elif kind == 3:
            data[at : at + 8] = struct.pack("<Q", draw.choice((2**63 - 1, 2**40, 2**64 - 1)))
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at:at] = data[at : at + draw.randrange(1, 64)] * draw.choice((1, 2, 40))
        else:
            del data[at : at + draw.randrange(1, 64)]
    return bytes(data)


def main(kind: str, count: int, folder: Path) -> None:
    """Read the mutations of a kind; raises what is none of ours."""
    name, make, read = KINDS[kind]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    content = make()
    path.write_bytes(content)
    warnings.simplefilter("ignore")
    read(path)  # it is whole, and what is loaded when it is first used is loaded
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    read_whole = 0
    for number in range(count):
        path.write_bytes(mutated(content, number))
        signal.alarm(PATIENCE)
        try:
            read(path)
            read_whole += 1
        except StratigraphError as error:
            if not str(error).strip() or len(str(error)) > 3000:
                told = f"mutation {number} is told in {len(str(error))} characters"
                raise RuntimeError(told) from None
        except BaseException:
            print(f"{kind}: mutation {number}", flush=True)
            raise
        finally:
            signal.alarm(0)
    print(f"{kind}: {count} mutations, {read_whole} read", flush=True)


if __name__ == "__main__":
    for each in KINDS if sys.argv[1] == "all" else (sys.argv[1],):
        main(each, int(sys.argv[2]), Path(sys.argv[3]) / each)

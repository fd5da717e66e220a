"""What other packages make of the same arrays: each function gives scores ``(k, k′)``, or None.

Packages are imported when asked for; one that is missing, or does not import, is left out by name.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Layers = list[Tensor]


def module(name: str, file: str | None = None) -> ModuleType | None:
    """A peer's module, or one of its files alone where the package asks for more than it uses."""
    try:
        if file is None:
            return importlib.import_module(name)
        package = importlib.util.find_spec(name)
        if package is None or package.origin is None:
            raise ModuleNotFoundError(name)
        place = Path(package.origin).with_name(file)
        spec = importlib.util.spec_from_file_location(f"{name}_{place.stem}", place)
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(name)
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    except Exception as error:
        print(f"  {name}: left out ({type(error).__name__})")
        return None
    return found


def pytorch_cka(peer: Any, xs: Layers, ys: Layers, cuts: list[slice]) -> np.ndarray:
    """Minibatch CKA as pytorch-cka accumulates it."""
    sums = [torch.zeros(len(xs), len(ys)), torch.zeros(len(xs)), torch.zeros(len(ys))]
    for c in cuts:
        grams = [torch.stack([x[c] @ x[c].T for x in side]) for side in (xs, ys)]
        for total, part in zip(sums, peer.hsic(*grams), strict=True):
            total += part
    return (sums[0] / torch.sqrt(torch.outer(sums[1], sums[2]))).numpy()


def cka_pytorch(peer: Any, xs: Layers, ys: Layers, cuts: list[slice]) -> np.ndarray:
    """Minibatch CKA as cka-pytorch accumulates it, 64 pairs at a time."""
    k, m = len(xs), len(ys)
    sums = [torch.zeros(k * m), torch.zeros(k), torch.zeros(m)]
    for c in cuts:
        grams = [[x[c] @ x[c].T for x in side] for side in (xs, ys)]
        stacks = [torch.stack(g) for g in grams]
        sums[1] += peer.hsic1(stacks[0], stacks[0])
        sums[2] += peer.hsic1(stacks[1], stacks[1])
        for start in range(0, k * m, 64):
            pairs = range(start, min(start + 64, k * m))
            left = torch.stack([grams[0][i // m] for i in pairs])
            right = torch.stack([grams[1][i % m] for i in pairs])
            sums[0][start : start + 64] += peer.hsic1(left, right)
    return (sums[0].reshape(k, m) / torch.sqrt(torch.outer(sums[1], sums[2]))).numpy()


class Replay(nn.Module):
    """A network whose layers return stored arrays: for packages that only take models."""

    def __init__(self, arrays: Layers) -> None:
        super().__init__()
        self.arrays = arrays
        for index in range(len(arrays)):
            self.add_module(f"layer{index}", nn.Identity())

    def forward(self, rows: Tensor) -> Tensor:
        for index, array in enumerate(self.arrays):
            getattr(self, f"layer{index}")(array[rows])
        return rows


def torch_cka(peer: Any, xs: Layers, ys: Layers, cuts: list[slice]) -> np.ndarray:
    """Minibatch CKA by torch_cka's own loop over models, which here return the arrays."""
    size = cuts[0].stop - cuts[0].start
    loader = DataLoader(TensorDataset(torch.arange(len(xs[0]))), batch_size=size)
    names = [[f"layer{i}" for i in range(len(side))] for side in (xs, ys)]
    scored = peer.CKA(
        Replay(xs), Replay(ys), model1_layers=names[0], model2_layers=names[1], device="cpu"
    )
    scored.compare(loader, loader)
    return scored.export()["CKA"].numpy()


def calibrated_similarity(peer: Any, x: Tensor, y: Tensor, permutations: int) -> float:
    """The p-value of CKA against permuted probes, by its own calibration of its README's CKA."""

    def cka(a: Tensor, b: Tensor) -> Tensor:
        a, b = a - a.mean(0), b - b.mean(0)
        k, m = a @ a.T, b @ b.T
        return (k * m).sum() / torch.sqrt((k * k).sum() * (m * m).sum())

    drawn = torch.Generator().manual_seed(0)
    return float(peer.calibrate(x, y, cka, K=permutations, generator=drawn)[1])


def rsatoolbox(peer: Any, xs: Layers) -> np.ndarray:
    """Whitened cosine of distance matrices, which is linear CKA (Diedrichsen et al. 2020)."""
    rdm, data = peer.rdm, peer.data
    found = rdm.concat(*[rdm.calc_rdm(data.Dataset(x.numpy()), method="euclidean") for x in xs])
    return rdm.compare(found, found, method="cosine_cov")


def repsim(peer: Any, xs: Layers) -> np.ndarray:
    """Repsim's biased linear CKA."""
    return peer.cka([x.double().numpy() for x in xs], "linear", "gretton")

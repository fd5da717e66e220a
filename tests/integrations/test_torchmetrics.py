"""CKA as a metric: the score of all inputs at once, however they are cut and spread."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.similarity.measure import PrecisionWarning, UndefinedWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torchmetrics")
    from stratigraph.integrations.torchmetrics import CKA

SCORES = {True: sg.debiased_cka, False: sg.linear_cka}


def pair(n=90):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=generator)
    y = x @ torch.randn(6, 9, generator=generator) + torch.randn(n, 9, generator=generator)
    return x, y


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("sizes", [[90], [1] * 90, [50, 3, 37]])
def test_any_batches_give_the_score_of_all_inputs(debiased, sizes):
    x, y = pair()
    metric = CKA(6, 9, debiased=debiased)
    for a, b in zip(x.split(sizes), y.split(sizes), strict=True):
        metric.update(a, b)
    assert float(metric.compute()) == pytest.approx(SCORES[debiased](x, y), abs=1e-9)


def test_a_small_last_batch_does_not_lose_those_before_it():
    x, y = pair(203)
    metric = CKA(6, 9)
    with pytest.warns(UndefinedWarning, match="at least 4 inputs in total, got 3"):
        found = [metric(a, b) for a, b in zip(x.split(40), y.split(40), strict=True)]
    assert torch.isnan(torch.stack(found)).tolist() == [False] * 5 + [True]
    assert float(metric.compute()) == pytest.approx(float(sg.debiased_cka(x, y)), abs=1e-9)


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_any_split_over_workers_gives_the_same(workers):
    x, y = pair()
    whole = CKA(6, 9)
    whole.update(x, y)
    of = torch.randint(workers, (90,), generator=torch.Generator().manual_seed(workers))
    parts = [CKA(6, 9) for _ in range(workers)]
    for index, metric in enumerate(parts):
        for a, b in zip(x[of == index].split(7), y[of == index].split(7), strict=True):
            metric.update(a, b)
    first = parts[0]
    for other in parts[1:]:  # what the reduction "sum" does with each state
        for name, reduce in first._reductions.items():
            stacked = torch.stack([getattr(first, name), getattr(other, name)])
            setattr(first, name, reduce(stacked))
    assert float(first.compute()) == pytest.approx(float(whole.compute()), abs=1e-9)


WORKER = """
import sys, warnings
warnings.simplefilter("ignore")
import torch, torch.distributed as dist
from stratigraph.integrations.torchmetrics import CKA
rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
generator = torch.Generator().manual_seed(0)
x = torch.randn(90, 6, generator=generator)
y = x @ torch.randn(6, 9, generator=generator) + torch.randn(90, 9, generator=generator)
metric = CKA(6, 9)
mine = slice(0, 31) if rank == 0 else slice(31, 90)
for a, b in zip(x[mine].split(10), y[mine].split(10)):
    metric.update(a, b)
print(float(metric.compute()))
dist.destroy_process_group()
"""


@pytest.mark.full
def test_two_processes():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(port)], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    found = [float(worker.communicate(timeout=200)[0]) for worker in workers]
    assert found == pytest.approx([sg.debiased_cka(*pair())] * 2, abs=1e-6)


def test_unbiased_for_independent_representations():
    scores = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        metric = CKA(20, 30)
        metric.update(
            torch.randn(25, 20, generator=generator), torch.randn(25, 30, generator=generator)
        )
        scores.append(float(metric.compute()))
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(len(scores))


def test_a_common_offset_is_told_and_taken_away():
    x, y = pair()
    metric = CKA(6, 9)
    metric.update(x.double() + 1e3, y)
    with pytest.warns(PrecisionWarning, match="pass center_x"):
        metric.compute()
    metric.reset()
    metric.update(x.double() + 1e5, y)
    with pytest.warns(UndefinedWarning, match="pass center_x"):
        assert torch.isnan(metric.compute())
    metric = CKA(6, 9, center_x=1e5)
    metric.update(x.double() + 1e5, y)
    assert float(metric.compute()) == pytest.approx(sg.debiased_cka(x, y), abs=1e-6)


def test_the_interface():
    x, y = pair()
    metric = CKA(6, 9)
    metric.update(x.view(90, 2, 3), y.bfloat16())
    assert float(metric.compute()) == pytest.approx(sg.debiased_cka(x, y.bfloat16()), abs=1e-6)
    again = pickle.loads(pickle.dumps(metric))
    assert float(again.compute()) == float(metric.compute())
    metric.reset()
    metric.update(x[:3], y[:3])
    with pytest.warns(UndefinedWarning, match="at least 4 inputs in total, got 3"):
        assert torch.isnan(metric.compute())
    metric.reset()
    metric.update(torch.ones(10, 6), y[:10])
    with pytest.warns(UndefinedWarning, match="x is constant"):
        assert torch.isnan(metric.compute())
    with pytest.raises(InputError, match="x: expected 6 units, got 5"):
        metric.update(x[:, :5], y)
    with pytest.raises(InputError, match="the same inputs, got 90 and 3"):
        metric.update(x, y[:3])
    with pytest.raises(InputError, match=r"center_x: expected a number or \(6,\)"):
        CKA(6, center_x=torch.zeros(3))

"""A training on two processes, recorded by one of them: `python trains_on_two.py FOLDER`.

In a process of its own: one that has run other tests has threads, which a fork may find in a lock.
"""

import datetime
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import stratigraph as sg


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))


def trains(rank, folder):
    """Rank 0 records, reads and compares what both train; a collective of its own would hang."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=20),
    )
    model = nn.parallel.DistributedDataParallel(net())
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    probes = torch.linspace(-1, 1, 60).reshape(20, 3)
    recorder = sg.record(model, probes, folder / "mine", snapshots=2) if rank == 0 else None
    for step in range(4):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(10 * step + rank))
        loss = model(x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if recorder is not None:
            recorder.step(loss=loss)
            assert list(sg.compare(model, model, probes).x.values) == ["0", "1", "2", "3"]
            # By a call that runs the wrapped network too.
            sg.capture(model, probes, call=lambda batch, rows: model(batch))
    if recorder is not None:
        recorder.close()
        assert list(sg.capture(model, probes)) == ["0", "1", "2", "3"]
    dist.barrier()
    mean = model.module[1].running_mean.clone()
    dist.all_reduce(mean)
    # Buffers are sent from rank 0 before each pass in training, as without a recorder.
    torch.save(mean, folder / f"mean{rank}.pt")
    assert model.training
    assert model.require_forward_param_sync
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.start_processes(
        trains, (Path(sys.argv[1]),), nprocs=2, start_method="fork", join=True
    )

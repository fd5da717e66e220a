"""What a recorder costs a training step without a snapshot.

The recorder's own call is timed, and set against the step of a small network: the smaller the step,
the larger the share, so this is near the worst case.

    OMP_NUM_THREADS=1 python benchmarks/recorder.py [--steps N]
"""

from __future__ import annotations

import argparse
import tempfile
import time

import torch
from torch import nn

import stratigraph as sg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    steps = parser.parse_args().steps
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 64, 128), nn.ReLU(), nn.Linear(128, 1024),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters())
    images = torch.rand(64, 1, 32, 32)
    of_step, of_recorder = [], []
    with tempfile.TemporaryDirectory() as folder:
        # No snapshot but the first and the last; losses every 50 steps and the state are in it.
        recorder = sg.record(model, images[:16], out=folder, snapshots=[0])
        for _ in range(steps):
            began = time.process_time()
            loss = (model(images) - images.flatten(1)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            between = time.process_time()
            recorder.step(loss=loss)
            ended = time.process_time()
            of_step.append(between - began)
            of_recorder.append(ended - between)
        recorder.close()
    step, own = sum(of_step) / steps, sum(of_recorder) / steps
    print(
        f"step {1e3 * step:.2f} ms, recorder {1e6 * own:.0f} µs: {100 * own / step:.2f} % "
        f"(mean CPU time over {steps:,} steps)"
    )


if __name__ == "__main__":
    main()

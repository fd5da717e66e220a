"""What our training loop costs beside a bare one, and what a second worker brings.

    python benchmarks/train_step.py [--size 64] [--steps 100] [--repeats 5]

Both loops train the same network on the same batches with the same Adam, on one thread, in turn, in
one process; CPU seconds are compared, as the ratio of the medians over repeats. Ours also renders
or unpacks the images, draws the noise, evaluates the terms and checks that the loss is finite; the
bare loop is given its images and noise as tensors. The second part trains in processes of one
thread each and compares model-steps per second of two workers with one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time

import torch
from torch.nn import functional

from stratigraph.engine import LocalEngine
from stratigraph.training import (
    RunConfig,
    initial_state,
    split_of,
    step_noise,
    to_batch,
    training_states,
)
from stratigraph.training.seeds import epoch_order


def config(size: int, steps: int, seed: int = 0) -> RunConfig:
    """The paper's network and optimiser on sprites."""
    return RunConfig(
        data={"name": "sprites", "size": size},
        objective={"name": "beta_vae", "beta": 4},
        steps=steps,
        seed=seed,
    )


def bare_loop(run: RunConfig, steps: int) -> float:
    """CPU seconds a step of forward, backward and Adam on tensors that are there."""
    dataset = run.dataset()
    state = initial_state(run, dataset)
    train = split_of(run, dataset).train
    order = train[epoch_order(run.seed, 0, len(train))]
    batches = [
        to_batch(dataset, order[i * run.batch_size :][: run.batch_size], torch.device("cpu"))
        for i in range(steps)
    ]
    noises = [step_noise(run.seed, i, run.batch_size, run.latents) for i in range(steps)]
    model, optimiser = state.model.train(), state.optimiser
    began = time.process_time()
    for images, noise in zip(batches, noises, strict=True):
        optimiser.zero_grad(set_to_none=True)
        output, (mean, log_var, _) = model(images, noise)
        reconstruction = functional.binary_cross_entropy_with_logits(
            output, images, reduction="sum"
        )
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
        ((reconstruction + 4 * kl) / run.batch_size).backward()
        optimiser.step()
    return (time.process_time() - began) / steps


def our_loop(run: RunConfig, steps: int) -> float:
    """CPU seconds a step of the generator of states."""
    dataset = run.dataset()
    states = training_states(run, dataset, initial_state(run, dataset))
    next(states)  # the state that training begins from
    began = time.process_time()
    for _ in range(steps):
        next(states)
    return (time.process_time() - began) / steps


def advance(task: tuple[int, int, int]) -> tuple[float, float]:
    """Train a model in a worker; return the seconds of its steps and the worker's peak MB."""
    size, steps, seed = task
    run = config(size, steps, seed)
    dataset = run.dataset()
    states = training_states(run, dataset, initial_state(run, dataset))
    next(states)
    began = time.perf_counter()
    for _ in states:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.perf_counter() - began, peak


def throughput(size: int, steps: int, workers: int) -> tuple[float, float]:
    """Model-steps per second of processes that train a model each, and their peak memory in MB."""
    engine = LocalEngine(workers)
    tasks = [(size, steps, seed) for seed in range(2 * workers)]
    seconds, peaks = zip(*(outcome.value for outcome in engine.map(advance, tasks)), strict=True)
    return workers * steps / statistics.mean(seconds), max(peaks)


def main() -> None:
    """Measure and print, as a table and as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=64, choices=(32, 64))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = config(given.size, given.steps + 2)
    run.dataset().prepare()
    bare_loop(run, 5)  # warm the allocator and the kernels
    bare, ours = [], []
    for _ in range(given.repeats):
        bare.append(bare_loop(run, given.steps))
        ours.append(our_loop(run, given.steps))
    ratio = statistics.median(ours) / statistics.median(bare)
    one, _ = throughput(given.size, given.steps, 1)
    two, peak = throughput(given.size, given.steps, 2)
    print(f"network of the paper, {given.size} x {given.size}, batch {run.batch_size}, one thread")
    print(f"bare loop   {1e3 * statistics.median(bare):8.2f} CPU ms a step")
    print(f"our loop    {1e3 * statistics.median(ours):8.2f} CPU ms a step   x{ratio:.3f}")
    print(f"1 worker    {one:8.2f} model-steps/s")
    print(f"2 workers   {two:8.2f} model-steps/s   x{two / one:.2f}, peak {peak:.0f} MB a process")
    print(json.dumps({"ratio": ratio, "scaling": two / one, "bare": bare, "ours": ours}))


if __name__ == "__main__":
    main()

"""CPU time that freezing settled layers saves, at what cost in the validation loss.

    OMP_NUM_THREADS=1 python benchmarks/freezing.py [--out FOLDER] [--data sprites fashion_mnist]
        [--seeds 3] [--steps 6000] [--arms ordinary schedule 0.999 0.9999] [--figure FILE]

β-VAEs (β = 1, the paper's convolutional network at 32 × 32), each arm with the same seeds:

ordinary   all layers throughout
schedule   layers frozen one after another at fixed steps, evenly from a fifth of training to its
           end (FreezeOut), whatever they do
0.999 …    layers frozen when their debiased CKA with their own past, 200 steps back, has been so
           high three times in a row; thawed if the loss says so (`stratigraph.training.freezing`)

Trainings run one after another, one thread each, every one in a process of its own. What is timed
is CPU time of the updates and of the readings that freezing needs; validation is not. Finished
trainings are kept in FOLDER as JSON and not run again. At the end: a table, whose losses are those
of 5,000 held-out images (negative ELBO, nats an image), and a figure. A saving counts where the
loss is within one standard error, over seeds, of ordinary training's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from stratigraph.models import build_vae
from stratigraph.stages.freezing import freezer_of
from stratigraph.training import (
    RunConfig,
    initial_state,
    trainable_layers,
    training_states,
    validation_indices,
    validation_terms,
)

DATA = {
    "sprites": {"name": "sprites", "size": 32},
    "fashion_mnist": {"name": "fashion_mnist"},
}
POINTS = 12  # validations on the way


def freezing_of(arm: str, steps: int) -> dict[str, object] | None:
    """The settings of an arm."""
    if arm == "ordinary":
        return None
    if arm == "schedule":
        model = build_vae("convolutional", (1, 32, 32), 10, seed=0)
        count = len(trainable_layers(model, model.layer_names())) - 1
        at = np.linspace(0.2 * steps, steps, count, endpoint=False).round().astype(int)
        return {"schedule": [[int(step), layers + 1] for layers, step in enumerate(at)]}
    return {"threshold": float(arm)}


def config_of(data: str, arm: str, seed: int, steps: int) -> RunConfig:
    """One training."""
    return RunConfig(
        data=DATA[data],
        objective={"name": "beta_vae", "beta": 1},
        steps=steps,
        seed=seed,
        batch_size=64,
        learning_rate=5e-4,
        validation_images=5000,
        freezing=freezing_of(arm, steps),
    )


def one_training(data: str, arm: str, seed: int, steps: int) -> dict[str, object]:
    """Train once; CPU seconds, losses and what was frozen when."""
    torch.set_num_threads(1)
    config = config_of(data, arm, seed, steps)
    dataset = config.dataset()
    dataset.prepare()
    state = initial_state(config, dataset)
    freezer = freezer_of(config, dataset, state)
    held_out = validation_indices(config, dataset)
    looks = {round(float(step)) for step in np.linspace(0, steps, POINTS + 1)}
    curve, spent, began = [], 0.0, time.process_time()
    for now in training_states(config, dataset, state, freezer):
        if now.step in looks:
            spent += time.process_time() - began
            loss = validation_terms(config, dataset, now, held_out)["loss"]
            frozen = 0 if freezer is None else freezer.frozen
            curve.append({"step": now.step, "cpu": spent, "loss": loss, "frozen": frozen})
            began = time.process_time()
    return {
        "data": data, "arm": arm, "seed": seed, "steps": steps, "run": config.run_id,
        "cpu": spent, "loss": curve[-1]["loss"], "curve": curve,
        "told": [] if freezer is None else freezer.told, "torch": torch.__version__,
    }  # fmt: skip


def paired(rows: list[dict], base: list[dict], key: str) -> tuple[float, float]:
    """The mean difference to ordinary training of the same seed, and its standard error."""
    of = {row["seed"]: row[key] for row in base}
    differences = np.array([row[key] - of[row["seed"]] for row in rows])
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    return float(differences.mean()), float(error)


def table(found: list[dict], arms: list[str]) -> list[str]:
    """The results as a Markdown table."""
    lines = [
        "| data | arm | CPU s | CPU saved | validation loss | against ordinary | within 1 s.e. | "
        "layers frozen at the end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for data in dict.fromkeys(row["data"] for row in found):
        own = {a: [r for r in found if (r["data"], r["arm"]) == (data, a)] for a in arms}
        base = own["ordinary"]
        usual = np.mean([row["cpu"] for row in base])
        # Of ordinary training's own loss over seeds.
        losses = np.array([row["loss"] for row in base])
        spread = losses.std(ddof=1) / np.sqrt(len(losses)) if len(losses) > 1 else np.nan
        for arm, rows in own.items():
            saved, saved_error = paired(rows, base, "cpu")
            change, error = paired(rows, base, "loss")
            frozen = ", ".join(str(row["curve"][-1]["frozen"]) for row in rows)
            cells = [data, arm, f"{np.mean([row['cpu'] for row in rows]):.0f}"]
            if arm == "ordinary":
                cells += ["–", f"{losses.mean():.2f} ± {spread:.2f}", "–", "–", "0"]
            else:
                cells += [
                    f"{-100 * saved / usual:.1f} ± {100 * saved_error / usual:.1f} %",
                    f"{np.mean([row['loss'] for row in rows]):.2f}",
                    f"{change:+.2f} ± {error:.2f}",
                    "yes" if change <= spread else "no",
                    frozen,
                ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def draw(found: list[dict], arms: list[str], path: Path) -> None:
    """Validation loss against CPU time, and layers frozen over training."""
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(row["data"] for row in found))
    figure = Figure(figsize=(7.6, 2.9 * len(sets)), layout="constrained")
    axes = figure.subplots(len(sets), 2, squeeze=False)
    dashes = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
    for row, data in enumerate(sets):
        for index, arm in enumerate(arms):
            own = [r for r in found if (r["data"], r["arm"]) == (data, arm)]
            for number, one in enumerate(own):
                style = {"color": f"C{index}", "linestyle": dashes[index % len(dashes)]}
                label = arm if number == 0 else None
                later = one["curve"][1:]  # the untrained network's loss would hide the rest
                axes[row, 0].plot([c["cpu"] for c in later], [c["loss"] for c in later],
                                  label=label, linewidth=1, **style)  # fmt: skip
                told = [
                    (0, 0),
                    *map(tuple, one["told"]),
                    (one["steps"], one["curve"][-1]["frozen"]),
                ]
                axes[row, 1].step(*zip(*told, strict=True), where="post", linewidth=1, **style)
        axes[row, 0].set_title(f"{data}: loss on held-out images", fontsize=9)
        axes[row, 0].set_xlabel("CPU seconds")
        axes[row, 0].set_ylabel("nats an image")
        axes[row, 1].set_title("layers frozen", fontsize=9)
        axes[row, 1].set_xlabel("step")
        axes[row, 0].legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/freezing"))
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--arms", nargs="+", default=["ordinary", "schedule", "0.999", "0.9999"])
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        data, arm, seed = given.one
        print(json.dumps(one_training(data, arm, int(seed), given.steps)))
        return
    arms = list(dict.fromkeys(["ordinary", *given.arms]))
    given.out.mkdir(parents=True, exist_ok=True)
    found = []
    # Arm by arm within a seed: what else the machine does falls on all arms alike.
    for data in given.data:
        for seed in range(given.seeds):
            for arm in arms:
                file = given.out / f"{config_of(data, arm, seed, given.steps).run_id}.json"
                if not file.is_file():
                    done = subprocess.run(
                        [sys.executable, __file__, "--steps", str(given.steps),
                         "--one", data, arm, str(seed)],
                        check=True, stdout=subprocess.PIPE, text=True,
                    )  # fmt: skip
                    fresh = file.with_suffix(".part")
                    fresh.write_text(done.stdout)
                    fresh.replace(file)
                row = json.loads(file.read_text())
                found.append(row)
                print(
                    f"{data} seed {seed} {arm}: {row['cpu']:.0f} CPU s, loss {row['loss']:.2f}, "
                    f"frozen {row['told']}",
                    flush=True,
                )
    print(f"\n{given.steps:,} steps, {given.seeds} seeds, torch {torch.__version__}, one thread\n")
    print("\n".join(table(found, arms)))
    figure = given.figure or given.out / "freezing.png"
    draw(found, arms, figure)
    print(f"\nfigure: {figure}")


if __name__ == "__main__":
    main()

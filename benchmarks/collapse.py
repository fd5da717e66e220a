"""Latents that collapse: how many runs are rescued, at what loss and cost.

    OMP_NUM_THREADS=1 python benchmarks/collapse.py rescue [--file studies/collapse.yaml]
        [--out results/collapse-runs]
    python benchmarks/collapse.py warnings [--studies studies/results/*] [--runs 0.05]

``rescue`` trains the runs of the study file one after another, one thread each (those that are in
the folder are not trained again), and makes a table of its arms:

left alone        the configuration as it is
anneal            its regulariser annealed anew when the collapse is seen (`on_collapse: anneal`)
stop              ended when the collapse is seen
from the start    annealed from the first step, over as many steps

A run has collapsed if no latent carries 0.05 nats at its last step, of held-out images. It is
rescued if it has not, where the run of the same seed that was left alone has. Losses are of those
images, in nats an image; CPU time is of the whole training, validation included.

``warnings`` reads kept tables alone (`stratigraph.latents.warnings`).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stratigraph.engine import one_thread
from stratigraph.latents import information
from stratigraph.latents.warnings import information_bound, tally, warned_at
from stratigraph.records import write_json
from stratigraph.stages import train_run
from stratigraph.study import Run, load_config
from stratigraph.training import RunConfig, to_batch, validation_indices

NATS = 0.05
ARMS = ("left alone", "anneal", "stop", "from the start")


def arm_of(config: RunConfig) -> str:
    """What is done in a run."""
    if config.objective["name"] == "kl_annealed_vae":
        return "from the start"
    return "left alone" if config.on_collapse is None else str(config.on_collapse["action"])


@torch.inference_mode()
def informative(run: Run, step: int) -> int:
    """How many latents carry information of held-out images."""
    dataset = run.config.dataset()
    images = to_batch(dataset, validation_indices(run.config, dataset), torch.device("cpu"))
    mean, log_var = (part.double().numpy() for part in run.model(step).encode(images))
    return int((information(mean, log_var).nats >= NATS).sum())


def one_run(folder: Path, config: RunConfig) -> dict[str, object]:
    """Train a run, and what came of it."""
    file = folder / config.run_id / "facts.json"
    if file.is_file():
        return dict(json.loads(file.read_text()))
    began = time.process_time()
    state = train_run(folder / config.run_id, config)
    spent = time.process_time() - began
    run = Run(folder / config.run_id, config)
    table = run.metrics
    last = table[table["split"] == "validation"].iloc[-1]
    facts = {
        "arm": arm_of(config), "seed": config.seed, "cpu": spent, "state": state["state"],
        "step": int(state["step"]), "signs": state.get("signs", []),
        "reconstruction": float(last["reconstruction"]), "kl": float(last["kl"]),
        "of": int(last["step"]), "informative": informative(run, run.steps[-1]),
    }  # fmt: skip
    write_json(file, facts)
    return facts


def table_of_rescues(rows: list[dict], beta: float) -> list[str]:
    """Markdown: one row an arm."""
    alone = {r["seed"]: r["informative"] == 0 for r in rows if r["arm"] == "left alone"}
    lines = [
        "| arm | runs | collapsed at the end | rescued | latents that carry information | "
        "−ELBO | R + β·KL | steps | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        own = [r for r in rows if r["arm"] == arm]
        if not own:
            continue
        gone = [r["informative"] == 0 for r in own]
        lost = [r for r in own if alone.get(r["seed"])]
        rescued = f"{sum(r['informative'] > 0 for r in lost)} of {len(lost)}"
        elbo = [r["reconstruction"] + r["kl"] for r in own]
        loss = [r["reconstruction"] + beta * r["kl"] for r in own]
        cells = [
            arm, str(len(own)), str(sum(gone)), "–" if arm == "left alone" else rescued,
            ", ".join(str(r["informative"]) for r in own), _mean(elbo), _mean(loss),
            f"{np.mean([r['step'] for r in own]):,.0f}", _mean([r["cpu"] for r in own], 1),
        ]  # fmt: skip
        if arm == "stop":
            cells[2:7] = "–" * 5
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _mean(values: list[float], digits: int = 2) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def rescue(file: Path, out: Path, seeds: list[int] | None) -> None:
    """Train, and tell."""
    study = load_config(file)
    study.runs[0].dataset().prepare()
    rows = []
    # Seed by seed: what else the machine does falls on all arms alike.
    chosen = sorted(study.runs, key=lambda run: (run.seed, ARMS.index(arm_of(run))))
    with one_thread():
        for config in (run for run in chosen if not seeds or run.seed in seeds):
            row = one_run(out, config)
            rows.append(row)
            print(
                f"seed {row['seed']} {row['arm']}: {row['state']} at {row['step']:,}, "
                f"{row['informative']} latents, R {row['reconstruction']:.2f}, KL {row['kl']:.2f}, "
                f"{row['cpu']:.0f} CPU s; {'; '.join(row['signs'])}",
                flush=True,
            )
    beta = float(study.runs[0].strength or 1)
    print(f"\n{study.runs[0].steps:,} steps, β = {beta:g}, torch {torch.__version__}, one thread\n")
    print("\n".join(table_of_rescues(rows, beta)))


def table_of_warnings(folder: Path) -> list[str]:
    """Markdown: of a kept study, one row a signal and threshold."""
    table = pd.read_parquet(folder / "latents.parquet")
    signals = {"KL": table["kl"], "bound of information": information_bound(table)}
    if "information" in table:
        signals["information"] = table["information"]
    latents = len(table.drop_duplicates(["run", "latent"]))
    lines = [
        f"{folder.name}: {table['run'].nunique()} runs, {latents} latents\n",
        "| signal | below | dead at the end | warned of | alive | false alarms | lead, share of "
        "training | before the KL, steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for threshold in (0.01, 0.05, 0.1, 0.5):
        usual = warned_at(table, table["kl"], threshold)
        for name, signal in signals.items():
            found = warned_at(table, signal, threshold)
            told = tally(found)
            ahead = (usual["warned"] - found["warned"])[found["dead"]].dropna()
            lines.append(
                f"| {name} | {threshold:g} | {told.dead} | {told.hits} | {told.alive} | "
                f"{told.false_alarms} | {told.lead:.2f} | "
                f"{'–' if name == 'KL' else f'{ahead.mean():.0f} ({(ahead > 0).sum()} latents)'} |"
            )
    return [*lines, ""]


def table_of_runs(folder: Path, threshold: float) -> list[str]:
    """Markdown: one row a run of a kept study: when its dead latents, and others, were told of."""
    table = pd.read_parquet(folder / "latents.parquet")
    signals = {"KL": table["kl"], "bound": information_bound(table)}
    found = {name: warned_at(table, signal, threshold) for name, signal in signals.items()}
    lines = [
        f"{folder.name}, below {threshold:g} nats: steps before the end at which dead latents were "
        "warned of, the mean; latents that were in vain\n",
        "| run | dead | KL: lead, in vain | bound: lead, in vain |",
        "|---|---|---|---|",
    ]
    for run, own in found["KL"].groupby("run", sort=False):
        cells = []
        for every in found.values():
            one = every[(every["run"] == run) & (every["warned"] < every["last"])]
            lead = (one["last"] - one["warned"])[one["dead"]].mean()
            cells.append(f"{lead:,.0f}, {int((~one['dead']).sum())}".replace("nan", "–"))
        lines.append(f"| {run} | {int(own['dead'].sum())} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("rescue")
    one.add_argument("--file", type=Path, default=Path("studies/collapse.yaml"))
    one.add_argument("--out", type=Path, default=Path("results/collapse-runs"))
    one.add_argument("--seeds", type=int, nargs="+", help="these alone; all by default")
    other = commands.add_parser("warnings")
    other.add_argument("--studies", type=Path, nargs="+",
                       default=sorted(Path("studies/results").iterdir()))  # fmt: skip
    other.add_argument("--runs", type=float, metavar="NATS",
                       help="each run too, at a threshold")  # fmt: skip
    given = parser.parse_args()
    if given.command == "rescue":
        rescue(given.file, given.out, given.seeds)
    else:
        for folder in given.studies:
            print("\n".join(table_of_warnings(folder)), flush=True)
            if given.runs is not None:
                print("\n".join(table_of_runs(folder, given.runs)), flush=True)


if __name__ == "__main__":
    main()

"""Observe: what a run's latents and layers hold over training, and how far its weights have moved.

A task is one run. From the representations and the snapshots of every compared step it writes

``latents.parquet``   step, latent, regime, kl (nats), variance (mean of σ²), mean_variance,
                      information (nats of the input, whatever the prior) and information_error
``codes.parquet``     of networks of codes: step, latent (a position), information,
                      information_error, perplexity (e to the information)
``layers.parquet``    step, layer, two_nn, levina_bickel (intrinsic dimension), decodable (mean R²
                      of the factors) and decodable_<factor>, remaining (see below)

The published way is observed for its latents alone: weights do not depend on a way of reading, and
the witnesses of claim 1 stand beside the corrected one.

``remaining`` is ‖W_t − W_T‖ / ‖W_0 − W_T‖ of the layer's own weights, T the last step: 1 for the
untrained network, 0 for the final one; NaN without a snapshot at step 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stratigraph.engine import Engine
from stratigraph.identity import digest
from stratigraph.latents import (
    decodability,
    information,
    information_of_codes,
    intrinsic_dimensions,
    kl_by_latent,
    regimes,
)
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.records import (
    MANIFEST,
    Files,
    load_weights_of,
    read_json,
    remove_leftovers,
    write_record,
)
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import (
    POSTERIOR,
    ReadingTask,
    make_records,
    reading_digest,
    representations_of,
    task_of,
)
from stratigraph.study import (
    Run,
    Study,
    observed_path,
    probe_factors,
    probe_indices,
    representations_path,
)
from stratigraph.study.config import ProbesConfig
from stratigraph.study.layout import posterior_path
from stratigraph.training import RecordedConfig

__all__ = ["observe_run", "observe_study"]


def observe_run(task: ReadingTask) -> None:
    """Observe one run and write its record."""
    run = task.run
    factors, names = probe_factors(run.config, task.probes)
    latents, layers, codes = [], [], []
    coded = not (task.way or isinstance(run.config, RecordedConfig) or run.config.supervised)
    coded &= not run.config.gaussian
    remaining = {} if task.way else _remaining(run, task.steps)
    for step in task.steps:
        record = representations_path(run.path, step, task.way)
        about = read_json(record / MANIFEST)["about"]
        if about.get("posterior", (record / POSTERIOR).is_file()):
            latents.append(_latents(record).assign(step=step))
        if coded:
            codes.append(_codes(run, step, task.probes).assign(step=step))
        for layer in () if task.way else about["layers"]:
            name = layer["name"]
            row: dict[str, Any] = {"step": step, "layer": name}
            row["remaining"] = remaining.get((step, name), np.nan)
            if not layer["reason"]:
                x = np.asarray(read_coordinates(record / f"{name}.npy"))
                row["two_nn"], row["levina_bickel"] = intrinsic_dimensions(x)
                if names:
                    scores = decodability(x, factors, names)
                    row |= {f"decodable_{factor}": score for factor, score in scores.items()}
                    known = [score for score in scores.values() if np.isfinite(score)]
                    row["decodable"] = float(np.mean(known)) if known else np.nan
            layers.append(row)
    columns = ["step", "layer", "remaining", "two_nn", "levina_bickel", "decodable"]

    def fill(files: Files) -> None:
        table = pd.concat(latents, ignore_index=True) if latents else pd.DataFrame(columns=LATENTS)
        files.table("latents.parquet", table)
        if codes:
            files.table("codes.parquet", pd.concat(codes, ignore_index=True))
        found = pd.DataFrame(layers)
        found = found.reindex(columns=[*dict.fromkeys([*columns, *found.columns])])
        files.table("layers.parquet", found)

    write_record(task.record, fill, task.about)


LATENTS = ["step", "latent", "regime", "kl", "variance", "mean_variance", "information",
           "information_error"]  # fmt: skip
AT_ONCE = 250  # images


def _latents(record: Path) -> pd.DataFrame:
    """One row a latent, of one snapshot."""
    mean, log_var = np.load(posterior_path(record), allow_pickle=False)
    carried = information(mean, log_var)
    return pd.DataFrame(
        {
            "latent": np.arange(mean.shape[1]),
            "regime": regimes(log_var),
            "kl": kl_by_latent(mean, log_var),
            "variance": np.exp(log_var.astype(float)).mean(axis=0),
            "mean_variance": mean.astype(float).var(axis=0),
            "information": carried.nats,
            "information_error": carried.error,
        }
    )


@torch.inference_mode()
def _codes(run: Run, step: int, probes: ProbesConfig) -> pd.DataFrame:
    """One row a position of a network of codes, of one snapshot."""
    model, dataset = run.model(step), run.dataset()
    indices = probe_indices(run.config, probes)
    chosen = [
        model(dataset.tensor(indices[at : at + AT_ONCE])).posterior.chosen
        for at in range(0, len(indices), AT_ONCE)
    ]
    carried = information_of_codes(torch.cat(chosen).numpy())
    return pd.DataFrame(
        {
            "latent": np.arange(len(carried.nats)),
            "information": carried.nats,
            "information_error": carried.error,
            "perplexity": np.exp(carried.nats),
        }
    )


def _remaining(run: Run, steps: tuple[int, ...]) -> dict[tuple[int, str], float]:
    """(step, layer) → the share of the way from the first to the final weights that is left."""
    if run.steps[0] != 0:
        return {}
    weights = _recorded_weights if isinstance(run.config, RecordedConfig) else _weights
    first, final = weights(run, 0), weights(run, run.config.steps)
    whole = {
        layer: float((first[layer] - final[layer]).norm()) for layer in first if layer in final
    }
    found = {}
    for step in steps:
        now = weights(run, step)
        for layer, length in whole.items():
            if length > 0:
                found[step, layer] = float((now[layer] - final[layer]).norm()) / length
    return found


def _weights(run: Run, step: int) -> dict[str, torch.Tensor]:
    """Layer → its own weights in one vector."""
    model = run.model(step)
    found = {}
    for layer in model.layer_names():
        own = [p.detach().flatten() for p in model.get_submodule(layer).parameters()]
        if own:
            found[layer] = torch.cat(own).double()
    return found


def _recorded_weights(run: Run, step: int) -> dict[str, torch.Tensor]:
    """The same of a recorded run, by the names of its tensors alone."""
    tensors = load_weights_of(run.path, step)
    layers = read_json(representations_path(run.path, step) / MANIFEST)["about"]["layers"]
    found = {}
    for layer, known in ((about["name"], about.get("module")) for about in layers):
        # block#2[0] is a part of what block returned when it ran the second time.
        module = re.split(r"[#\[]", known or layer)[0]
        own = [
            tensor.flatten()
            for name, tensor in tensors.items()
            if name.startswith(f"{module}.") and tensor.is_floating_point()
        ]
        if own:
            found[layer] = torch.cat(own).double()
    return found


def observe_study(study: Study, engine: Engine, progress: Progress) -> int:
    """Observe every complete run that has not been, as it is now; return how many were."""
    return make_records(engine, progress, "observing runs", observe_run, _list_tasks(study))


def _list_tasks(study: Study) -> Iterator[ReadingTask]:
    for run_id in study.complete():
        run = study.runs[run_id]
        record = observed_path(run.path, study.way.folder)
        remove_leftovers(record.parent)
        held = representations_of(study, run)
        if held:
            hashes = digest([[step, files] for step, files in held.items()])
            about = {**reading_digest(study, run), "observed": 1, "representations": hashes}
            yield task_of("observe", study, run, held, record, about)

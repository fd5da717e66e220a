"""Checkpoints of trainings that are over, as a study that every command reads.

Each run is recorded as a live training is (`stratigraph.integrations.recorder`), its network coming
to every step from a file in place of an optimiser. Done again, it goes on: snapshots that are there
stay, if their checkpoints are still the same, and what is new is added.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from stratigraph.activations.layers import Layers
from stratigraph.activations.reduce import Reduce
from stratigraph.errors import InputError
from stratigraph.integrations.begin import describe_run
from stratigraph.integrations.probes import Posterior
from stratigraph.integrations.recorder import TrainingWarning
from stratigraph.integrations.replay import Loader, by_step, replay
from stratigraph.integrations.series import find_series
from stratigraph.integrations.study_file import open_recorded
from stratigraph.renamed import takes_former
from stratigraph.study import Study, load_study

__all__ = ["import_checkpoints"]


@takes_former(out="to")
def import_checkpoints(
    checkpoints: str | Path | Iterable[str | Path],
    factory: Callable[[], nn.Module] | nn.Module,
    inputs: Any,
    out: str | Path,
    *,
    pattern: str | None = None,
    name: str = "training",
    roles: Mapping[str, str | Sequence[str]] | str | None = None,
    strength: str | None = None,
    layers: Layers = None,
    reduce: Reduce = None,
    posterior: Posterior | None = None,
    call: Callable[[nn.Module, Any], Any] | None = None,
    measures: Sequence[str] = ("debiased_cka", "procrustes_similarity"),
    data: str = "probes",
    weights: bool = True,
    batch_size: int = 256,
    key: str | None = None,
    prefix: str | None = None,
    device: str = "cpu",
    tell: Callable[[str], None] = print,
) -> Study:
    """Make a study from the checkpoints of one training or several.

    Args:
        checkpoints: globs, files or folders (.safetensors, torch files without pickled objects,
            folders of ``save_pretrained``).
        factory: the network, or a function that makes it without arguments.
        inputs: the fixed inputs on which all are read, at least 4: a tensor or array (n, …), a
            mapping, or a list of batches (`stratigraph.activations.batches`).
        out: the study's folder.
        pattern: what paths say of runs, such as ``runs/lr{lr}-seed{seed}/checkpoint-{step}``
            (`stratigraph.integrations.series`).
        name: name of the objective, if the pattern has no ``{name}``.
        roles: what is encoder, decoder, mean and log-variance (`stratigraph.integrations.roles`).
        strength: which field of the pattern is the strength, such as ``beta``.
        layers: names, globs or types.
        reduce: makes large maps smaller.
        posterior: (model, batch) → mean and log-variance, if no role gives them.
        call: runs a pass; by default the batch's type decides how the network is called.
        measures: measures by which the study will be compared.
        data: name of the inputs.
        weights: keep a copy of the weights in the study.
        batch_size: inputs per pass.
        key: the key of the weights in a torch file that holds several sets.
        prefix: prefix of the names in the files; by default it is found and reported.
        device: where the networks run.
        tell: called with a message about anything done that was not asked for.

    Returns:
        The study; `stratigraph run` compares, assesses and reports it.

    Raises:
        DataError: no checkpoint, one that does not fit the network, two of one run and step that
            differ, or one whose step is unknown.
        UnsafeFileError: opening one would run code.
        ConfigError: a pattern or roles that cannot be used, or another kind of study in the folder.
        InputError: inputs, layers or a network that cannot be read.

    """
    if isinstance(inputs, str | Path):
        raise InputError(
            f"inputs: expected inputs for the network, got the path {str(inputs)!r}; load it "
            "first, as with numpy.load."
        )
    if not isinstance(factory, nn.Module) and not callable(factory):
        raise InputError(f"factory: expected a function that makes a network, got {factory!r}.")
    given = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    found = find_series(given, pattern)
    if any(point.unit == "epoch" for series in found for point in series.points):
        tell("Checkpoints are known by their epochs, which stand for steps.")
    folder: Path | None = None  # begun when the first run has been tried
    loader = Loader(key, prefix, tell)
    options: dict[str, Any] = {
        "layers": layers, "reduce": reduce, "posterior": posterior, "call": call, "data": data,
        "batch_size": batch_size, "roles": roles, "strength": strength,
    }  # fmt: skip
    kept: dict[str, str] = {}  # digest of weights → the run and step that they were first of
    for series in found:
        network: Any = factory if isinstance(factory, nn.Module) else factory()
        if not isinstance(network, nn.Module):
            made = type(network).__name__
            raise InputError(f"factory: made a {made}; expected a torch nn.Module.")
        steps = by_step(series)
        loader.load(network.to(device), *steps[0])
        config, reader = describe_run(
            network, inputs, series.name or name, series.settings, series.seed, **options
        )
        folder = folder or open_recorded(Path(out), measures)
        digests = replay(folder, config, reader, steps, loader, weights)
        for step, digest in digests.items():
            this = f"run {config.run_id} ({config.label()}) at step {step:,}"
            other = kept.setdefault(digest, this)
            if step and other.split(" at ")[0] != this.split(" at ")[0]:
                warnings.warn(
                    f"{this}: the same weights as {other}, bit for bit", TrainingWarning, 2
                )
    return load_study(Path(out))

"""Beginning to record a training: the study's folder, the run's name, the first snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from stratigraph.activations.layers import Layers
from stratigraph.activations.masks import MaskOf
from stratigraph.activations.reduce import Reduce
from stratigraph.errors import ConfigError
from stratigraph.integrations.probes import Posterior, ProbeReader
from stratigraph.integrations.recorder import Recorder
from stratigraph.integrations.roles import as_roles
from stratigraph.integrations.schedule import Schedule, as_schedule
from stratigraph.integrations.study_file import open_recorded
from stratigraph.renamed import takes_former
from stratigraph.study.origin import is_url
from stratigraph.training import RecordedConfig
from stratigraph.values import check_whole

__all__ = ["describe_run", "record"]


@takes_former(out="to")
def record(
    model: nn.Module,
    probes: Any,
    out: str | Path,
    *,
    name: str = "training",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    snapshots: Schedule = "log",
    layers: Layers = None,
    reduce: Reduce = None,
    mask: MaskOf = None,
    posterior: Posterior | None = None,
    call: Callable[[nn.Module, Any], Any] | None = None,
    measures: Sequence[str] = ("debiased_cka", "procrustes_similarity"),
    data: str = "probes",
    weights: bool = True,
    log_every: int = 50,
    batch_size: int = 256,
    start: int = 0,
    roles: Mapping[str, str | Sequence[str]] | str | None = None,
    strength: str | None = None,
) -> Recorder:
    """Begin recording a training; the network as it is now is the first snapshot.

    Args:
        model: the network about to be trained; under ``DistributedDataParallel``, what it wraps
            is read, on one process alone, without waiting for the others.
        probes: the fixed inputs on which it is read: a tensor, a tuple or mapping of such, or a
            list of batches (`stratigraph.activations.batches`).
        out: the study's folder; a further run joins those already there.
        name: name of the objective in the report.
        settings: what distinguishes this run from others (plain values, such as ``{"lr": 1e-3}``).
        seed: the run's seed; runs that differ only in it are replicates.
        snapshots: ``"log"`` (0, 10, and some five a decade), a number of steps between two, a list
            of steps, or a function step → bool; the last step is always kept.
        layers: names, globs or types (`stratigraph.activations.layers`).
        reduce: makes large maps smaller (`stratigraph.activations.reduce`).
        mask: which tokens are real, if the network is not told: the name of an input, or a
            function of a batch (`stratigraph.activations.masks`).
        posterior: for a VAE: (model, batch) → mean and log-variance, for the latents' regimes.
        call: runs a pass; by default the batch's type decides how the network is called.
        measures: measures by which the study will be compared.
        data: name of the probes.
        weights: also keep the weights.
        log_every: steps between two logged losses.
        batch_size: probes per pass.
        start: the step from which an interrupted training continues; later records are removed.
        roles: what is encoder, decoder, mean and log-variance, such as ``{"encoder": "enc.*",
            "mean": "fc_mu"}``, for the claims about parts and collapse
            (`stratigraph.integrations.roles`).
        strength: which of the settings is the strength, such as ``beta``, for the claims across
            strengths.

    Raises:
        ConfigError: the folder holds another kind of study, or already this run; it is a URL; a
            setting is not a plain value or is called ``name``; or the strength is not a number.
        InputError: layers, probes or a network that cannot be read.
        BusyError: another process records this run.

    """
    if is_url(out):
        raise ConfigError(
            f"out: expected a folder on this machine, got {out}; record into one, and copy it with "
            "`stratigraph export` or your storage's own tools."
        )
    for what, number, least in (("start", start, 0), ("log_every", log_every, 1)):
        check_whole(what, number, least)
    if isinstance(measures, str):
        raise ConfigError(f"measures: expected a list of names, got {measures!r}.")
    config, inputs = describe_run(
        model, probes, name, settings, seed, layers=layers, reduce=reduce, posterior=posterior,
        call=call, data=data, batch_size=batch_size, roles=roles, mask=mask, strength=strength,
    )  # fmt: skip
    folder = open_recorded(Path(out), measures)
    return Recorder(folder, config, inputs, as_schedule(snapshots), weights, log_every, start)


def describe_run(
    model: nn.Module,
    probes: Any,
    name: str,
    settings: Mapping[str, Any] | None,
    seed: int,
    *,
    layers: Layers,
    reduce: Reduce,
    posterior: Posterior | None,
    call: Callable[[nn.Module, Any], Any] | None,
    data: str,
    batch_size: int,
    roles: Any,
    mask: MaskOf = None,
    strength: str | None = None,
) -> tuple[RecordedConfig, ProbeReader]:
    """What a run is known by, and how its network is read; see `record` for the arguments.

    Raises:
        ConfigError: a setting is not a plain value, or roles that are none.
        InputError: layers, probes or a network that cannot be read.

    """
    check_whole("seed", seed, 0)
    for what, word in (("name", name), ("data", data)):
        if not isinstance(word, str) or not word:
            raise ConfigError(f"{what}: expected a word, got {word!r}.")
    if not isinstance(settings, Mapping | None):
        raise ConfigError(f'settings: expected a mapping such as {{"lr": 1e-3}}, got {settings!r}.')
    if "name" in (settings or {}):
        raise ConfigError(
            "settings: `name` is the objective's name, which has its own argument: "
            "sg.record(…, name=…); call the setting something else."
        )
    told = as_roles(roles)
    inputs = ProbeReader(model, probes, layers, reduce, posterior, call, batch_size, told, mask)
    inputs.learn()
    config = RecordedConfig(
        data={"name": data},
        objective={"name": name, **(settings or {})},
        architecture=type(inputs.model).__name__,
        latents=inputs.latents,
        seed=seed,
        probes=inputs.digest,
        count=inputs.count,
        reading=inputs.reading,
        roles=told.plain(),
        varied=strength,
    )
    return config, inputs

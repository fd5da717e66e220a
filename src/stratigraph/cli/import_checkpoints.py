"""``stratigraph import``: checkpoints that are already there, as a study."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from stratigraph.cli.compare_networks import make_network, read_inputs
from stratigraph.cli.options import Device, Quiet
from stratigraph.errors import ConfigError, DataError
from stratigraph.terminal import tell

__all__ = ["import_checkpoints"]

Checkpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoints",
        help="A file, a folder or a quoted glob: 'runs/*/checkpoint-*'; may be repeated.",
    ),
]
More = Annotated[
    list[str] | None, typer.Argument(help="Further checkpoints.", metavar="[CHECKPOINT]…")
]
Factory = Annotated[
    str, typer.Option("--factory", help="package.module:function that makes the network.")
]
Inputs = Annotated[
    Path, typer.Option("--inputs", help="Inputs: .npy (n, …), or .npz by argument names.")
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        help="Paths, as runs/lr{lr}-seed{seed}/checkpoint-{step}; other fields are settings.",
    ),
]
Roles = Annotated[
    str | None,
    typer.Option(
        "--roles",
        help="Roles of layers: encoder=enc.*,mean=fc_mu,log_var=fc_var,decoder=dec.*",
    ),
]


def import_checkpoints(
    factory: Factory,
    inputs: Inputs,
    more: More = None,
    checkpoints: Checkpoints = None,
    out: Annotated[Path, typer.Option("--out", help="The study's folder.", metavar="DIR")] = Path(
        "results/imported"
    ),
    pattern: Pattern = None,
    name: Annotated[str, typer.Option("--name", help="Name of the objective.")] = "training",
    roles: Roles = None,
    strength: Annotated[
        str | None,
        typer.Option(
            "--strength", help="The field of --pattern that is the strength, such as beta."
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", help="A name, a glob or type:Linear; may be repeated."),
    ] = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Large maps: spatial, tokens, first or sample:<units>."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", help="A measure to compare by; may be repeated."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="The key of the weights, if a file holds several sets."),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="Prefix of the names in the files; found if not given."),
    ] = None,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Keep no copy of the weights in the study.")
    ] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Inputs per pass.")] = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Make a study from checkpoints trained elsewhere; `stratigraph run DIR` analyses it.

    Runs, seeds and settings are read from the paths. Weights are read without pickles.
    """
    from stratigraph.integrations.import_checkpoints import import_checkpoints as make_study
    from stratigraph.training.device import check_device

    given = [*(checkpoints or []), *(more or [])]
    if not given:
        raise ConfigError("--checkpoints: expected files, folders or a glob in quotes, got none.")
    if "://" in str(out):
        raise ConfigError(
            f"--out: expected a folder on this machine, got {out}; import into one, and copy it "
            "with `stratigraph export`."
        )
    check_device(device)
    shown = read_inputs(inputs)
    measures: dict[str, Any] = {} if measure is None else {"measures": measure}
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        try:
            study = make_study(
                given,
                lambda: make_network(factory),
                shown,
                out,
                pattern=pattern,
                name=name,
                roles=roles,
                strength=strength,
                layers=layers,
                reduce=reduce,
                data=inputs.stem,
                weights=not no_weights,
                batch_size=batch_size,
                key=key,
                prefix=prefix,
                device=device,
                tell=lambda text: tell(text, err=True),
                **measures,
            )
        except (RuntimeError, TypeError, IndexError) as error:  # the network's, of such inputs
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(f"{inputs}: the network cannot run on it ({told}).") from error
    if quiet:
        return
    for run_id, run in study.runs.items():
        steps = ", ".join(f"{step:,}" for step in run.steps[:3])
        rest = f", …, {run.steps[-1]:,}" if len(run.steps) > 3 else ""
        tell(f"{run_id}  {run.config.label()}  {len(run.steps)} steps: {steps}{rest}")
    tell(f"`stratigraph run {out}` compares them, and writes findings and a report.")

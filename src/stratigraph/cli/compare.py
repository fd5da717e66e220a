"""``stratigraph compare``: matrices of a study, two networks from their weights, or files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stratigraph.cli.compare_files import (
    Drawn,
    Ids,
    Sources,
    WithInterval,
    compare_files,
    find_files,
)
from stratigraph.cli.inspect import finite
from stratigraph.cli.networks import copy_network, make_network, read_inputs
from stratigraph.cli.options import (
    AsJson,
    Computing,
    Limits,
    Opening,
    Quiet,
    find_new_study,
    names_of,
    refuse_given,
)
from stratigraph.cli.run import open_to_compute
from stratigraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    import xarray
    from torch import nn

__all__ = ["compare", "make_network", "read_inputs"]

Models = Annotated[
    list[Path] | None,
    typer.Option("--model", help="Weights: .safetensors, or a torch file. Twice, for two."),
]
Factories = Annotated[
    list[str] | None,
    typer.Option(
        "--factory",
        help="package.module:function that makes the network, or :network; twice, if they differ.",
    ),
]
Inputs = Annotated[
    Path | None,
    typer.Option("--inputs", help="What both are shown: .npy (n, …), or .npz by argument names."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layers", help="A name, a glob or type:Linear; may be given again."),
]


NETWORKS = ("factory", "inputs", "layers", "reduce", "mask", "memory", "batch_size", "device")


def compare(
    context: typer.Context,
    limits: Limits,
    computing: Computing,
    sources: Sources = None,
    model: Models = None,
    factory: Factories = None,
    inputs: Inputs = None,
    measure: Annotated[
        str, typer.Option("--measure", help="Of two networks, or of files.")
    ] = "debiased_cka",
    layers: Layers = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Large maps: spatial, tokens, first or sample:<units>."),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option("--mask", help="The input of --inputs that says which tokens are there."),
    ] = None,
    memory: Annotated[
        str, typer.Option("--memory", help="To hold at most: 500MB, 2 GB, or a number of bytes.")
    ] = "2 GB",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Inputs of one pass.")] = 256,
    device: Annotated[str, typer.Option("--device", help="Where the networks run.")] = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print how each matrix was computed, and why so.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="Of a study: its folder or URL. Of files: a table of scores, .csv or .parquet.",
        ),
    ] = None,
    ids: Ids = None,
    figure: Drawn = None,
    interval: WithInterval = False,
) -> None:
    """Compute a study's similarity matrices; compare two networks (--model), or representations.

    One --model is compared with itself, layer by layer, and so is one file (.npy, .npz:NAME, .pt,
    .safetensors, .parquet, .csv, .feather, .h5:PATH, .h5ad:PATH). Two files are compared across,
    more all with all; --out is then a table of the scores.
    """
    study = sources[0] if sources else None
    if files := find_files(sources or [], bool(model)):
        why = "it is not of files of representations"
        of_others = (*NETWORKS, *names_of(Computing), "quiet", "max_runs", "trust")
        refuse_given(context, of_others, why)
        table = None if out is None else Path(out)
        compare_files(files, measure, ids, figure, table, interval, as_json, explain)
        return
    refuse_given(context, ("ids", "figure", "interval"), "it is of files of representations")
    if sources and len(sources) > 1:
        raise ConfigError(
            f"compare: expected one study, or files of representations, got {len(sources)} places."
        )
    if model:
        if study is not None:
            raise ConfigError("compare: expected a study or --model, got both; leave one away.")
        why = "it is of a study; two networks are compared here in one process"
        refuse_given(context, (*names_of(Limits, Computing), "out", "quiet"), why)
        found = _networks(
            model,
            factory or [],
            inputs,
            device,
            measure=measure,
            layers=layers,
            reduce=reduce,
            mask=mask,
            memory=memory,
            batch_size=batch_size,
        )
        _print(found, as_json, explain)
        return
    if study is None:
        raise ConfigError(
            "compare: expected a study, or --model FILE --factory MODULE:FUNCTION --inputs FILE, "
            "or files of representations (a.npy b.npy)."
        )
    why = "it is of two networks, with --model; a study file says how a study is compared"
    refuse_given(context, (*NETWORKS, "measure", "as_json"), why)
    from stratigraph.stages import Progress, run_stage

    opening = Opening(limits.max_runs, limits.trust, None if out is None else find_new_study(out))
    opened, start = open_to_compute(context, study, opening, computing)
    run_stage("compare", opened, start, Progress(quiet))
    if explain:
        for name in opened.measures():
            typer.echo(f"{name}: {opened.similarity(name).attrs['plan']}")


def _networks(
    models: list[Path],
    factories: list[str],
    inputs: Path | None,
    device: str,
    **how: Any,
) -> xarray.DataArray:
    """Both networks made, their weights loaded, and compared as `stratigraph.compare` takes it."""
    from stratigraph.pairs.networks import compare as compare_networks
    from stratigraph.records import load_weights
    from stratigraph.training.device import check_device

    if len(models) > 2:
        raise ConfigError(f"--model: expected one or two files of weights, got {len(models)}.")
    if not factories or len(factories) > len(models):
        raise ConfigError(
            "--factory: expected MODULE:FUNCTION, which makes the network that the weights are of, "
            f"once for all or once for each --model; got {len(factories)} for {len(models)}."
        )
    if inputs is None:
        raise ConfigError("--inputs: expected a file (.npy or .npz) that the networks are shown.")
    where = check_device(device)
    shown = read_inputs(inputs)
    made_of: list[nn.Module] = []
    for path, factory in zip(models, factories * (3 - len(factories)), strict=False):
        network = make_network(factory)
        if any(network is other for other in made_of):
            network = copy_network(network, factory)
        if matched := load_weights(network, path):
            typer.echo(matched, err=True)
        made_of.append(network.to(where))
    try:
        return compare_networks(made_of[0], made_of[-1], shown, **how)
    except (RuntimeError, TypeError, IndexError) as error:  # the networks', of such inputs
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{inputs}: the networks cannot be shown it ({told}).") from error


def _print(found: xarray.DataArray, as_json: bool, explain: bool) -> None:
    names_x, names_y = (list(map(str, found[axis].values)) for axis in ("x", "y"))
    if as_json:
        values = [[finite(v) for v in row] for row in found.values]
        facts = {"x": names_x, "y": names_y, "values": values, **found.attrs}
        typer.echo(json.dumps(facts, indent=1))
        return
    widths = [max(len(name), 6) for name in names_y]
    first = max(map(len, names_x))
    heads = "  ".join(name.rjust(width) for name, width in zip(names_y, widths, strict=True))
    typer.echo(f"{' ' * first}  {heads}")
    for name, row in zip(names_x, found.values, strict=True):
        cells = "  ".join(f"{v:{w}.3f}" for v, w in zip(row, widths, strict=True))
        typer.echo(f"{name.ljust(first)}  {cells}")
    typer.echo(f"{found.attrs['measure']} of {found.attrs['inputs']} inputs")
    if explain:
        typer.echo(f"plan: {found.attrs['plan']}")
    for name, reason in json.loads(found.attrs["reasons"]).items():
        typer.echo(f"{name} has no score: {reason}")

"""``stratigraph compare``: matrices of a study, two networks from their weights, or files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratigraph.cli.compare_files import (
    Drawn,
    Ids,
    Null,
    NullWithin,
    Sources,
    WithInterval,
    compare_files,
    find_files,
)
from stratigraph.cli.compare_networks import compare_models
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
from stratigraph.errors import ConfigError
from stratigraph.file_kinds import recognise
from stratigraph.terminal import tell
from stratigraph.values import check_whole

__all__ = ["compare"]

Models = Annotated[
    list[Path] | None,
    typer.Option("--model", help="Weights: .safetensors, or a torch file. Give it twice for two."),
]
Factories = Annotated[
    list[str] | None,
    typer.Option(
        "--factory",
        help="package.module:function that makes the network, or :network; twice if they differ.",
    ),
]
Inputs = Annotated[
    Path | None,
    typer.Option("--inputs", help="Inputs for both: .npy (n, …), or .npz by argument names."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layers", help="A name, a glob or type:Linear; may be repeated."),
]


NETWORKS = (
    "factory", "inputs", "layers", "reduce", "mask", "memory", "batch_size", "device", "key",
    "prefix",
)  # fmt: skip


def compare(
    context: typer.Context,
    limits: Limits,
    computing: Computing,
    sources: Sources = None,
    model: Models = None,
    factory: Factories = None,
    inputs: Inputs = None,
    measure: Annotated[
        str,
        typer.Option(
            "--measure", help="For networks or files; for a study, the one --null applies to."
        ),
    ] = "debiased_cka",
    layers: Layers = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Large maps: spatial, tokens, first or sample:<units>."),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option("--mask", help="The input in --inputs that says which tokens are real."),
    ] = None,
    memory: Annotated[
        str, typer.Option("--memory", help="Memory limit: 500MB, 2 GB, or a number of bytes.")
    ] = "2 GB",
    batch_size: Annotated[int, typer.Option("--batch-size", help="Inputs per pass.")] = 256,
    device: Annotated[str, typer.Option("--device", help="Where the networks run.")] = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="The key of the weights, if a file of --model holds several sets."
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", help="Prefix of the names in --model's files; found if not given."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="Procrustes: accept intervals no wider than this."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            "--precision", help="Debiased CKA: to within ± this, from as few rows as possible."
        ),
    ] = None,
    closer: Annotated[
        bool,
        typer.Option(
            "--closer", help="With three files: is the first closer to the second or the third?"
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print how each matrix was computed, and why.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="For a study file: the study's folder or URL. For networks or files: the table, "
            ".csv, .parquet or .nc.",
        ),
    ] = None,
    ids: Ids = None,
    figure: Drawn = None,
    interval: WithInterval = False,
    null: Null = None,
    null_within: NullWithin = None,
) -> None:
    """Compute a study's similarity matrices; compare two networks (--model), or representations.

    One --model is compared with itself, layer by layer, and so is one file (.npy, .npz:NAME, .pt,
    .safetensors, .parquet, .csv, .feather, .h5:PATH, .h5ad:PATH). Two files are compared across,
    more all with all; --out is then a table of the scores.
    """
    study = sources[0] if sources else None
    if null is None:
        refuse_given(context, ("null_within",), "it is only for --null, which is not given")
    if files := find_files(sources or [], bool(model)):
        why = "it is not of files of representations"
        of_others = (*NETWORKS, *names_of(Computing), "quiet", "max_runs", "trust")
        refuse_given(context, of_others, why)
        compare_files(
            files,
            measure,
            ids,
            figure=figure,
            out=None if out is None else Path(out),
            interval=interval,
            null=null,
            within=null_within,
            as_json=as_json,
            explain=explain,
            closer=closer,
            tolerance=tolerance,
            precision=precision,
        )
        return
    _refuse_others(sources or [])
    if sources and len(sources) > 1:
        raise ConfigError(
            f"compare: expected one study, or files of representations, got {len(sources)} places."
        )
    if model:
        if study is not None:
            raise ConfigError("compare: expected a study or --model, got both; leave one out.")
        why = "it is only for a study; two networks are compared here in one process"
        refuse_given(context, (*names_of(Limits, Computing), "quiet"), why)
        refuse_given(context, ("ids", "closer"), "it is only for files of representations")
        compare_models(
            model,
            factory or [],
            inputs,
            device,
            figure,
            None if out is None else Path(out),
            interval=interval,
            within=null_within,
            as_json=as_json,
            explain=explain,
            measure=measure,
            layers=layers,
            reduce=reduce,
            mask=mask,
            memory=memory,
            batch_size=batch_size,
            null=null,
            key=key,
            prefix=prefix,
            tolerance=tolerance,
            precision=precision,
        )
        return
    if study is None:
        raise ConfigError(
            "compare: expected a study, or --model FILE --factory MODULE:FUNCTION --inputs FILE, "
            "or files of representations (a.npy b.npy)."
        )
    refuse_given(context, ("ids", "closer"), "it is only for files of representations")
    why = "it is only for two networks, with --model; a study file says how a study is compared"
    refuse_given(
        context, (*NETWORKS, "as_json", "figure", "interval", "tolerance", "precision"), why
    )
    if null is None:
        refuse_given(context, ("measure",), why)
    from stratigraph.pairs.chance import FEWEST
    from stratigraph.stages import Progress, run_chance, run_stage

    opening = Opening(limits.max_runs, limits.trust, None if out is None else find_new_study(out))
    opened, start = open_to_compute(context, study, opening, computing)
    if null is None:
        run_stage("compare", opened, start, Progress(quiet))
    else:
        check_whole("--null", null, FEWEST)
        source = context.get_parameter_source("measure")
        asked = (measure,) if source is not None and source.name == "COMMANDLINE" else ()
        run_chance(opened, start, Progress(quiet), null=null, within=null_within, measures=asked)
    if explain:
        for name in opened.measures():
            tell(f"{name}: {opened.similarity(name).attrs['plan']}")


def _refuse_others(sources: list[Path]) -> None:
    """Refuse files that are neither studies nor representations, and say what they are.

    Raises:
        ConfigError: one is a checkpoint, or an HTML page.

    """
    for path in sources:
        if what := recognise(path):
            raise ConfigError(
                f"{path}: expected a study (.yaml, its folder or URL), or files of "
                f"representations; it is {what}."
            )

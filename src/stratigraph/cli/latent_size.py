"""``stratigraph latent-size``: how many latents a VAE can use on some data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stratigraph.cli.inspect import finite
from stratigraph.cli.options import (
    AsJson,
    Device,
    Quiet,
    TableFile,
    Trust,
    choose,
    find_study,
    refuse_given,
)
from stratigraph.cli.tables import check_places, write_table
from stratigraph.errors import ConfigError
from stratigraph.terminal import tell, tell_json

if TYPE_CHECKING:
    from stratigraph.latents.latent_size import Trial
    from stratigraph.stages.latent_size import ChosenLatents
    from stratigraph.study import Study
    from stratigraph.training import RunConfig

__all__ = ["choose_latent_size"]

Source = Annotated[
    Path | None,
    typer.Argument(
        help="A study file, or a study's folder or URL: its first run's configuration is used.",
        metavar="[STUDY]",
        parser=find_study,
    ),
]


def choose_latent_size(
    context: typer.Context,
    study: Source = None,
    run: Annotated[
        str, typer.Option("--run", help="Another run's configuration: its id, or first digits.")
    ] = "",
    data: Annotated[
        str,
        typer.Option("--data", help="Without a study: a data set's name, or a path to images."),
    ] = "",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", help="Steps of each training; if not given, one epoch, 2,000 at most."
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="Largest gap, as a share of the data's dimension."),
    ] = 0.2,
    estimator: Annotated[
        str, choose("--estimator", "levina_bickel", "two_nn", help="Estimator of dimension.")
    ] = "levina_bickel",
    images: Annotated[
        int, typer.Option("--images", help="Images on which it is estimated.")
    ] = 1000,
    most: Annotated[int, typer.Option("--most", help="Largest number of latents tried.")] = 256,
    device: Device = "cpu",
    quiet: Quiet = False,
    trust: Trust = False,
    out: TableFile = None,
    as_json: AsJson = False,
) -> None:
    """Find how many latents to use, from a few short trainings (FONDUE). Nothing is written."""
    from stratigraph.stages.latent_size import LatentSizeSettings, choose_latents
    from stratigraph.training.device import check_device

    check_places(None, out)
    if study is None or not study.is_dir():
        refuse_given(context, ("trust",), "it is only for a study's folder")
    settings = LatentSizeSettings(steps, threshold, estimator, images, most)
    check_device(device)
    opened, config = _configuration(study, run, data, trust)
    silent = quiet or as_json
    if not silent:
        tell(f"{config.label()}; its own number of latents and of steps is not used", err=True)
        tell("latents  ID of mean  ID of sample     gap")
    found = choose_latents(config, settings, None if silent else _tell, device)
    beside = [] if opened is None else _read_trained(opened)
    if out is not None:
        import pandas as pd

        write_table(pd.DataFrame(_facts(found, config, beside)["trials"]), out)
    if as_json:
        tell_json(_facts(found, config, beside))
        return
    tell(_answer(found))
    for row in beside:
        tell(
            f"trained: run {row['run'][:4]} has {row['active']} active, {row['mixed']} mixed and "
            f"{row['passive']} passive of {row['latents']} latents ({row['label']})"
        )


def _configuration(
    study: Path | None, run: str, data: str, trust: bool
) -> tuple[Study | None, RunConfig]:
    """The configuration that is meant, and the study, where it is a folder."""
    from stratigraph.study import load_config, load_study
    from stratigraph.training import RunConfig

    if (study is None) == (not data):
        raise ConfigError("latent-size: give either a study or --data.")
    if study is None:
        if run:
            raise ConfigError("--run: it names a run of a study, and --data uses none.")
        return None, RunConfig(data={"name": data}, objective={"name": "vae"}, steps=1)
    opened = load_study(study, trust) if study.is_dir() else None
    if opened is not None and opened.export is not None:
        raise ConfigError(f"{study}: is an export; give its study.yaml.")
    if opened is not None:
        opened.require_plugins()
    configs = (
        load_config(study).runs if opened is None else [r.config for r in opened.runs.values()]
    )
    chosen = [config for config in configs if config.run_id.startswith(run)]
    if not chosen:
        raise ConfigError(f"--run: the study has no run whose id begins with {run!r}.")
    # Classifiers and networks of codes among them have no latents to count.
    return opened, next((config for config in chosen if config.gaussian), chosen[0])


def _tell(trial: Trial) -> None:
    agree = "agree" if trial.agree else "part"
    dimensions = f"{trial.mean:>10.2f}  {trial.sampled:>12.2f}  {trial.gap:>6.2f}"
    tell(f"{trial.latents:>7}  {dimensions}  {agree}")


def _answer(found: ChosenLatents) -> str:
    threshold = f"{found.found.threshold:.2f} ({found.settings.threshold:.0%} of the data's own "
    threshold += f"dimension {found.data:.2f})"
    if found.latents == 0:
        return f"0 latents: already with one, sample and mean part by more than {threshold}"
    more = "; it is the most that was allowed, more may do" if found.found.bounded else ""
    return (
        f"{found.latents} latents: the most with which sample and mean part by no more than "
        f"{threshold}{more}"
    )


def _read_trained(study: Study) -> list[dict[str, Any]]:
    """The latents of each regime of the runs that were trained and observed, at their last step."""
    from stratigraph.evidence.from_study import observations

    latents, _ = observations(study)
    if latents.empty:
        return []
    last = latents.sort_values("step").groupby("run", sort=False).last()
    return [
        {
            "run": str(run_id),
            "label": study.runs[str(run_id)].config.label(),
            "latents": study.runs[str(run_id)].config.latents,
            **{regime: int(row[regime]) for regime in ("active", "mixed", "passive")},
        }
        for run_id, row in last.iterrows()
    ]


def _facts(found: ChosenLatents, config: RunConfig, beside: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "latents": found.latents,
        "bounded": found.found.bounded,
        "threshold": found.found.threshold,
        "data_dimension": found.data,
        "steps": found.steps,
        "images": found.images,
        "settings": dataclasses.asdict(found.settings),
        "configuration": config.label(),
        "trials": [
            {
                "latents": trial.latents,
                "id_mean": finite(trial.mean),
                "id_sample": finite(trial.sampled),
                "gap": finite(trial.gap),
                "agree": trial.agree,
            }
            for trial in found.found.trials
        ],
        "trained": beside,
    }

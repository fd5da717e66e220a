"""The probes of a study: the images and the noise that every network of it is shown.

They depend on the data, the split and the study's settings, never on a run; so the representations
of any two runs on the same data can be compared row by row. A network can be shown the probes of
other data than its own, made to fit what it takes (`stratigraph.data.resizing`): the very images
that networks of those data read as their own.

Which they are is kept in the study, with the first of the images and what a network has to know of
the data: so that the page shows them and draws with a network without opening the data set, whose
place an opened study must not choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stratigraph.data import draw_paper_probes, draw_probes, to_unit
from stratigraph.data.resizing import fit
from stratigraph.errors import InputError, IntegrityError
from stratigraph.identity import digest, plain
from stratigraph.records import locked, record_exists, remove_leftovers, verified, write_record
from stratigraph.study.config import ActivationsConfig, ProbesConfig
from stratigraph.study.layout import probes_path, shown_path
from stratigraph.study.run import Run
from stratigraph.training import RecordedConfig, RunConfig, derived_seed, split_of

__all__ = [
    "KeptProbes",
    "keep_probes",
    "probe_factors",
    "probe_images",
    "probe_indices",
    "probe_noise",
    "probes_digest",
    "read_probes",
    "shown_config",
]

SHOWN = 24  # images kept for the page


@dataclass(frozen=True)
class KeptProbes:
    """What a study keeps of its probes.

    ``images`` are the first of them as networks take them: float32 (b, c, h, w) in [0, 1].
    """

    image_shape: tuple[int, int, int]
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    images: torch.Tensor = field(repr=False)


def keep_probes(study: Path, config: RunConfig, probes: ProbesConfig) -> None:
    """Write down which images the probes are, and the first of them, once for each set of data.

    Raises:
        StorageError: the disk would not take it.

    """
    name = probes_digest(config, probes)
    path, shown = probes_path(study, name), shown_path(study, name)
    with locked(study, "probes", wait=True):
        remove_leftovers(path.parent)
        if record_exists(path) and record_exists(shown):
            return
        dataset, indices = config.dataset(), probe_indices(config, probes)
        about = {"data": config.data, "probes": plain(probes)}
        if not record_exists(path):
            write_record(path, lambda files: files.array("indices.npy", indices), about)
        known = {
            "image_shape": list(dataset.image_shape),
            "factor_names": list(dataset.factor_names),
            "factor_sizes": list(dataset.factor_sizes),
            "max_value": dataset.max_value,
        }
        images = dataset.images(indices[:SHOWN])
        write_record(shown, lambda files: files.array("images.npy", images), about | known)


def read_probes(study: Path, config: RunConfig, probes: ProbesConfig) -> KeptProbes:
    """What a study keeps of the probes of some data.

    Raises:
        InputError: nothing yet, or an older version kept it, without the images.
        IntegrityError: it is damaged.

    """
    path = shown_path(study, probes_digest(config, probes))
    if not record_exists(path):
        raise InputError(
            f"{study}: its probes on {config.data['name']} have not been kept in it yet, with "
            "their images; `stratigraph extract` keeps them."
        )
    about = verified(path)
    try:
        images = np.load(path / "images.npy", allow_pickle=False)
        shape, names, sizes = (
            tuple(about[key]) for key in ("image_shape", "factor_names", "factor_sizes")
        )
        most = int(about["max_value"])
    except (ValueError, TypeError, KeyError, EOFError, OSError) as error:
        raise IntegrityError(
            f"{path}: not in the form in which a study keeps its probes ({error})."
        ) from error
    whole = images.ndim == 4 and len(images) > 0 and images.shape[1:] == shape
    if not whole or images.dtype != np.uint8 or shape[0] not in (1, 3) or most not in (1, 255):
        raise IntegrityError(f"{path}: not in the form in which a study keeps its probes.")
    return KeptProbes(
        shape,
        names,
        sizes,
        to_unit(images, most),
    )


def probe_indices(config: RunConfig, probes: ProbesConfig) -> np.ndarray:
    """The images that every run of a study on these data is shown, in order: int64 (n,)."""
    if isinstance(config, RecordedConfig):
        return np.arange(config.count)  # the caller's inputs, all of them
    dataset = config.dataset()
    if probes.source == "paper":
        return draw_paper_probes(dataset, probes.count, probes.seed)
    held_out = probes.source == "validation"
    parts = split_of(config, dataset)
    return draw_probes(dataset, parts, probes.count, probes.seed, held_out=held_out)


def probe_factors(config: RunConfig, probes: ProbesConfig) -> tuple[np.ndarray, tuple[str, ...]]:
    """The factors of the probes, (n, f), and their names: none of a recorded run."""
    if isinstance(config, RecordedConfig):
        return np.empty((config.count, 0)), ()
    dataset = config.dataset()
    return np.asarray(dataset.factors(probe_indices(config, probes))), tuple(dataset.factor_names)


def probe_images(
    config: RunConfig, probes: ProbesConfig, shape: tuple[int, int, int] | None = None
) -> torch.Tensor:
    """The probes as a network takes them: float32 (n, c, h, w); kept for the next caller.

    Args:
        config: whose own probes they are.
        probes: how they are drawn.
        shape: (c, h, w) that the network takes, where it was made for other data.

    """
    key = probes_digest(config, probes), shape
    if key not in _kept:
        _kept.clear()  # tasks come run by run: one set of probes at a time is enough
        dataset, indices = config.dataset(), probe_indices(config, probes)
        if shape in (None, dataset.image_shape):
            _kept[key] = dataset.tensor(indices)
        else:
            _kept[key] = to_unit(fit(dataset.images(indices), dataset.max_value, shape), 255)
    return _kept[key]


_kept: dict[tuple[str, tuple[int, int, int] | None], torch.Tensor] = {}


def shown_config(config: RunConfig, data: Mapping[str, Any]) -> RunConfig:
    """The same configuration of other data: its own probes are what a run of ``config`` is shown.

    Raises:
        ConfigError: there is no such data set.

    """
    return replace(config, data=data)


def probes_digest(config: RunConfig, probes: ProbesConfig) -> str:
    """What says that two representations are of the same inputs."""
    if isinstance(config, RecordedConfig):
        return config.probes
    split = {"validation": config.validation, "seed": config.split_seed}
    return digest({"data": config.data, "split": split, "probes": probes})


def probe_noise(
    probes: ProbesConfig, reading: ActivationsConfig, run: Run, step: int, count: int
) -> torch.Tensor:
    """The noise under which the sample is read: float32 (n, z).

    The same for all runs and steps, unless the study asks for fresh noise.
    """
    if reading.decoder_input == "fresh_noise":
        seed = derived_seed(probes.seed, f"fresh noise of {run.run_id}", step)
    else:
        seed = derived_seed(probes.seed, "shared noise")
    # Drawn a latent at a time, so that networks with more latents share the first of them; but for
    # the last 16 numbers, which torch draws anew where their count is no multiple of 16. Drawing
    # them otherwise would change what the studies that there are were read under.
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(run.config.latents, count, generator=generator).T.contiguous()

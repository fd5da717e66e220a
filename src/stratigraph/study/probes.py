"""The probes of a study: the images and the noise that every network of it is shown.

They depend on the data, the split and the study's settings, never on a run; so the representations
of any two runs on the same data can be compared row by row.
"""

from __future__ import annotations

import numpy as np
import torch

from stratigraph.data import draw_paper_probes, draw_probes
from stratigraph.identity import digest
from stratigraph.study.config import ActivationsConfig, ProbesConfig
from stratigraph.study.run import Run
from stratigraph.training import RecordedConfig, RunConfig, derived_seed, split_of

__all__ = ["probe_images", "probe_indices", "probe_noise", "probes_digest"]


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


def probe_images(config: RunConfig, probes: ProbesConfig) -> torch.Tensor:
    """The probes as the network takes them: float32 (n, c, h, w); kept for the next caller."""
    key = probes_digest(config, probes)
    if key not in _kept:
        _kept.clear()  # tasks come run by run: one set of probes at a time is enough
        _kept[key] = config.dataset().tensor(probe_indices(config, probes))
    return _kept[key]


_kept: dict[str, torch.Tensor] = {}


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
    # Drawn a latent at a time, so that networks with more latents share the first of them.
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(run.config.latents, count, generator=generator).T.contiguous()

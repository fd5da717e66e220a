"""What the networks make of probes, of the prior, and of one latent's moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stratigraph.errors import InputError
from stratigraph.models import VAE, QuantisedAutoencoder
from stratigraph.report.data import Configuration
from stratigraph.study import Run

__all__ = [
    "SPAN",
    "Images",
    "reconstruct",
    "reconstructions",
    "samples",
    "to_image",
    "traversal",
]

SPAN = 2.5  # a traversal covers the middle 99 % of the prior


@dataclass(frozen=True)
class Images:
    """A grid of images in [0, 1]: (rows, columns, h, w, c), and what each row is."""

    images: np.ndarray
    labels: list[str]
    title: str


def _vae(run: Run) -> VAE:
    model = run.model().eval()
    if not isinstance(model, VAE):
        kind = "classifier" if run.config.supervised else "network of codes"
        raise InputError(
            f"run {run.run_id} is a {kind}, which has no Gaussian latents to draw from; give a VAE."
        )
    return model


@torch.inference_mode()
def reconstruct(run: Run, images: torch.Tensor) -> np.ndarray:
    """What a run's network makes of images (b, c, h, w): decoded from the mean, or the codes."""
    model = run.model().eval()
    if isinstance(model, VAE):
        output = model.decode(model.encode(images)[0])
    elif isinstance(model, QuantisedAutoencoder):
        output = model(images).output
    else:
        raise InputError(f"run {run.run_id} is a classifier, which draws no images; give a VAE.")
    return to_image(output, run.config.reconstruction)


def to_image(output: torch.Tensor, reconstruction: str) -> np.ndarray:
    """The decoder's output (b, c, h, w) as images in [0, 1], (b, h, w, c)."""
    shown = output.sigmoid() if reconstruction == "bernoulli" else output.clamp(0, 1)
    return shown.permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def reconstructions(
    configurations: Sequence[Configuration], data: str, probes: Mapping[str, torch.Tensor]
) -> Images:
    """Probes, and what each configuration's first run makes of them, without noise.

    Args:
        configurations: those of a study; classifiers and other data are left out.
        data: the data set shown, as `Configuration.data` says it.
        probes: configuration label → images (b, c, h, w) in [0, 1].

    """
    rows: list[np.ndarray] = []
    labels: list[str] = []
    for c in configurations:
        if c.data != data or c.first.config.supervised:
            continue
        images = probes[c.label]
        if not rows:
            rows.append(images.permute(0, 2, 3, 1).numpy())
            labels.append("probes")
        rows.append(reconstruct(c.first, images))
        labels.append(c.label)
    return Images(np.stack(rows), labels, f"Reconstructions of probes: {data}")


@torch.inference_mode()
def samples(configurations: Sequence[Configuration], data: str, count: int) -> Images:
    """What each configuration's first run makes of the same draws from the prior.

    Raises:
        InputError: no configuration of the data has a Gaussian prior.

    """
    rows, labels = [], []
    for c in configurations:
        if c.data != data or not c.first.config.gaussian:
            continue
        z = torch.randn(c.first.config.latents, count, generator=torch.Generator().manual_seed(0)).T
        model = _vae(c.first)
        rows.append(to_image(model.decode(z), c.first.config.reconstruction))
        labels.append(c.label)
    if not rows:
        raise InputError(f"the study has no VAE for {data}: nothing can be drawn from a prior.")
    return Images(np.stack(rows), labels, f"Samples from the prior: {data}")


@torch.inference_mode()
def traversal(run: Run, probe: torch.Tensor, many: torch.Tensor, count: int = 9) -> Images:
    """Each latent moved from −2.5 to 2.5 around one probe's mean, the others held.

    Args:
        run: a trained run.
        probe: the image that is varied, (1, c, h, w).
        many: images (b, c, h, w) on which each latent's mean KL is taken; rows are in its order.
        count: steps of the traversal.

    """
    model = _vae(run)
    mean, log_var = model.encode(many)
    kl = (0.5 * (mean.square() + log_var.exp() - log_var - 1)).mean(dim=0)
    centre, _ = model.encode(probe)
    values = torch.linspace(-SPAN, SPAN, count)
    rows, labels = [], []
    for latent in kl.argsort(descending=True).tolist():
        points = centre.repeat(count, 1)
        points[:, latent] = values
        rows.append(to_image(model.decode(points), run.config.reconstruction))
        labels.append(f"z{latent}: {float(kl[latent]):.2f} nats")
    return Images(np.stack(rows), labels, run.config.label())

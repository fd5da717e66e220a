"""The VAE of latent diffusion, trained for some steps with a recorder, read as a study.

pip install 'stratigraph[diffusers]'
python examples/diffusers_autoencoder.py [FOLDER] [STEPS]
"""

from __future__ import annotations

import sys

import torch
from diffusers import AutoencoderKL

import stratigraph as sg


def autoencoder(seed: int) -> AutoencoderKL:
    """A small one from its configuration, with random weights."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=2,
        norm_num_groups=4,
    )


def posterior(model: AutoencoderKL, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and log-variance, by which latents are counted as active or collapsed."""
    found = model.encode(batch).latent_dist
    return found.mean, found.logvar


def main(folder: str = "results/autoencoder", steps: int = 20) -> None:
    """Train, and record."""
    sprites = sg.load_dataset("sprites", size=32, cache=False)
    model = autoencoder(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    every = range(0, len(sprites), len(sprites) // 60)
    probes = sprites.tensor(every)[:60]
    with sg.record(
        model, probes, out=folder, name="autoencoder kl", posterior=posterior,
        layers=["encoder.*", "decoder.*", "quant_conv"], reduce="spatial", log_every=5,
    ) as recorder:  # fmt: skip
        for step in range(steps):
            batch = sprites.tensor(range(1000 * step, 1000 * step + 8000, 1000))
            latent = model.encode(batch).latent_dist
            error = (model.decode(latent.sample()).sample - batch).square().flatten(1).sum(1).mean()
            loss = error + 1e-3 * latent.kl().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            recorder.step(loss=loss)
    print(f"recorded; `stratigraph run {folder}` compares, assesses and reports")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))

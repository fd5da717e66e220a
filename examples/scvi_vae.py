"""A fully-connected VAE of counts, as scVI has for gene expression: two seeds, recorded.

The encoder reads log(1 + counts) through linear layers with batch normalisation, the decoder gives
each gene's share of the cell's counts, and the likelihood is negative binomial.

    python examples/scvi_vae.py [FOLDER] [STEPS]
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial

import stratigraph as sg

GENES, LATENTS = 200, 6


def layers(p: int, q: int) -> nn.Sequential:
    """One block of scVI: linear, batch normalisation, ReLU, dropout."""
    return nn.Sequential(nn.Linear(p, q), nn.BatchNorm1d(q), nn.ReLU(), nn.Dropout(0.1))


class CountVAE(nn.Module):
    """Counts (n, genes) → log-likelihood's parameters, mean and log-variance."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Sequential(layers(GENES, 64), layers(64, 64))
        self.z_mean, self.z_log_var = nn.Linear(64, LATENTS), nn.Linear(64, LATENTS)
        self.decoder = nn.Sequential(layers(LATENTS, 64), nn.Linear(64, GENES), nn.Softmax(1))
        self.log_dispersion = nn.Parameter(torch.zeros(GENES))

    def encode(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior."""
        hidden = self.encoder(torch.log1p(counts))
        return self.z_mean(hidden), self.z_log_var(hidden)

    def forward(self, counts: Tensor) -> Tensor:
        """The negative evidence lower bound of each cell, in nats."""
        mean, log_var = self.encode(counts)
        share = self.decoder(mean + (log_var / 2).exp() * torch.randn_like(mean))
        rate = counts.sum(1, keepdim=True) * share
        dispersion = self.log_dispersion.exp()
        logits = torch.log(rate + 1e-8) - self.log_dispersion
        likelihood = NegativeBinomial(dispersion, logits=logits).log_prob(counts).sum(1)
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)
        return kl - likelihood


def cells(n: int) -> Tensor:
    """Counts of cells of four kinds, each with genes of its own."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.rand(4, GENES, generator=generator) ** 4
    mix = torch.softmax(4 * torch.randn(n, 4, generator=generator), 1)
    return torch.poisson(20 * mix @ kinds, generator=generator)


def main(folder: str = "results/cells", steps: int = 120) -> None:
    """Train two seeds, each recorded as a run of one study."""
    data, probes = cells(1000), cells(1200)[1000:]
    for seed in (0, 1):
        model = CountVAE(seed)
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        with sg.record(
            model, probes, out=folder, name="count vae", seed=seed,
            layers=["encoder.*", "z_mean", "z_log_var", "decoder.*"],
            posterior=lambda m, batch: m.encode(batch), log_every=10,
        ) as recorder:  # fmt: skip
            for _ in range(steps):
                batch = data[torch.randint(len(data), (64,))]
                loss = model(batch).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                recorder.step(loss=loss)
    print(f"two runs recorded; `stratigraph run {folder}` compares, assesses and reports")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))

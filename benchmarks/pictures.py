"""What each objective, or each architecture, makes of Fashion-MNIST: originals and reconstructions.

    python benchmarks/pictures.py objectives --out docs/images/objectives.webp
    python benchmarks/pictures.py architectures --only vit convolutional --steps 1500 --out …

Trains one run after another (one thread each, resumable: the runs stay in results/pictures) and
draws held-out images with what the trained networks make of them, without noise.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import stratigraph as sg
from stratigraph.models import architectures
from stratigraph.report.figures.images import draw_images
from stratigraph.report.image_data import Images, reconstruct
from stratigraph.study import ProbesConfig, probe_images
from stratigraph.training import RunConfig

DATA = {"name": "fashion_mnist"}
BETA = {"objective": {"name": "beta_vae", "beta": 1}}
SHOWN = 12

OBJECTIVES: dict[str, dict[str, Any]] = {
    "VAE": {"objective": {"name": "vae"}},
    "β-VAE, β = 4": {"objective": {"name": "beta_vae", "beta": 4}},
    "annealed VAE, C = 25": {
        "objective": {"name": "annealed_vae", "c_max": 25, "gamma": 100, "annealing_steps": 1000}
    },
    "β-TC-VAE, β = 4": {"objective": {"name": "beta_tc_vae", "beta": 4}},
    "DIP-VAE I, λ = 10": {"objective": {"name": "dip_vae_i", "lambda_od": 10}},
    "DIP-VAE II, λ = 10": {"objective": {"name": "dip_vae_ii", "lambda_od": 10}},
    "KL-annealed VAE": {"objective": {"name": "kl_annealed_vae", "annealing_steps": 1000}},
    "FactorVAE, γ = 10": {"objective": {"name": "factor_vae", "gamma": 10}},
    "InfoVAE, α = 0.5, λ = 100": {
        "objective": {"name": "info_vae", "alpha": 0.5, "lambda_mmd": 100}
    },
    "MMD-VAE, λ = 1,000": {"objective": {"name": "mmd_vae", "lambda_mmd": 1000}},
    "σ-VAE, learned σ": {"objective": {"name": "sigma_vae"}, "reconstruction": "gaussian"},
    "σ-VAE, optimal σ": {
        "objective": {"name": "sigma_vae", "sigma": "optimal"},
        "reconstruction": "gaussian",
    },
    "VQ-VAE, 128 codes": {"objective": {"name": "vq_vae", "codes": 128}},
}


def chosen(kind: str) -> dict[str, dict[str, Any]]:
    """What is drawn: a label → the settings of its run."""
    if kind == "objectives":
        return OBJECTIVES
    own = {"kl_autoencoder": {"latents": 32}}  # two for each of its 16 places
    return {name: {**BETA, "architecture": name, **own.get(name, {})} for name in architectures()}


def main() -> None:
    """Train, say the held-out terms of each, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["objectives", "architectures"])
    parser.add_argument("--only", nargs="+", help="parts of labels; all by default")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--runs", type=Path, default=Path("results/pictures"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows, labels = [], []
    for label, settings in chosen(given.kind).items():
        if given.only and not any(part in label for part in given.only):
            continue
        config = RunConfig(
            data=DATA, steps=given.steps, learning_rate=given.learning_rate, **settings
        )
        run = sg.train(config, given.runs / config.run_id)
        images = probe_images(config, ProbesConfig(count=SHOWN))
        if not rows:
            rows.append(images.permute(0, 2, 3, 1).numpy())
            labels.append("held-out images")
        rows.append(reconstruct(run, images))
        labels.append(label)
        error = float(np.square(rows[-1] - rows[0]).mean())
        last = run.metrics[run.metrics["split"] == "validation"].iloc[-1].dropna()
        terms = ", ".join(f"{k} {last[k]:.4g}" for k in last.index if k not in ("step", "split"))
        print(f"{label}: squared error {error:.4f}; {terms}", flush=True)
    title = f"Fashion-MNIST: {given.kind} after {given.steps:,} steps"
    figure = draw_images(Images(np.stack(rows), labels, title), "decoded without noise")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    Image.open(buffer).convert("RGB").save(given.out, quality=82)
    print(f"{given.out}: {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

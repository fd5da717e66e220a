r"""The ladder VAE: latents in levels, each level's prior set by the level above.

Levels i = 1 (nearest the image) to L (the top). The generative model and its posterior are

    p(z_L) = N(0, I),    p(z_i|z_{i+1}) = N(μ_p, σ_p²),    p(x|z_1) = decoder(z_1),
    q(z_L|x) = N(μ̂_L, σ̂_L²),    q(z_i|z_{i+1}, x) = N(μ_q, σ_q²),

where μ̂, σ̂ are the bottom-up estimates of the level and μ_q, σ_q combine them with the prior from
above, each weighted by its precision::

    σ_q² = 1/(σ̂^{-2} + σ_p^{-2}),    μ_q = σ_q² (μ̂ σ̂^{-2} + μ_p σ_p^{-2}).

The *non-centred form*: the latents that are read, sampled, traversed and counted are not z but u,

    z_i = μ_p + σ_p · u_i,    p(u) = N(0, I) at every level,

which is the same model. With r = σ_p²/σ̂², q(u_i|u_{>i}, x) = N(mean, e^{log_var}), where

    log_var = −log(1 + r),    mean = (μ̂ − μ_p)/σ_p · r/(1 + r),

and KL(q(z_i) ‖ p(z_i|z_{i+1})) = KL(N(mean, e^{log_var}) ‖ N(0, I)): what every objective computes
of a VAE is the ladder's own, summed over levels. What needs q(u_j|x_i) for pairs of images (the
total correlation of the β-TC-VAE) cannot be computed: `hierarchical` says so.

`encode` gives mean and log_var along the path on which the higher levels take their means;
`forward` samples level by level. Latents are in the order in which they are drawn, the top level's
first. The original normalises batches and warms the KL up; here neither is done, as in the study's
networks, and variances are learned by their logarithms, not through a softplus.

Source: Sønderby et al. 2016, arXiv 1602.02282. Non-centred: Papaspiliopoulos et al. 2007; Kingma &
Welling 2014, arXiv 1402.0480.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from stratigraph.errors import ConfigError
from stratigraph.models.convolutional import convolutional_decoder, convolutional_encoder, rectified
from stratigraph.models.demands import Option
from stratigraph.models.vae import VAE, Posterior, Sampler, VAEOutput, names_along
from stratigraph.shapes import Images, Latents
from stratigraph.values import check_whole

__all__ = ["LadderVAE", "combine"]

NAME = "ladder"
WIDTH = 256  # of the dense layers between levels, that of the convolutional network's


def combine(estimate: tuple[Tensor, Tensor], prior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of u, from (mean, log-variance) of a level's estimate and its prior."""
    (mean, log_var), (prior_mean, prior_log_var) = estimate, prior
    log_ratio = prior_log_var - log_var
    distance = (mean - prior_mean) * (-0.5 * prior_log_var).exp()
    return distance * log_ratio.sigmoid(), -functional.softplus(log_ratio)


class Concatenation(nn.Module):
    """The levels' numbers side by side, as a module that can be read out."""

    def forward(self, levels: list[Tensor]) -> Latents:
        """One (b, z_i) a level, from the top → (b, z)."""
        return torch.cat(levels, dim=1)


Run: TypeAlias = Callable[..., Tensor]


def _heard(module: nn.Module, *inputs: Tensor) -> Tensor:
    return module(*inputs)


def _unheard(module: nn.Module, *inputs: Tensor) -> Tensor:
    """What a module returns, without its hooks: nothing that listens to it hears this run."""
    return module.forward(*inputs)


def _drawn(mean: Tensor, log_var: Tensor, noise: Tensor | None) -> Tensor:
    return mean if noise is None else _unheard(Sampler(), mean, log_var, noise)


def _dense(inputs: int) -> nn.Sequential:
    return rectified(nn.Linear(inputs, WIDTH))


class LadderVAE(VAE):
    """A convolutional VAE with its latents in levels.

    Args:
        image_shape: (c, h, w), h and w multiples of 16.
        latents: of all levels together; they are shared out evenly, the remainder to the top.
        levels: how many, at least 2.

    Attributes:
        sizes: latents of each level, from the top.

    Raises:
        ConfigError: sides that are not multiples of 16, or fewer latents than levels.

    """

    hierarchical: ClassVar[bool] = True

    def __init__(
        self, image_shape: tuple[int, int, int], latents: int, *, levels: Option = 2
    ) -> None:
        super().__init__()
        levels = check_whole(f"architecture {NAME}: levels", levels, 2)
        if latents < levels:
            raise ConfigError(
                f"latents: architecture {NAME} with {levels} levels needs at least one latent "
                f"for each, got {latents}."
            )
        each, left = divmod(latents, levels)
        self.sizes = (each + left, *[each] * (levels - 1))
        by_level = dict(zip(range(levels, 0, -1), self.sizes, strict=True))
        self.input = nn.Identity()
        self.encoder = nn.ModuleDict(dict(convolutional_encoder(image_shape).named_children()))
        self.trunk = list(self.encoder)  # what stands before the levels
        for level in range(1, levels + 1):
            if level > 1:
                self.encoder[f"dense{level}"] = _dense(WIDTH)
            self.encoder[f"mean{level}"] = nn.Linear(WIDTH, by_level[level])
            self.encoder[f"log_var{level}"] = nn.Linear(WIDTH, by_level[level])
        self.z_mean = Concatenation()
        self.z_log_var = Concatenation()
        self.z_sample = Sampler()
        self.decoder = nn.ModuleDict()
        for level in range(levels - 1, 0, -1):
            self.decoder[f"prior{level}"] = _dense(by_level[level + 1])
            self.decoder[f"prior{level}_mean"] = nn.Linear(WIDTH, by_level[level])
            self.decoder[f"prior{level}_log_var"] = nn.Linear(WIDTH, by_level[level])
            self.decoder[f"z{level}"] = Sampler()  # z = μ_p + σ_p · u, the same formula
        image = dict(convolutional_decoder(image_shape, each).named_children())
        self.image = list(image)  # what stands behind the levels
        self.decoder.update(image)

    def encode(self, images: Images) -> tuple[Latents, Latents]:
        """Images (b, c, h, w) → mean and log-variance, each (b, z), of q(u_i|u_{>i}, x).

        The levels above, u_{>i}, are at their means.
        """
        return self._posterior(images, None)

    def decode(self, latents: Latents) -> Images:
        """Latents u (b, z) → the decoder's output (b, c, h, w), down the levels."""
        above, *rest = torch.split(latents, list(self.sizes), dim=1)
        for level, part in zip(self._below(), rest, strict=True):
            above = self.decoder[f"z{level}"](*self._prior(level, above, _heard), part)
        for name in self.image:
            above = self.decoder[name](above)
        return above

    def forward(self, images: Images, noise: Latents | None = None) -> VAEOutput:
        """One pass with the given standard normal noise (b, z), drawn level by level.

        Without noise, from the means. The posterior's mean and log-variance are those of each
        level given the sample of those above it.
        """
        mean, log_var = self._posterior(images, noise)
        sample = self.z_sample(mean, log_var, torch.zeros_like(mean) if noise is None else noise)
        return VAEOutput(self.decode(sample), Posterior(mean, log_var, sample))

    def read(self, images: Images, noise: Latents, *, from_mean: bool) -> None:
        """Pass every layer once: from the means, or as in training, level by level."""
        if from_mean:
            super().read(images, noise, from_mean=True)
        else:
            self(images, noise)

    def layer_names(self) -> list[str]:
        """The layers, in the order in which data passes them."""
        return names_along(self.encoder, ("z_mean", "z_log_var", "z_sample"), self.decoder)

    def _below(self) -> range:
        """The levels below the top, downwards."""
        return range(len(self.sizes) - 1, 0, -1)

    def _estimates(self, images: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Level → bottom-up mean and log-variance."""
        features = self.input(images)
        for name in self.trunk:
            features = self.encoder[name](features)
        estimates = {}
        for level in range(1, len(self.sizes) + 1):
            if level > 1:
                features = self.encoder[f"dense{level}"](features)
            mean = self.encoder[f"mean{level}"](features)
            estimates[level] = mean, self.encoder[f"log_var{level}"](features)
        return estimates

    def _posterior(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of every level, those above it at their samples or their means.

        The prior is the decoder's, which `decode` passes again: there its layers are read, and here
        not, so that in a pass each is heard once.
        """
        estimates = self._estimates(images)
        mean, log_var = estimates[len(self.sizes)]
        means, log_vars = [mean], [log_var]
        draws = (
            [None] * len(self.sizes)
            if noise is None
            else torch.split(noise, list(self.sizes), dim=1)
        )
        above = _drawn(mean, log_var, draws[0])
        for level, draw in zip(self._below(), draws[1:], strict=True):
            prior = self._prior(level, above, _unheard)
            mean, log_var = combine(estimates[level], prior)
            means.append(mean)
            log_vars.append(log_var)
            above = _unheard(self.decoder[f"z{level}"], *prior, _drawn(mean, log_var, draw))
        return self.z_mean(means), self.z_log_var(log_vars)

    def _prior(self, level: int, above: Tensor, run: Run) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z_i|z_{i+1})."""
        features = run(self.decoder[f"prior{level}"], above)
        mean = run(self.decoder[f"prior{level}_mean"], features)
        return mean, run(self.decoder[f"prior{level}_log_var"], features)

"""What every network promises, as checks: functions of an architecture as a study file writes it.

``"vit"``, ``{"encoder": "my_parts:Narrow", "decoder": "fully_connected"}``: whatever
`stratigraph.models.build_vae` takes. A network is asked untrained and after a few steps. Every
check takes the images and latents that it is built for: ``image_shape`` (c, h, w), ``latents``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias

import torch
from safetensors.torch import load, save
from torch import Tensor

from stratigraph.activations import capture
from stratigraph.activations.capture import reading
from stratigraph.models import VAE, build_vae
from stratigraph.models.initialisation import INITIALISATIONS, seeded
from stratigraph.testing.require import require

__all__ = ["CHECKS", "SHAPE"]

SHAPE = (1, 32, 32)
LATENTS = 32  # a multiple of the places of many a map

Spec: TypeAlias = str | Mapping[str, Any]
Shape: TypeAlias = tuple[int, int, int]


class Check(Protocol):
    """A check of an architecture, built for images of a shape and so many latents."""

    __name__: str

    def __call__(
        self, architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS
    ) -> None:
        """Raise an AssertionError unless the network keeps its promise."""
        ...


def _draw_images(b: int, shape: Shape, latents: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (b, c, h, w) in [0, 1], and standard normal noise (b, z)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(b, *shape, generator=generator)
    return images, torch.randn(b, latents, generator=generator)


def _close(a: Tensor, b: Tensor, text: str, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    require(a.shape == b.shape, f"{text}: shapes {tuple(a.shape)} and {tuple(b.shape)}.")
    far = float((a.double() - b.double()).abs().max())
    require(torch.allclose(a, b.to(a.dtype), rtol=rtol, atol=atol), f"{text}: {far:.3g} apart.")


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor], text: str) -> None:
    different = [name for name, value in one.items() if not torch.equal(value, other[name])]
    require(not different, f"{text}: {', '.join(different)}.")


def check_shapes(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Images in, images out, linear (logits or means); a sample of mean, log-variance and noise."""
    model = build_vae(architecture, image_shape, latents).eval()
    images, noise = _draw_images(3, image_shape, latents)
    with torch.no_grad():
        output, (mean, log_var, sample) = model(images, noise)
        decoded = model.decode(sample)
    found = tuple(output.shape)
    require(found == (3, *image_shape), f"{architecture}: of {(3, *image_shape)} it makes {found}.")
    for name, value in (("mean", mean), ("log_var", log_var), ("sample", sample)):
        found = tuple(value.shape)
        require(
            found == (3, latents), f"{architecture}: {name}: shape {found}, not {(3, latents)}."
        )
    drawn = mean + (log_var / 2).exp() * noise
    _close(sample, drawn, f"{architecture}: the sample is not mean + exp(log_var / 2) · noise")
    require(torch.equal(output, decoded), f"{architecture}: the output is not decode(sample).")
    squashed = bool(output.min() >= 0)
    require(
        not squashed,
        f"{architecture}: no output is negative; give logits or means, as the likelihoods take "
        "them, not numbers squashed to [0, 1].",
    )


def check_without_noise(
    architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS
) -> None:
    """Without noise the means are decoded."""
    model = build_vae(architecture, image_shape, latents).eval()
    images, _ = _draw_images(3, image_shape, latents)
    with torch.no_grad():
        output, posterior = model(images)
        mean, log_var = model.encode(images)
        found = {"mean": posterior.mean, "log_var": posterior.log_var, "sample": posterior.sample}
        wanted = {"mean": mean, "log_var": log_var, "sample": mean}
        _same(found, wanted, f"{architecture}: without noise it is not what encode() gives")
        same = torch.equal(output, model.decode(mean))
    require(same, f"{architecture}: without noise the output is not decode(mean).")


def check_reading(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Reading passes every layer once, and decodes the mean or the sample as it is told to."""
    model = build_vae(architecture, image_shape, latents)
    images, noise = _draw_images(3, image_shape, latents)
    names = model.layer_names()
    for from_mean in (True, False):
        heard: Counter[str] = Counter()
        with torch.no_grad(), reading(model, names, lambda name, _: heard.update([name])):  # noqa: B023
            model.read(images, noise, from_mean=from_mean)
        wrong = {name: heard[name] for name in {*names, *heard} if heard[name] != 1}
        require(not wrong, f"{architecture}: a reading passes layers not once each: {wrong}.")

        def run(batch: Tensor, rows: slice, from_mean: bool = from_mean) -> None:
            model.read(batch, noise[rows], from_mean=from_mean)

        read = capture(model, images, call=run)
        require(
            set(read) == set(names),
            f"{architecture}: layers without one tensor each: {sorted(set(names) ^ set(read))}.",
        )
        for name, value in read.items():
            of = f"{architecture}: layer {name}"
            require(len(value) == 3, f"{of}: {len(value)} rows of 3 images.")
            require(value.isfinite().all(), f"{of} is not finite.")
        with torch.no_grad():
            decoded = model.eval().decode(read["z_mean" if from_mean else "z_sample"])
        what = "mean" if from_mean else "sample"
        _close(read[names[-1]], decoded, f"{architecture}: the last layer is not decode({what})")


def check_layers(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Every parameter is of a layer: what trains can be read, frozen and followed."""
    model = build_vae(architecture, image_shape, latents)
    modules = dict(model.named_modules())
    of_layers = {id(p) for name in model.layer_names() for p in modules[name].parameters()}
    outside = [name for name, p in model.named_parameters() if id(p) not in of_layers]
    require(
        not outside,
        f"{architecture}: parameters of no layer: {', '.join(outside)}. Put them into a child "
        "module, which is a layer.",
    )


def check_seed(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Weights are a function of the seed alone, and others for another seed."""
    for scheme in INITIALISATIONS:

        def make(seed: int, scheme: str = scheme) -> VAE:
            return build_vae(architecture, image_shape, latents, seed=seed, initialisation=scheme)

        with seeded(1):
            one = make(7)
        with seeded(2):
            before = torch.random.get_rng_state()
            again, other = make(7), dict(make(8).named_parameters())
            untouched = torch.equal(torch.random.get_rng_state(), before)
        require(untouched, f"{architecture}: making it moves torch's own generator.")
        text = f"{architecture}: begins otherwise with the same seed ({scheme})"
        _same(one.state_dict(), again.state_dict(), text)
        fixed = [
            name
            for name, value in one.named_parameters()  # but a bias of 0, a normalisation's 1
            if torch.equal(value, other[name]) and not value.eq(value.flatten()[0]).all()
        ]
        require(
            not fixed,
            f"{architecture}: begins alike whatever the seed ({scheme}): {', '.join(fixed)}. Draw "
            "from torch, without a seed of its own; what is meant to be fixed is a buffer.",
        )


def check_stored(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Weights that were stored and loaded make the same network."""
    model, other = (build_vae(architecture, image_shape, latents, seed=s).eval() for s in (1, 2))
    stored = save(model.state_dict())  # refuses tensors that share memory
    other.load_state_dict(load(stored), strict=True)
    with torch.no_grad():
        one, two = (m(*_draw_images(2, image_shape, latents)).output for m in (model, other))
    require(torch.equal(one, two), f"{architecture}: with weights loaded it gives other images.")


def _loss(model: VAE, images: Tensor, noise: Tensor) -> Tensor:
    output, (mean, log_var, _) = model(images, noise)
    return output.square().mean() + mean.square().mean() + log_var.exp().mean()


def check_gradients(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Finite gradients reach every parameter."""
    model = build_vae(architecture, image_shape, latents)
    _loss(model, *_draw_images(8, image_shape, latents)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        slope = parameter.grad
        reached = slope is not None and bool(slope.any())
        require(reached, f"{architecture}: no gradient reaches {name}, so it is not trained.")
        finite = slope is not None and bool(slope.isfinite().all())
        require(finite, f"{architecture}: the gradient at {name} is not finite.")


def check_layout(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """Channels that lie last in memory, as they do in training, change no number."""
    model = build_vae(architecture, image_shape, latents).eval()
    images, noise = _draw_images(4, image_shape, latents)
    with torch.no_grad():
        rows = model(images, noise).output
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        last = model(images.contiguous(memory_format=torch.channels_last), noise).output
    _close(rows, last, f"{architecture}: with channels last in memory the images are others")


def check_double(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """In float64 it gives what it gives in float32."""
    single = build_vae(architecture, image_shape, latents).eval()
    double = build_vae(architecture, image_shape, latents).double().eval()
    images, noise = _draw_images(4, image_shape, latents)
    with torch.no_grad():
        exact = double(images.double(), noise.double())
        found = single(images, noise)
    dtype = exact.output.dtype
    require(dtype == torch.float64, f"{architecture}: in float64 it makes images of {dtype}.")
    text = f"{architecture}: float32 and float64 differ"
    for one, other in zip(
        (found.output, *found.posterior), (exact.output, *exact.posterior), strict=True
    ):
        _close(one.double(), other, text, rtol=1e-3, atol=1e-4)


def _train(
    model: VAE, steps: Iterable[int], shape: Shape, latents: int, state: Any = None
) -> torch.optim.Adam:
    """Train for some steps, each with a batch and draws of its own number; returns the Adam."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    if state is not None:
        optimiser.load_state_dict(state)
    for step in steps:
        optimiser.zero_grad()
        with seeded(step):  # of dropout
            _loss(model.train(), *_draw_images(4, shape, latents, seed=step)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return optimiser


def check_resumed(architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS) -> None:
    """A training that was stopped goes on with the same bits: weights and moments are the state."""
    straight, stopped, later = (build_vae(architecture, image_shape, latents) for _ in range(3))
    _train(straight, range(4), image_shape, latents)
    moments = _train(stopped, range(2), image_shape, latents).state_dict()
    later.load_state_dict(load(save(stopped.state_dict())))
    _train(later, range(2, 4), image_shape, latents, moments)
    text = f"{architecture}: trained on after a stop, these differ"
    _same(straight.state_dict(), later.state_dict(), text)


def check_evaluation(
    architecture: Spec, image_shape: Shape = SHAPE, latents: int = LATENTS
) -> None:
    """In evaluation nothing is drawn, nothing changes, and no image depends on the others."""
    model = build_vae(architecture, image_shape, latents).eval()
    images, noise = _draw_images(6, image_shape, latents)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        together, again = (model(images, noise).output for _ in range(2))
        alone = model(images[4:5], noise[4:5]).output
    same = torch.equal(together, again)
    require(same, f"{architecture}: read twice, it gives other images; draw in training alone.")
    _same(before, model.state_dict(), f"{architecture}: evaluation changes these")
    text = f"{architecture}: an image alone is answered otherwise than among others"
    _close(alone[0], together[4], text)


CHECKS: tuple[Check, ...] = (
    check_shapes,
    check_without_noise,
    check_reading,
    check_layers,
    check_seed,
    check_stored,
    check_gradients,
    check_layout,
    check_double,
    check_resumed,
    check_evaluation,
)

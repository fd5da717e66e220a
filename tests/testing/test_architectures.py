"""A network that promises what it does not keep is found out, in words."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stratigraph.models import FlatVAE
from stratigraph.testing.architectures import CHECKS

SHAPE, LATENTS = (1, 8, 8), 4


class Sound(nn.Module):
    """An encoder whose parts draw and count in training alone, as they may."""

    def __init__(self, image_shape):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(image_shape[0], 4, 3, padding=1), nn.BatchNorm2d(4))
        self.flat = nn.Flatten()
        self.dense = nn.Sequential(nn.Linear(256, 16), nn.SiLU(), nn.Dropout(0.2))

    def forward(self, images):
        return self.dense(self.flat(self.conv(images)))


class Twice(Sound):
    def forward(self, images):
        return self.dense(self.flat(self.conv(images))) + self.dense(self.flat(self.conv(images)))


class Bare(Sound):
    def __init__(self, image_shape):
        super().__init__(image_shape)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return self.gain * super().forward(images)


class Drawn(nn.Module):
    """A layer of weights that it draws itself."""

    def __init__(self, values):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values, dtype=torch.float32))

    def forward(self, x):
        return x * self.weight


class Unseeded(Sound):
    def __init__(self, image_shape):
        super().__init__(image_shape)
        self.last = Drawn(np.random.default_rng().normal(size=16))

    def forward(self, images):
        return self.last(super().forward(images))


class Seeded(Unseeded):
    def __init__(self, image_shape):
        super().__init__(image_shape)
        self.last = Drawn(np.random.default_rng(0).normal(size=16))


class Forgetful(Sound):
    """Its offset is no buffer, so it is neither stored nor moved."""

    def __init__(self, image_shape):
        super().__init__(image_shape)
        self.offset = torch.randn(16)

    def forward(self, images):
        return super().forward(images) + self.offset.to(images.dtype)


class Detached(Sound):
    def forward(self, images):
        return self.dense(self.flat(self.conv(images)).detach())


class ByMemory(Sound):
    """Reads the numbers in the order in which they happen to lie."""

    def forward(self, images):
        made = self.conv(images)
        return self.dense(self.flat(made.as_strided(made.shape, (256, 64, 8, 1))))


class Coarse(Sound):
    def forward(self, images):
        coarse = images.bfloat16().float() if images.dtype == torch.float32 else images
        return super().forward(coarse)


class Counting(Sound):
    """What it has counted is no part of its state."""

    steps = 0

    def forward(self, images):
        self.steps += self.training
        return super().forward(images) * (1 + self.steps)


class Restless(Sound):
    def forward(self, images):
        return functional.dropout(super().forward(images), 0.2)  # in evaluation too


class ByTheBatch(Sound):
    def forward(self, images):
        return super().forward(images - images.mean(dim=0))


def decoder(image_shape, latents):
    return nn.Sequential(nn.Linear(latents, 64), nn.Unflatten(1, (1, 8, 8)))


def squashed(image_shape, latents):
    return nn.Sequential(decoder(image_shape, latents), nn.Sigmoid())


class Noisy(FlatVAE):
    def forward(self, images, noise=None):
        return super().forward(images, torch.ones(len(images), LATENTS) if noise is None else noise)


def whole(image_shape, latents):
    heads = nn.Linear(16, latents), nn.Linear(16, latents)
    return Noisy(Sound(image_shape), *heads, decoder(image_shape, latents))


whole.whole_architecture = True


def pair(encoder, with_decoder="decoder"):
    return {"encoder": f"{__name__}:{encoder}", "decoder": f"{__name__}:{with_decoder}"}


BROKEN = [  # an architecture, the check that refuses it, and what it says
    (pair("Sound", "squashed"), "shapes", "no output is negative; give logits or means"),
    (f"{__name__}:whole", "without_noise", "it is not what encode.* gives: sample"),
    (pair("Twice"), "reading", r"passes layers not once each: .*'encoder.conv': 2"),
    (pair("Bare"), "layers", "parameters of no layer: encoder.gain. Put them into a child"),
    (pair("Unseeded"), "seed", r"begins otherwise with the same seed \(\w+\): encoder.last.weight"),
    (pair("Seeded"), "seed", r"begins alike whatever the seed \(\w+\): encoder.last.weight. Draw"),
    (pair("Forgetful"), "stored", "with weights loaded it gives other images"),
    (pair("Detached"), "gradients", "no gradient reaches encoder.conv.0.weight, so it is not"),
    (pair("ByMemory"), "layout", "channels last in memory the images are others: .* apart"),
    (pair("Coarse"), "double", "float32 and float64 differ: .* apart"),
    (pair("Counting"), "resumed", "trained on after a stop, these differ: encoder.conv.0.weight"),
    (pair("Restless"), "evaluation", "read twice, it gives other images; draw in training"),
    (pair("ByTheBatch"), "evaluation", "an image alone is answered otherwise than among others"),
]


def check_of(name):
    (found,) = (check for check in CHECKS if check.__name__ == f"check_{name}")
    return found


@pytest.mark.parametrize(
    ("architecture", "name", "text"), BROKEN, ids=[str(i) for i, _ in enumerate(BROKEN)]
)
def test_a_promise_that_is_not_kept(architecture, name, text):
    with pytest.raises(AssertionError, match=text):
        check_of(name)(architecture, image_shape=SHAPE, latents=LATENTS)


@pytest.mark.parametrize("check", CHECKS)
def test_dropout_and_batch_statistics_are_allowed(check):
    check(pair("Sound"), image_shape=SHAPE, latents=LATENTS)


def test_every_check_has_a_network_that_fails_it():
    assert {f"check_{name}" for _, name, _ in BROKEN} == {check.__name__ for check in CHECKS}

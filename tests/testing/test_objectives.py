"""An objective that promises what it does not keep is found out, in words."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from stratigraph.objectives import Parts, build_objective, evaluate
from stratigraph.objectives.factor_vae import FactorVAE
from stratigraph.objectives.vae import PlainVAE
from stratigraph.testing.objectives import CHECKS


@dataclass
class Thawed:
    """Whatever holds it could change the strength of a run."""

    weight: float
    strength: ClassVar[str | None] = "weight"

    def regulariser(self, posterior, step):
        return self.weight * posterior.mean.square().mean()


@dataclass(frozen=True)
class Nameless(PlainVAE):
    strength: ClassVar[str | None] = "colour"


@dataclass(frozen=True)
class Whole:
    """The VAE, of a whole pass, to be broken below."""

    strength: ClassVar[str | None] = None

    def terms(self, given):
        return evaluate(PlainVAE(), given.likelihood, given.result, given.images, given.step)


class Doubled(Whole):
    def terms(self, given):
        found = super().terms(given)
        return replace(found, loss=found.reconstruction + 2 * found.regulariser)


class Listed(Whole):
    def terms(self, given):
        found = super().terms(given)
        return replace(found, more={"means": given.result.posterior.mean.mean(dim=0)})


class Unbiased(Whole):
    """A variance over the batch, which one image does not have."""

    def terms(self, given):
        found, mean = super().terms(given), given.result.posterior.mean
        return replace(
            found, more={"spread": mean.sub(mean.mean(0)).square().sum() / (len(mean) - 1)}
        )


class Neighbours(PlainVAE):
    def regulariser(self, posterior, step):
        return (posterior.mean[1:] - posterior.mean[:-1]).square().sum()


class Noisy(PlainVAE):
    def regulariser(self, posterior, step):
        return super().regulariser(posterior, step) + torch.rand(()).to(posterior.mean.dtype)


class Eager(PlainVAE):
    def regulariser(self, posterior, step):
        found = super().regulariser(posterior, step)
        found.backward(retain_graph=True)
        return found


class Detached(PlainVAE):
    def regulariser(self, posterior, step):
        return super().regulariser(posterior, step).detach()


class Infinite(PlainVAE):
    def regulariser(self, posterior, step):
        return (posterior.mean * 0).abs().sqrt().sum()


class Idle(PlainVAE):
    """A module that nothing is computed with."""

    def parts(self, latents):
        return Parts({"idle": nn.Linear(latents, 1)})


class Shared(PlainVAE):
    module = nn.Linear(3, 1)

    def parts(self, latents):
        return Parts({"shared": self.module})


@dataclass(frozen=True)
class Entangled(FactorVAE):
    def terms(self, given):
        found = super().terms(given)
        return replace(found, beside=found.beside + given.result.posterior.mean.square().mean())


class Precise(PlainVAE):
    def regulariser(self, posterior, step):
        return super().regulariser(posterior, step).double()


class Cancelling(PlainVAE):
    def regulariser(self, posterior, step):
        return ((posterior.mean + 1e5).square() - 1e10).mean()


@dataclass(frozen=True)
class Impostor(PlainVAE):
    """It says that it is the VAE without a prior."""

    def same_as(self):
        return {"name": "beta_vae", "beta": 0}


BROKEN = [  # an objective, the check that refuses it, and what it says
    (Thawed(4.0), "declaration", "expected a frozen dataclass"),
    (Nameless(), "declaration", "expected the name of a parameter that is a number, .*'colour'"),
    (Listed(), "terms", r"means: expected a tensor of one number, got \[3\]"),
    (Unbiased(), "terms", r"1 image\(s\): spread is nan"),
    (Doubled(), "sum", r"Doubled: the loss is [\d.]+, and reconstruction \+ regulariser is"),
    (Neighbours(), "order", "of the same images in another order"),
    (Noisy(), "repeated", "draws from torch's own generator, .*generator=given.stream"),
    (Eager(), "repeated", "changes the means, or calls backward by itself"),
    (Detached(), "gradients", "depends on the posterior and has no gradient"),
    (Infinite(), "gradients", "the gradient at the means is not finite"),
    (Idle(), "gradients", "no gradient reaches its idle.bias, its idle.weight"),
    (Entangled(10, 2, 20), "losses_apart", "loss and beside both move the means"),
    (Shared(), "parts", "shared.weight is one tensor for all runs"),
    (Precise(), "single_precision", "of float32 it makes a loss of torch.float64"),
    (Impostor(), "same", r"says that it is .*beta_vae.*its gradient at the means is another"),
    (Cancelling(), "single_precision", "loss is .* in float32 and .* in float64"),
]


def check_of(name):
    (found,) = (check for check in CHECKS if check.__name__ == f"check_{name}")
    return found


@pytest.mark.parametrize(
    ("objective", "name", "text"), BROKEN, ids=[type(case[0]).__name__ for case in BROKEN]
)
def test_a_promise_that_is_not_kept(objective, name, text):
    with pytest.raises(AssertionError, match=text):
        check_of(name)(objective)


def test_every_check_has_an_objective_that_fails_it():
    assert {f"check_{name}" for _, name, _ in BROKEN} == {check.__name__ for check in CHECKS}


def test_a_regulariser_of_nothing_needs_no_gradient():
    check_of("gradients")(build_objective("beta_vae", beta=0))


@pytest.mark.parametrize(
    "objective",
    [
        build_objective("vae"),
        build_objective("beta_tc_vae", beta=1),
        build_objective("dip_vae_i", lambda_od=0),
        build_objective("dip_vae_ii", lambda_od=0, lambda_d=0),
        build_objective("factor_vae", gamma=0, layers=2, units=5),
        build_objective("annealed_vae", c_max=5, gamma=0),
        build_objective("info_vae", lambda_mmd=0.25, alpha=0.75),
        build_objective("info_vae", lambda_mmd=5, alpha=1),
        build_objective("mmd_vae", lambda_mmd=0),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_ours_say_they_are_the_same_as(objective):
    assert objective.same_as() is not None
    check_of("same")(objective)

"""What every objective promises, as checks: functions of an `Objective`, made of its parameters.

An objective is asked of passes made by hand (`stratigraph.testing.passes`), of six images and of
one, at the beginning of training and late. Nothing is trained.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from stratigraph.models.initialisation import seeded
from stratigraph.objectives import (
    RECONSTRUCTIONS,
    Objective,
    Pass,
    Terms,
    build_objective,
    evaluate,
    parts_of,
)
from stratigraph.objectives.catalog import OfPass, OfPosterior, WithSame
from stratigraph.objectives.parameters import check_parameters
from stratigraph.testing.passes import pass_of
from stratigraph.testing.require import require

__all__ = ["CHECKS"]

STEPS = (0, 10, 10_000)
ROUNDING, SINGLE = 1e-9, 1e-4  # of float64 sums, and of what float32 holds


def _terms(objective: Objective, one: Pass) -> Terms:
    beside = {"parts": one.parts, "stream": one.stream, "other": one.other}
    return evaluate(objective, one.likelihood, one.result, one.images, one.step, **beside)


def _name(objective: Objective) -> str:
    return f"objective {type(objective).__name__}"


def _same(a: float, b: float, error: float) -> bool:
    return math.isclose(a, b, rel_tol=error, abs_tol=error) or (math.isnan(a) and math.isnan(b))


def check_declaration(objective: Objective) -> None:
    """A frozen dataclass of parameters, one of them its strength; one method; known likelihoods."""
    kind: Any = type(objective)
    name = _name(objective)
    settings = getattr(kind, "__dataclass_params__", None)
    frozen = settings is not None and settings.frozen
    require(frozen, f"{name}: expected a frozen dataclass: @dataclass(frozen=True).")
    fields = {one.name: one.default for one in dataclasses.fields(kind)}
    given = {key: getattr(objective, key) for key in fields}
    given = {key: value for key, value in given.items() if value is not fields[key]}
    check_parameters(kind.__name__, kind, given)  # as those of a study file are checked
    require(kind(**given) == objective, f"{name}: made again of its parameters, it is another.")
    strength = objective.strength
    value = getattr(objective, strength, None) if strength in fields else None
    require(
        strength is None or (isinstance(value, int | float) and not isinstance(value, bool)),
        f"{name}: strength: expected the name of a parameter that is a number, or None, got "
        f"{strength!r}.",
    )
    methods = isinstance(objective, OfPosterior) + isinstance(objective, OfPass)
    require(methods == 1, f"{name}: expected `regulariser` or `terms`, got {methods} of them.")
    likelihoods = getattr(objective, "likelihoods", tuple(RECONSTRUCTIONS))
    require(
        likelihoods and set(likelihoods) <= set(RECONSTRUCTIONS),
        f"{name}: likelihoods: expected some of {tuple(RECONSTRUCTIONS)}, got {likelihoods!r}.",
    )


def check_terms(objective: Objective) -> None:
    """Every term is one finite number, at any step and of one image too."""
    for step in STEPS:
        for count in (6, 1):
            one, _ = pass_of(objective, order=range(count), step=step)
            for term, value in _terms(objective, one).logged().items():
                of = f"{_name(objective)}, step {step}, {count} image(s): {term}"
                shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                require(shape == [], f"{of}: expected a tensor of one number, got {shape}.")
                require(torch.isfinite(value), f"{of} is {float(value.detach())}.")


def check_sum(objective: Objective) -> None:
    """The loss is the reconstruction and the regulariser, which the tables of losses tell apart."""
    for step in STEPS:
        found = _terms(objective, pass_of(objective, step=step)[0]).values()
        parts = found["reconstruction"] + found["regulariser"]
        require(
            _same(found["loss"], parts, ROUNDING),
            f"{_name(objective)}: the loss is {found['loss']:.9g}, and reconstruction + "
            f"regulariser is {parts:.9g} (step {step}).",
        )


def check_order(objective: Objective) -> None:
    """The order of the images in a batch does not matter, which is drawn anew every epoch."""
    here, there = (
        float(_terms(objective, pass_of(objective, order=order)[0]).loss.detach())
        for order in (range(6), (4, 2, 0, 5, 1, 3))
    )
    require(
        _same(here, there, ROUNDING),
        f"{_name(objective)}: the loss is {here:.9g}, and of the same images in another order "
        f"{there:.9g}.",
    )


def check_repeated(objective: Objective) -> None:
    """The same pass has the same terms; what is drawn comes from the pass's own streams."""
    one, leaves = pass_of(objective)
    weights = {name: value.detach().clone() for name, value in leaves.items()}
    found = []
    for seed in range(2):
        with seeded(seed):
            before = torch.random.get_rng_state()
            found.append(_terms(objective, one).values())
            require(
                torch.equal(torch.random.get_rng_state(), before),
                f"{_name(objective)} draws from torch's own generator, so that a resumed run would "
                "differ; draw with `generator=given.stream('a name')`.",
            )
    same = all(_same(found[0][term], found[1][term], 0.0) for term in found[0])
    require(same, f"{_name(objective)}: the same pass has other terms: {found[0]}, {found[1]}.")
    for name, value in leaves.items():
        untouched = torch.equal(value.detach(), weights[name]) and value.grad is None
        require(untouched, f"{_name(objective)} changes {name}, or calls backward by itself.")


def _reach(of: Tensor, leaves: Mapping[str, Tensor], name: str) -> set[str]:
    """Which leaves a loss sends a gradient to; none of it NaN or infinite."""
    if not of.requires_grad:
        return set()
    tensors = list(leaves.values())
    slopes = torch.autograd.grad(of, tensors, retain_graph=True, allow_unused=True)
    for leaf, slope in zip(leaves, slopes, strict=True):
        finite = slope is None or bool(torch.isfinite(slope).all())
        require(finite, f"{name}: the gradient at {leaf} is not finite.")
    return {
        leaf
        for leaf, slope in zip(leaves, slopes, strict=True)
        if slope is not None and bool(slope.any())
    }


def check_gradients(objective: Objective) -> None:
    """Gradients are finite, and reach the output, its own parts, and what the regulariser reads."""
    name = _name(objective)
    one, leaves = pass_of(objective)
    terms = _terms(objective, one)
    reached = _reach(terms.minimised, leaves, name)
    wanted = {leaf for leaf in leaves if leaf == "the output" or leaf.startswith("its ")}
    missed = sorted(wanted - reached)
    require(not missed, f"{name}: no gradient reaches {', '.join(missed)}, so it is not trained.")
    rest = {leaf: value for leaf, value in leaves.items() if leaf != "the output"}
    if not _reach(terms.regulariser, rest, name):
        alone = _terms(objective, pass_of(objective, order=(0,) * 6)[0]).regulariser
        require(
            _same(float(alone.detach()), float(terms.regulariser.detach()), ROUNDING),
            f"{name}: the regulariser depends on the posterior and has no gradient; nothing is "
            "trained by it. Compute it with torch, of tensors that are not detached.",
        )


def check_losses_apart(objective: Objective) -> None:
    """Where its own parts have a loss ``beside``, no weight is moved by both losses."""
    one, leaves = pass_of(objective)
    terms = _terms(objective, one)
    if terms.beside is None:
        return
    both = _reach(terms.loss, leaves, "loss") & _reach(terms.beside, leaves, "beside")
    require(
        not both,
        f"{_name(objective)}: loss and beside both move {', '.join(sorted(both))}; detach what is "
        "not meant to be moved.",
    )


def check_parts(objective: Objective) -> None:
    """Its own modules are fresh at every call, and their weights a function of torch's seed."""
    name = _name(objective)

    def make(seed: int, latents: int = 3) -> dict[str, Tensor]:
        with seeded(seed):
            modules = parts_of(objective, latents).modules
        return {
            f"{part}.{key}": value
            for part, module in modules.items()
            for key, value in module.state_dict().items()
        }

    one, again = make(0), make(0)
    for key, value in one.items():
        same = torch.equal(value, again[key])
        require(same, f"{name}: {key} begins otherwise with the same seed; draw it from torch.")
        fresh = value.data_ptr() != again[key].data_ptr()
        require(fresh, f"{name}: {key} is one tensor for all runs; make parts(latents) anew.")
    require(make(0, 1).keys() == one.keys(), f"{name}: parts(1) has other modules than parts(3).")


def check_single_precision(objective: Objective) -> None:
    """In float32, in which networks are trained, the terms are those of float64."""
    here, exact = (
        _terms(objective, pass_of(objective, dtype=dtype)[0])
        for dtype in (torch.float32, torch.float64)
    )
    require(
        here.loss.dtype == torch.float32,
        f"{_name(objective)}: of float32 it makes a loss of {here.loss.dtype}.",
    )
    single = here.values()
    for term, value in exact.values().items():
        require(
            _same(single[term], value, SINGLE),
            f"{_name(objective)}: {term} is {single[term]:.7g} in float32 and {value:.7g} in "
            "float64.",
        )


def check_same(objective: Objective) -> None:
    """What it says it is the same as has its gradients; plain parameters name that."""
    simpler = objective.same_as() if isinstance(objective, WithSame) else None
    if simpler is None:
        return
    other = build_objective(**simpler)
    for step in STEPS:
        slopes = []
        for which in (objective, other):
            one, leaves = pass_of(which, step=step)
            shared = {key: leaf for key, leaf in leaves.items() if not key.startswith("its ")}
            found = torch.autograd.grad(
                _terms(which, one).loss, list(shared.values()), allow_unused=True
            )
            slopes.append(dict(zip(shared, found, strict=True)))
        for leaf, slope in slopes[0].items():
            here, there = (
                torch.zeros(1) if one is None else one for one in (slope, slopes[1].get(leaf))
            )
            require(
                torch.allclose(here, there.to(here.dtype), rtol=ROUNDING, atol=ROUNDING),
                f"{_name(objective)}: it says that it is {dict(simpler)}, and at step {step} its "
                f"gradient at {leaf} is another.",
            )


CHECKS: tuple[Callable[[Objective], None], ...] = (
    check_declaration,
    check_terms,
    check_sum,
    check_order,
    check_repeated,
    check_gradients,
    check_losses_apart,
    check_parts,
    check_single_precision,
    check_same,
)

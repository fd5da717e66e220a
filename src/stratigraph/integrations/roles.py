"""What the layers of somebody else's autoencoder are: its encoder, mean, decoder, and so on.

Findings are asked of parts, and parts are known by their names: ``encoder.…``, ``decoder.…``,
``z_mean``, ``z_log_var``, ``z_sample``. Roles give a network's own layers these names, once, as
they are recorded; so everything that reads a study knows them.

=======================  ===========================================================================
``encoder``, ``decoder``  modules, all that is in them: ``enc``, ``enc.*``, ``layers.[0-3]``
``head``                 of a classifier
``mean``, ``log_var``    the layer that gives the posterior's mean; its log-variance
``posterior``            one layer that gives both, the first half of its channels being the mean
``sample``               the layer that gives the sample, where there is one
``encoded``,             of a network of codes: the vectors before and after quantisation
``quantised``
=======================  ===========================================================================

Where mean and log-variance are known and the sample is not, it is made of them,
z = μ + exp(log σ² / 2) · ε, with one draw of ε for all snapshots and runs, as in stratigraph's own
networks; few networks make their sample in a module.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stratigraph.errors import ConfigError, InputError, suggest

__all__ = ["Roles", "as_roles", "draw_sample"]

PARTS = ("encoder", "decoder", "head")
SINGLE = {
    "mean": "z_mean",
    "log_var": "z_log_var",
    "posterior": "posterior",
    "sample": "z_sample",
    "encoded": "z_encoded",
    "quantised": "z_quantised",
}
PATTERN = "layer, such as enc.*"


@dataclass(frozen=True)
class Roles:
    """Role → patterns of layers, valid at construction; empty says nothing of any layer."""

    of: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        known = {role for role, _ in self.of}
        for role, patterns in self.of:
            if role not in (*PARTS, *SINGLE):
                raise ConfigError(f"roles: unknown name {role!r}.{suggest(role, ALL)}")
            if role in SINGLE and len(patterns) != 1:
                raise ConfigError(f"roles: {role}: expected one layer, got {', '.join(patterns)}.")
        if "posterior" in known and known & {"mean", "log_var"}:
            raise ConfigError(
                "roles: `posterior` is one layer that gives mean and log-variance; leave out "
                "`mean` and `log_var`, or it."
            )
        if "log_var" in known and "mean" not in known:
            raise ConfigError("roles: `log_var` without `mean`; say which layer gives the mean.")

    def __bool__(self) -> bool:
        return bool(self.of)

    def plain(self) -> dict[str, list[str]]:
        """Plain JSON values, from which `as_roles` makes the same."""
        return {role: list(patterns) for role, patterns in self.of}

    def single(self, role: str) -> str | None:
        """The layer of a role that one layer has."""
        return next((patterns[0] for own, patterns in self.of if own == role), None)

    def layer_of(self, role: str, layers: Iterable[str]) -> str | None:
        """Which of these layers has a role that one layer has."""
        pattern = self.single(role)
        if pattern is None:
            return None
        return next((layer for layer in layers if _matches(layer, pattern, True)), None)

    @property
    def gaussian(self) -> bool:
        """Whether they say what mean and log-variance are."""
        return self.single("posterior") is not None or self.single("log_var") is not None

    def names(self, layers: Sequence[str]) -> dict[str, str]:
        """Layer → what it is called in the study, of all layers that are read.

        Raises:
            InputError: a pattern that no layer has, a layer of two roles, or two of one name.

        """
        given: dict[str, str] = {}
        for role, pattern in ((role, one) for role, patterns in self.of for one in patterns):
            matched = [one for one in layers if _matches(one, pattern, role in SINGLE)]
            if not matched:
                raise InputError(
                    f"roles: {role}={pattern} is not a layer that runs.{suggest(pattern, layers)}"
                )
            if role in SINGLE and len(matched) > 1:
                raise InputError(
                    f"roles: {role}={pattern} is {', '.join(matched[:5])}; name one layer."
                )
            for layer in matched:
                before = given.get(layer, role)
                # A layer of its own role may lie within a part, as the mean in the encoder.
                if before != role and (before in SINGLE) == (role in SINGLE):
                    raise InputError(
                        f"roles: {layer} is {before} and {role}; give it one of the two."
                    )
                given[layer] = before if before in SINGLE else role
        found = {layer: _called(layer, given.get(layer)) for layer in layers}
        twice = next((n for n, count in Counter(found.values()).items() if count > 1), None)
        if twice is not None:
            raise InputError(f"roles: two layers would be called {twice}; leave one out.")
        return found


ALL = (*PARTS, *SINGLE)


def as_roles(roles: Any) -> Roles:
    """Roles from a mapping (role → pattern or patterns), or ``encoder=enc.*,mean=fc_mu``.

    Raises:
        ConfigError: it is neither, or a role that there is not.

    """
    if roles is None or isinstance(roles, Roles):
        return roles or Roles()
    pairs: list[tuple[Any, Any]] = []
    if isinstance(roles, str):
        # A comma parts roles only where a role follows: a pattern may hold one.
        for text in re.split(r",(?=\s*\w+\s*=)", roles):
            role, is_there, pattern = text.partition("=")
            if not is_there or not role.strip() or not pattern.strip():
                raise ConfigError(
                    f"roles: expected ROLE=LAYER,…, such as encoder=enc.*, got {text!r}."
                )
            pairs.append((role.strip(), pattern.strip()))
    elif isinstance(roles, Mapping):
        pairs = list(roles.items())
    else:
        raise ConfigError(
            f'roles: expected a mapping such as {{"encoder": "enc.*"}}, got {roles!r}.'
        )
    found: dict[str, tuple[str, ...]] = {}
    for role, patterns in pairs:
        several = (patterns,) if isinstance(patterns, str) else patterns
        if not isinstance(several, list | tuple) or not several:
            raise ConfigError(f"roles: {role}: expected a {PATTERN}, got {patterns!r}.")
        if not all(isinstance(one, str) and one for one in several):
            raise ConfigError(f"roles: {role}: expected a {PATTERN}, got {patterns!r}.")
        found[str(role)] = (*found.get(str(role), ()), *several)
    return Roles(tuple(found.items()))


def draw_sample(mean: Tensor, log_var: Tensor) -> Tensor:
    """A sample (n, z) of each posterior: the same draw wherever n is the same.

    Drawn a latent at a time, so that networks with more latents share the first of them.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.stack([torch.randn(len(mean), generator=generator) for _ in mean[0]], 1)
    return mean + (log_var / 2).exp() * noise


def _matches(layer: str, pattern: str, exactly: bool) -> bool:
    """Whether a layer, or a module around it, is meant; ``lstm[0]`` and ``relu#2`` are of both."""
    if layer == pattern:
        return True
    bare = re.split(r"[#\[]", layer)[0]
    if exactly:
        return fnmatch.fnmatchcase(layer, pattern) or bare == pattern
    levels = bare.split(".")
    around = [".".join(levels[:count]) for count in range(1, len(levels) + 1)]
    return any(fnmatch.fnmatchcase(name, pattern) for name in (*around, layer))


def _called(layer: str, role: str | None) -> str:
    if role is None or role == "posterior":
        return layer
    if role in SINGLE:
        return SINGLE[role]
    return layer if layer.partition(".")[0] == role else f"{role}.{layer}"

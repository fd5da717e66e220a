"""An architecture: which encoder, which decoder, and the options of each.

Written in one of four ways, from the shortest to the longest::

    vit
    {name: fully_connected, depth: 4}
    {encoder: vit, decoder: fully_connected}
    {encoder: {name: fully_connected, depth: 6}, decoder: {name: fully_connected, depth: 2}}

Any encoder can be joined to any decoder, so that what a layer's place does to its learning can be
told apart from what its kind does. A name may be a user's own, ``module:name``
(`stratigraph.plugins`). Options that are the part's defaults are left out of the canonical form, so
that writing one down does not make another run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from stratigraph.errors import ConfigError, StratigraphError, UntrustedError, suggest
from stratigraph.plugins import is_plugin, load_plugin

__all__ = ["Architecture", "Part", "parse_architecture"]

Maker = Callable[..., Any]


@dataclass(frozen=True)
class Part:
    """An encoder, a decoder or a whole network: its name, its maker, and the options it is given.

    Args:
        name: of a registry, or ``module:name``.
        make: what makes it, called with the image's shape (a decoder: and the number of latents).
        options: those that differ from the defaults, in the order of their names.

    """

    name: str
    make: Maker
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.options)})"

    def __call__(self, *arguments: Any) -> Any:
        """Make it.

        Raises:
            ConfigError: options or images that do not fit; a user's own that fails.

        """
        with self.blamed("cannot be made"):
            made = self.make(*arguments, **dict(self.options))
        if not isinstance(made, nn.Module):
            raise ConfigError(
                f"architecture: {self}: expected a torch.nn.Module, got a {type(made).__name__}."
            )
        return made

    @contextmanager
    def blamed(self, what: str) -> Iterator[None]:
        """Tell whatever a user's own part raises inside as its fault; ours are left as they are."""
        try:
            yield
        except Exception as error:
            if not is_plugin(self.name) or isinstance(error, StratigraphError):
                raise
            told = f"{type(error).__name__}: {error}"
            raise ConfigError(f"architecture: {self} {what} ({told}).") from error

    def plain(self) -> str | dict[str, Any]:
        """The name, or a mapping of it and the options."""
        return {"name": self.name, **dict(self.options)} if self.options else self.name


@dataclass(frozen=True)
class Architecture:
    """An encoder and a decoder; or, as both, a network that is not made of two."""

    encoder: Part
    decoder: Part
    whole: bool = False

    def __str__(self) -> str:
        encoder, decoder = str(self.encoder), str(self.decoder)
        return encoder if encoder == decoder else f"{encoder} → {decoder}"

    def plain(self) -> str | dict[str, Any]:
        """The canonical value, from which `parse_architecture` makes the same architecture."""
        encoder, decoder = self.encoder.plain(), self.decoder.plain()
        named = isinstance(encoder, str) and not is_plugin(encoder)  # that would name a whole one
        if self.whole or (encoder == decoder and named):
            return encoder
        return {"encoder": encoder, "decoder": decoder}

    def plugins(self) -> list[str]:
        """The parts that are a user's own."""
        return [*dict.fromkeys(p.name for p in (self.encoder, self.decoder) if is_plugin(p.name))]


def parse_architecture(
    value: Any,
    encoders: Mapping[str, Maker],
    decoders: Mapping[str, Maker],
    wholes: Mapping[str, Maker],
) -> Architecture:
    """The architecture that a setting means.

    Raises:
        ConfigError: an unknown name or option, or a form that is none of those above.

    """
    if isinstance(value, Mapping) and not value.keys() - {"encoder", "decoder"} and value:
        lacking = {"encoder", "decoder"} - value.keys()
        if lacking:
            raise ConfigError(f"architecture: {lacking.pop()} is missing from {dict(value)!r}.")
        return Architecture(
            _part("architecture: encoder", value["encoder"], encoders),
            _part("architecture: decoder", value["decoder"], decoders),
        )
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(name, str):
        raise ConfigError(
            "architecture: expected a name, or a mapping with a `name`, or with an `encoder` and "
            f"a `decoder`, got {value!r}."
        )
    if name in wholes:
        part = _part("architecture", value, wholes)
        return Architecture(part, part, whole=True)
    if is_plugin(name):
        if _is_whole(name):
            part = _part("architecture", value, wholes)
            return Architecture(part, part, whole=True)
        raise ConfigError(
            f"architecture: {name} is one part of a network; name an encoder and a decoder: "
            f"{{encoder: {name}, decoder: convolutional}}. (A function that makes a whole "
            "network has the attribute whole_architecture = True.)"
        )
    both = [key for key in encoders if key in decoders]
    if name not in both:
        known = [*both, *wholes]
        raise ConfigError(f"architecture: unknown name {name!r}.{suggest(name, known)}")
    return Architecture(
        _part("architecture", value, encoders), _part("architecture", value, decoders)
    )


def _is_whole(name: str) -> bool:
    """Whether a user's own is a whole network; one that is named only stands where a whole one can.

    Raises:
        ConfigError: it cannot be imported.

    """
    try:
        return bool(getattr(load_plugin("architecture", name), "whole_architecture", False))
    except UntrustedError:
        return True


def _refusing(error: UntrustedError) -> Maker:
    def make(*_: Any, **__: Any) -> nn.Module:
        raise error

    return make


def _part(where: str, value: Any, known: Mapping[str, Maker]) -> Part:
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: expected a name, or a mapping with a `name`, got {value!r}.")
    if is_plugin(name):
        try:
            make = load_plugin(where, name)
        except UntrustedError as error:
            # Named only: its options stand as they were kept, and what makes it tells why not.
            return Part(name, _refusing(error), tuple(sorted(options.items())))
        if not callable(make):
            raise ConfigError(f"{where}: {name} is a {type(make).__name__}; expected a function.")
    elif name in known:
        make = known[name]
    else:
        raise ConfigError(f"{where}: unknown name {name!r}.{suggest(name, known)}")
    try:
        arguments = inspect.signature(make).parameters
    except ValueError:
        raise ConfigError(f"{where}: {name} does not say what its options are.") from None
    defaults = {
        key: parameter.default
        for key, parameter in arguments.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key in options:
        if key not in defaults:
            raise ConfigError(f"{where}: {name} has no option {key!r}.{suggest(key, defaults)}")
    for key, default in defaults.items():
        if default is inspect.Parameter.empty and key not in options:
            raise ConfigError(f"{where}: {name} needs its option {key!r}.")

    def differs(key: str) -> bool:
        same: bool = options[key] == defaults[key]
        return not (same and type(options[key]) is type(defaults[key]))  # 1 is not true

    return Part(name, make, tuple((key, options[key]) for key in sorted(options) if differs(key)))

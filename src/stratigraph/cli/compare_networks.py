"""``stratigraph compare --model a.safetensors --factory mine:net``: networks from their weights."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratigraph.cli.matrices import show_matrix
from stratigraph.cli.tables import check_places
from stratigraph.errors import ConfigError, DataError
from stratigraph.file_kinds import recognise
from stratigraph.npy import read_arrays
from stratigraph.plugins import attribute_of, parted
from stratigraph.terminal import tell

if TYPE_CHECKING:
    from torch import nn

__all__ = ["compare_models", "make_network", "read_inputs"]


def compare_models(
    models: list[Path],
    factories: list[str],
    inputs: Path | None,
    device: str,
    figure: Path | None,
    out: Path | None,
    *,
    within: str | None,
    as_json: bool,
    explain: bool,
    key: str | None = None,
    prefix: str | None = None,
    **how: Any,
) -> None:
    """Make the networks, load their weights, and compare them as `stratigraph.compare` does.

    Raises:
        ConfigError: what was given does not make one network or two, or a suffix says no format.
        DataError: inputs that the networks cannot be shown.

    """
    from stratigraph.pairs.networks import compare as compare_networks
    from stratigraph.records import load_weights
    from stratigraph.representations.load import read_labels
    from stratigraph.training.device import check_device

    check_places(figure, out)
    if len(models) > 2:
        raise ConfigError(f"--model: expected one or two files of weights, got {len(models)}.")
    if not factories or len(factories) > len(models):
        raise ConfigError(
            "--factory: expected MODULE:FUNCTION, which makes the network for the weights, once "
            f"for all or once for each --model; got {len(factories)} for {len(models)}."
        )
    if inputs is None:
        raise ConfigError("--inputs: expected a file (.npy or .npz) of inputs for the networks.")
    where = check_device(device)
    shown = read_inputs(inputs)
    groups = None if within is None else read_labels(within)
    made_of: list[nn.Module] = []
    for path, factory in zip(models, factories * (3 - len(factories)), strict=False):
        network = make_network(factory)
        if any(network is other for other in made_of):
            network = _copy_network(network, factory)
        if matched := load_weights(network, path, key=key, prefix=prefix):
            tell(matched, err=True)
        made_of.append(network.to(where))
    try:
        found = compare_networks(made_of[0], made_of[-1], shown, groups=groups, **how)
    except (RuntimeError, TypeError, IndexError) as error:  # the networks', of such inputs
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{inputs}: the networks cannot run on it ({told}).") from error
    explained = [f"plan: {found.attrs['plan']}"] if explain else []
    of = f"{found.attrs['inputs']} inputs"
    show_matrix(found, of, figure, out, as_json=as_json, explained=explained)


def _copy_network(network: nn.Module, factory: str) -> nn.Module:
    """Another of a network that two files of weights are for, or the second would be in both.

    Raises:
        ConfigError: it holds what cannot be copied.

    """
    try:
        return copy.deepcopy(network)
    except Exception as error:
        raise ConfigError(
            f"--factory: {factory} is one network for two --model, and cannot be copied "
            f"({type(error).__name__}: {error}); name a function that makes a new one each time."
        ) from error


def make_network(factory: str) -> nn.Module:
    """The network that ``package.module:function`` makes, called without arguments, or is.

    The current folder is looked through too. This imports and runs the module that was named.

    Raises:
        ConfigError: there is no such module or function, or it makes no network.

    """
    from torch import nn

    module, name = parted("--factory", factory, "MODULE:FUNCTION")
    # A factory may import its neighbours when it is called, so the folder is there until then.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        network = _call_factory(module, name)
    finally:
        with contextlib.suppress(ValueError):  # what was imported may have taken it out
            sys.path.remove(here)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"--factory: {factory} made a {type(network).__name__}; expected a torch nn.Module."
        )
    return network


def _call_factory(module: str, name: str) -> Any:
    """What the named function of a module returns; a network, or what is no function, is itself."""
    from torch import nn

    try:
        held = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"--factory: {module} cannot be imported ({error}).") from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"--factory: {module} raised {told}") from error
    function = attribute_of("--factory", held, name)
    if isinstance(function, nn.Module) or not callable(function):
        return function  # a network can be called too, but with its inputs
    try:
        inspect.signature(function).bind()
    except ValueError:
        pass  # it does not say what it takes
    except TypeError as error:
        raise ConfigError(
            f"--factory: {module}:{name} is called without arguments ({error}); give each "
            "argument a default, or name a function that calls it."
        ) from None
    try:
        return function()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"--factory: {module}:{name} raised {told}") from error


def read_inputs(path: Path) -> Any:
    """Inputs from a file: an array (n, …), or arrays by the names of the network's arguments.

    Raises:
        DataError: no such file, or not numbers in NumPy's format.

    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected inputs (.npy or .npz).")
    if (what := recognise(path)) and not what.startswith("arrays"):
        raise DataError(f"{path}: expected inputs (.npy or .npz); it is {what}.")
    try:
        arrays = read_arrays(path)
    except ValueError as error:
        raise DataError(
            f"{path}: not readable as .npy or .npz without pickles ({error}); write it with "
            "numpy.save or numpy.savez."
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: {name or 'the array'} holds {array.dtype}, not numbers.")
    return arrays.get("", arrays)

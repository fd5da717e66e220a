"""Networks and their inputs, as the command line names them."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stratigraph.errors import ConfigError, DataError
from stratigraph.plugins import attribute_of, parted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["copy_network", "make_network", "read_inputs"]


def copy_network(network: nn.Module, factory: str) -> nn.Module:
    """Another of a network that two files of weights are for, or the second would be in both.

    Raises:
        ConfigError: it holds what cannot be copied.

    """
    try:
        return copy.deepcopy(network)
    except Exception as error:
        raise ConfigError(
            f"--factory: {factory} is one network for two --model, and it cannot be copied "
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
            f"--factory: {module}:{name} is called without arguments ({error}); give each a "
            "default, or name a function that calls it."
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
    try:
        with path.open("rb") as file:
            held = np.load(file, allow_pickle=False)
            arrays = dict(held) if isinstance(held, np.lib.npyio.NpzFile) else {"": held}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: not readable as .npy or .npz without pickles ({error}); write it with "
            "numpy.save or numpy.savez."
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: {name or 'the array'} holds {array.dtype}, not numbers.")
    return arrays.get("", arrays)

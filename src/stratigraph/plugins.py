"""Things that users bring in files of their own, named ``package.module:name``.

A module is looked for on Python's path, and beside the study file while that is read and run
(`beside`). Naming one runs it, as an import does: a study whose file names a module is a program.
The folder of a study that was already begun is never looked through, so that opening a stranger's
study runs nothing that is not installed here; nor is the standard library, of which some modules
act when they are imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from stratigraph.errors import ConfigError, suggest

__all__ = ["attribute_of", "beside", "is_plugin", "load_plugin", "parted", "plugin_digest"]


def is_plugin(name: object) -> bool:
    """Whether a name is ``module:name``, and not one of ours."""
    return isinstance(name, str) and ":" in name


def beside(file: Path) -> None:
    """Look for modules in the folder of a study file too, from now on and in the workers."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: a file here hides no installed package


_loaded: set[str] = set()  # modules that were named


def loaded_files() -> tuple[tuple[str, int, int], ...]:
    """The files of the modules that were named so far, with their sizes and times."""
    files = {getattr(sys.modules.get(module), "__file__", None) for module in _loaded}
    found = []
    for file in sorted(file for file in files if file):
        with contextlib.suppress(OSError):
            facts = Path(file).stat()
            found.append((file, facts.st_size, facts.st_mtime_ns))
    return tuple(found)


def parted(where: str, name: str, form: str = "MODULE:NAME") -> tuple[str, str]:
    """The module and the attribute that ``module:name`` is made of.

    Raises:
        ConfigError: it has not this form.

    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"{where}: expected {form}, got {name!r}.")
    return module, attribute


def attribute_of(where: str, module: ModuleType, attribute: str) -> Any:
    """What a module calls by a name, which may have dots.

    Raises:
        ConfigError: nothing; near names are in the message.

    """
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigError(
                f"{where}: {module.__name__} has no {attribute!r}.{suggest(part, dir(found))}"
            )
        found = getattr(found, part)
    return found


def load_plugin(where: str, name: str) -> Any:
    """What ``module:name`` names.

    Args:
        where: the setting that named it, for messages.
        name: ``package.module:name``; the name may have dots.

    Raises:
        ConfigError: there is no such module, it cannot be imported, or it has no such name.

    """
    module, attribute = parted(where, name)
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ConfigError(
            f"{where}: {module} is a module of Python's own; give yours another name."
        )
    _loaded.add(module)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module and not module.startswith(f"{error.name}."):
            raise ConfigError(f"{where}: {module} cannot be imported ({error}).") from error
        raise ConfigError(
            f"{where}: no module is called {module!r}. It is looked for beside the study file that "
            "is run, and on Python's path: set PYTHONPATH to its folder, or install it."
        ) from None
    except (Exception, SystemExit) as error:  # a script, not a module, may end the program
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where}: {module} cannot be imported ({told}).") from error
    return attribute_of(where, found, attribute)


def plugin_digest(name: str) -> str:
    """The SHA-256 of the file that a plug-in stands in; of a built-in module, its name's.

    Raises:
        ConfigError: as `load_plugin`.

    """
    load_plugin("plug-in", name)
    file = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    source = name.encode() if file is None else Path(file).read_bytes()
    return hashlib.sha256(source).hexdigest()

"""Things that users bring in files of their own, named ``package.module:name``.

A module is looked for on Python's path, and beside the study file while that is read and run
(`beside`). Naming one runs it, as an import does: a study whose file names a module is a program.
So who names it decides:

- A file or a configuration that the user gives is the user's own: its modules are imported.
- A study's folder that is opened may be a stranger's. What it names is imported where the study is
  known (`stratigraph.trust`) or the user says so; otherwise it is *named only* (`naming_only`): the
  study opens for reading, and what would need the module raises an `UntrustedError`.
- Nothing is ever imported from the folder of a study that was opened (`forbid_folder`), nor from
  the standard library, of which some modules act when they are imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from stratigraph.errors import ConfigError, UntrustedError, suggest

__all__ = [
    "attribute_of",
    "beside",
    "folder_of",
    "forbid_folder",
    "import_path",
    "is_plugin",
    "load_plugin",
    "named_by",
    "naming_only",
    "parted",
    "plugin_digest",
    "require_plugins",
]

_loaded: set[str] = set()  # modules that were named
_beside: list[str] = []  # folders of study files that were opened
_forbidden: set[Path] = set()  # folders of studies that were opened
_reading: ContextVar[Path | None] = ContextVar("reading", default=None)


def is_plugin(name: object) -> bool:
    """Whether a name is ``module:name``, and not one of ours."""
    return isinstance(name, str) and ":" in name


def beside(folder: Path) -> None:
    """Look for modules in the folder of a study file too, from now on and in the workers."""
    place = str(folder.resolve())
    _beside.append(place)
    if place not in sys.path:
        sys.path.append(place)  # last: a file here hides no installed package


def forbid_folder(folder: Path) -> None:
    """From now on import no plug-in from this folder, the folder of a study that was opened."""
    _forbidden.add(folder.resolve())


def import_path() -> list[str]:
    """Python's path without the folders of studies that were opened; ``""`` is written out."""
    path = [entry or str(Path.cwd()) for entry in sys.path]
    return [entry for entry in path if not _is_forbidden(Path(entry))]


def _is_forbidden(place: Path) -> bool:
    # Asked of each plug-in anew: what it takes must not grow with the studies that were opened.
    resolved = place.resolve()
    return not _forbidden.isdisjoint((resolved, *resolved.parents))


@contextlib.contextmanager
def naming_only(study: Path | None) -> Iterator[None]:
    """Within, modules are named and not imported, by a study that is not trusted; None is as ever.

    What is made within and names modules remembers it (`named_by`), and asks for them within again.
    """
    if study is None:
        yield
        return
    before = _reading.set(study)
    try:
        yield
    finally:
        _reading.reset(before)


def named_by() -> Path | None:
    """The study that is read just now and is not trusted."""
    return _reading.get()


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
        UntrustedError: a study names it that is not trusted; nothing was imported.
        ConfigError: there is no such module, it cannot be imported, or it has no such name.

    """
    module, attribute = parted(where, name)
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ConfigError(
            f"{where}: {module} is one of Python's own modules; give yours another name."
        )
    study = named_by()
    if study is not None:
        raise UntrustedError(_refusal(where, module, study))
    _loaded.add(module)
    with _safe_path():
        return attribute_of(where, _import(where, module), attribute)


def folder_of(name: str) -> Path | None:
    """The folder that a plug-in's module, or the package around it, was imported from."""
    file = getattr(sys.modules.get(name.partition(":")[0].partition(".")[0]), "__file__", None)
    if file is None:
        return None
    place = Path(file).resolve()
    return place.parent.parent if place.name == "__init__.py" else place.parent


def require_plugins(names: Iterable[str]) -> None:
    """Import what is named, before anything begins that would need it.

    Raises:
        UntrustedError, ConfigError: as `load_plugin`.

    """
    for name in names:
        load_plugin("plug-in", name)


def _refusal(where: str, module: str, study: Path) -> str:
    top = module.partition(".")[0]
    with _safe_path():
        try:
            spec = importlib.util.find_spec(top)  # of a module without dots: nothing is run
        except (ImportError, ValueError):
            spec = None
    held = spec is not None and spec.origin is not None and not _is_forbidden(Path(spec.origin))
    origin = f"found at {spec.origin}" if spec is not None and held else "not on Python's path"
    return (
        f"{where}: the study {study} names the module {module} ({origin}), which "
        "would run as a program, and this study was not made by you on this machine. It can be "
        "read without. If you trust it and the module, add --trust (from Python: trust=True)."
    )


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Within, imports do not look into studies that were opened, whatever Python's path says."""
    before = sys.path[:]
    sys.path[:] = import_path()
    try:
        yield
    finally:
        sys.path[:] = before


def _import(where: str, module: str) -> ModuleType:
    """A module; its packages first, each looked at before it is run."""
    names = module.split(".")
    try:
        for end in range(1, len(names) + 1):
            part = ".".join(names[:end])
            if part not in sys.modules:
                _check_place(where, part)
            found = importlib.import_module(part)
    except ModuleNotFoundError as error:
        if error.name != module and not module.startswith(f"{error.name}."):
            raise ConfigError(f"{where}: {module} cannot be imported ({error}).") from error
        raise ConfigError(
            f"{where}: no module is called {module!r}. It is looked for next to the study file "
            "that is run, and on Python's path, but never in the folder of a study: set "
            f"PYTHONPATH to the folder that holds {names[0]}.py{_told_beside()}, or install it."
        ) from None
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # a script, not a module, may end the program
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where}: {module} cannot be imported ({told}).") from error
    return found


def _told_beside() -> str:
    """Where modules were looked for beside study files, the last of these places."""
    return f" (it is not in {_beside[-1]}, where the study's file was)" if _beside else ""


def _check_place(where: str, module: str) -> None:
    """Refuse a module inside a study that was opened: a path above it leads there as well."""
    spec = importlib.util.find_spec(module)
    origins = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    for origin in origins:
        if origin is not None and _is_forbidden(Path(origin)):
            raise ConfigError(
                f"{where}: {module} is in the folder of a study ({origin}), from which nothing "
                "is run; keep modules elsewhere."
            )


def plugin_digest(name: str) -> str:
    """The SHA-256 of the file that a plug-in stands in; of a built-in module, its name's.

    Raises:
        UntrustedError, ConfigError: as `load_plugin`.

    """
    load_plugin("plug-in", name)
    file = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    source = name.encode() if file is None else Path(file).read_bytes()
    return hashlib.sha256(source).hexdigest()

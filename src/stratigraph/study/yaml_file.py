"""Reading a study file: YAML with everything dangerous or ambiguous refused.

Beyond PyYAML's safe loader: a key twice in a mapping is an error (PyYAML keeps the last); ``1e-3``
is a number (YAML 1.1 reads it as text); ``no`` and ``yes`` are words rather than booleans, ``010``
and ``1:30`` words rather than 8 and 90, dates words; and aliases are refused, since a few lines of
them can stand for billions of values. Nor is a file larger than a study file can be.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from stratigraph.errors import ConfigError, DataError
from stratigraph.paths import check_path

__all__ = ["MOST_BYTES", "check_size", "parse_yaml", "read_yaml"]

MOST_BYTES = (
    64 * 1024
)  # a second of the parser's, at the worst; a study file of thirty lines has two


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's booleans and numbers, unique keys and no aliases."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if not tag.endswith((":bool", ":float", ":int", ":timestamp"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"tags ({event.tag}) are not read; write the value alone",
                event.start_mark,
            )
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                "aliases (*name) are not read; write the value out",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word or a number", key_node.start_mark
                )
            if key in lines:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key!r} is on line {lines[key]} and again here",
                    key_node.start_mark,
                )
            lines[key] = line
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def parse_yaml(text: str, where: str) -> Any:
    """The plain values of a YAML text.

    Args:
        text: one YAML document.
        where: what to call it in an error.

    Raises:
        ConfigError: it is not YAML, or holds what is refused; the message has line and column.

    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not readable as YAML ({error}).") from None


def check_size(path: Path) -> None:
    """Refuse, unread, a file that is larger than a study file can be.

    Raises:
        ConfigError: it is.
        OSError: it cannot be looked at.

    """
    _refuse_size(path, path.stat().st_size)


def _refuse_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise ConfigError(
            f"{path}: {size:,} bytes; a study file has at most {MOST_BYTES:,}. Is it a study file?"
        )


def read_yaml(path: Path) -> tuple[str, Any]:
    """The text of a YAML file, and its plain values.

    Raises:
        DataError: it is missing or a folder.
        ConfigError: see `parse_yaml`; also bytes that are not UTF-8, or too many of them.

    """
    try:
        check_size(check_path(path))
        with path.open("rb") as file:  # a device says that it has no bytes, and has no end
            content = file.read(MOST_BYTES + 1)
        _refuse_size(path, len(content))
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    value = parse_yaml(text, str(path))
    if value is None:
        raise ConfigError(f"{path}: holds nothing; expected a mapping of keys and values.")
    return text, value

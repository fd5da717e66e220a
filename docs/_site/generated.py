"""Parts of pages that are written from the code: ``<!-- generated: NAME -->`` stands for each.

The commands come from their options, the measures from the catalogue, so neither page can say
what the code does not.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable

import typer
from typer.main import get_command

import stratigraph as sg
from formulas import FORMULAS
from stratigraph.cli.help import EXAMPLES
from stratigraph.cli.main import app as command_line
from stratigraph.similarity.catalog import ALIASES, MEASURES
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.uses import USES

__all__ = ["commands", "fill", "measures", "public_names", "setup"]

PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
PROMISES = {
    "symmetric": "symmetric",
    "metric": "a metric (obeys the triangle inequality)",
    "biased": "biased upwards where units outnumber probes",
}
INVARIANCES = {
    "rotation": "rotations of the units",
    "permutation": "their order",
    "scale": "a positive factor",
    "translation": "an offset for each unit",
    "affine": "any invertible affine map",
}
# The rooms of the public names, under the headings of their page; what is in none comes last.
ROOMS = {
    "Compare": ("pairs", "activations", "representations"),
    "Measures, and what a score is worth": ("similarity",),
    "Train and record": ("stages", "training", "integrations", "data"),
    "Studies": ("home", "study"),
    "Figures and plans": ("report",),
    "Errors": ("errors",),
}


def _in_prose(text: str) -> str:
    """Text of a terminal as Markdown: what is marked up there by nothing is not marked up here."""
    return re.sub(r"([\\`*_<>\[\]|$])", r"\\\1", " ".join(text.split()))


def commands() -> str:
    """Each command with its usage, its help and its options."""
    root = get_command(command_line)
    above = typer.Context(root, info_name="stratigraph")
    parts = []
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=name, parent=above)
        usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
        help_text = "\n\n".join(_in_prose(p) for p in (command.help or "").split("\n\n"))
        parts.append(f"## {name}\n\n```text\n{usage}\n```\n\n{help_text}\n")
        lines = "\n".join(f"stratigraph {name} {given}" for given in EXAMPLES[name])
        parts.append(f"```sh\n{lines}\n```\n")
        rows = [p.get_help_record(context) for p in command.get_params(context)]
        parts.append("| option | what it does |\n|---|---|")
        parts += [
            f"| `{option.replace('|', '&#124;')}` | {_in_prose(what)} |".replace("&#124;", "\\|")
            for option, what in filter(None, rows)
        ]
        parts.append("")
    return "\n".join(parts)


def _number(value: float) -> str:
    return {math.pi / 2: "π/2"}.get(value, f"{value:g}".replace("-", "−"))


def _range(measure: Measure) -> str:
    low, high = measure.bounds
    ends = ("−∞" if low is None else _number(low), "∞" if high is None else _number(high))
    closed = ("(" if low is None else "[", ")" if high is None else "]")
    return f"{closed[0]}{ends[0]}, {ends[1]}{closed[1]}"


def measures() -> str:
    """Each measure with its formula, picture, promises, source and cost."""
    parts = []
    for name, measure in MEASURES.items():
        also = ", ".join(f"`{alias}`" for alias, meant in ALIASES.items() if meant == name)
        kept = [INVARIANCES[one] for one in INVARIANCES if getattr(measure, one)]
        said = [text for one, text in PROMISES.items() if getattr(measure, one)]
        if not measure.symmetric:
            said.insert(0, "not symmetric: what the first says about the second")
        if not measure.rotation:
            said.append("needs activations: a study's stored coordinates do not keep units")
        parts.append(
            f"(measure-{name.replace('_', '-')})=\n## `{name}`\n\n"
            f"{USES[name]}\n\n$$\n{FORMULAS[name]}\n$$\n\n"
            f"![{name} against the share of features in common, and against the number of units]"
            f"(../images/measures/{name}.webp)\n\n"
            f"| | |\n|---|---|\n"
            + (f"| also called | {also} |\n" if also else "")
            + f"| larger means | {_in_prose(measure.larger)} |\n"
            f"| range | {_range(measure)}; {_number(measure.itself)} with itself |\n"
            f"| unchanged by | {', '.join(kept) or 'nothing'} |\n"
            f"| promises | {'; '.join(said) or '–'} |\n"
            f"| fewest probes | {measure.least} |\n"
            f"| source | {_in_prose(measure.source)} |\n"
            f"| cost | {_in_prose(measure.cost)} |\n"
        )
    return "\n".join(parts)


def public_names() -> str:
    """Each public name with its docstring, by the room that it comes from."""
    found: dict[str, list[str]] = {heading: [] for heading in [*ROOMS, "More"]}
    for name in sg.__all__:
        thing = getattr(sg, name)
        if isinstance(thing, str):  # the version
            continue
        room = thing.__module__.split(".")[1]
        heading = next((one for one, rooms in ROOMS.items() if room in rooms), "More")
        if not inspect.isclass(thing):
            found[heading].append(f".. autofunction:: stratigraph.{name}")
        elif issubclass(thing, Exception):
            found[heading].append(f".. autoexception:: stratigraph.{name}")
        else:
            found[heading].append(f".. autoclass:: stratigraph.{name}\n   :members:")
    return "\n\n".join(
        f"## {heading}\n\n```{{eval-rst}}\n{chr(10).join(lines)}\n```"
        for heading, lines in found.items()
        if lines
    )


MAKERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "measures": measures,
    "names": public_names,
}


def fill(text: str) -> str:
    """A page's text with its generated parts."""
    return PLACE.sub(lambda match: MAKERS[match[1]](), text)


def _read(app: object, docname: str, source: list[str]) -> None:
    source[0] = fill(source[0])


def setup(app: object) -> dict[str, bool]:
    """Fill pages as they are read."""
    app.connect("source-read", _read, priority=400)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True, "parallel_write_safe": True}

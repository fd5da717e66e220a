"""Checkpoints on a disk as series: which are of one run, at which steps, with which seed.

What a path says is taken by a pattern, whose fields stand in braces::

    runs/beta{beta}-seed{seed}/checkpoint-{step}

``{step}`` and ``{seed}`` are whole numbers, ``{name}`` is the objective's name, and every other
field is a setting by which runs are told apart, but for those that begin with ``_``, which are
passed over. ``*`` and ``?`` stand for anything within the name of a folder, ``**`` for any folders;
they have to stand for the same in all checkpoints of a run, or it would be made of several. The
pattern is of the end of a path, or of folders in it.

What no pattern says is guessed from the names that are usual, and from the file itself:

step    ``checkpoint-500``, ``step1000``, ``step=500``, ``iter_10k``, ``epoch=3``, ``model_500.pt``,
        the folder above (``step_500/model.pt``), or the ``global_step`` that the file holds
seed    ``seed0``, ``seed=0``, ``seed_0`` anywhere in the path, else 0
run     one for each folder and seed; folders of several names are a setting called ``run``
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from stratigraph.errors import ConfigError, DataError
from stratigraph.paths import user_path
from stratigraph.records import read_contents
from stratigraph.values import is_whole

__all__ = ["Point", "Series", "find_series"]

NUMBER = r"(\d+)([kKmM]?)(?![\dA-Za-z])"
STEP = re.compile(
    rf"(?:step|iter|iteration|update|checkpoint|ckpt)s?[-_=.]?{NUMBER}", re.IGNORECASE
)
BY_STEP = re.compile(rf"(?:step|iter|iteration|update)s?[-_=.]?{NUMBER}", re.IGNORECASE)
EPOCH = re.compile(rf"(?:epoch|ep)s?[-_=.]?{NUMBER}", re.IGNORECASE)
PLAIN = re.compile(rf"(?:^|(?<!seed)[-_.=]){NUMBER}$", re.IGNORECASE)
SEED = re.compile(r"seed[-_=.]?(\d+)", re.IGNORECASE)
FIELD = re.compile(r"\{(\w+)\}|\*\*|\*|\?|[^*?{]+|\{")
WHOLE = ("step", "seed")
INSIDE = ("global_step", "step", "iter_num", "iteration", "epoch")  # of what a file holds
TIMES = {"": 1, "k": 10**3, "m": 10**6}
MOST_TOLD = 3


@dataclass(frozen=True)
class Point:
    """A checkpoint: a file or a folder, and its step, counted in ``unit``."""

    path: Path
    step: int
    unit: str


@dataclass(frozen=True)
class Series:
    """The checkpoints of one run, by their steps."""

    name: str | None
    seed: int
    settings: Mapping[str, Any]
    points: tuple[Point, ...]


def find_series(checkpoints: Iterable[str | Path], pattern: str | None = None) -> list[Series]:
    """The series that some checkpoints are of.

    Args:
        checkpoints: globs, files and folders.
        pattern: what their paths say, as above.

    Raises:
        DataError: there are none; or no step is known of one.
        ConfigError: a pattern that is none, or that a path does not have.

    """
    paths = _paths(checkpoints)
    expression = None if pattern is None else _expression(pattern)
    groups: dict[tuple[Any, ...], list[Point]] = {}
    folders: dict[tuple[Any, ...], str] = {}
    forms: dict[tuple[Any, ...], dict[str, Path]] = {}
    nowhere = []
    for path in paths:
        match = None if expression is None else _match(path, str(pattern), expression)
        fields = {} if match is None else _fields(match)
        try:
            point, folder, at = _point(path, fields)
        except DataError as error:
            nowhere.append(error)
            continue
        told = {k: v for k, v in fields.items() if k not in WHOLE}
        seeds = SEED.findall(path.as_posix())
        seed = fields["seed"] if "seed" in fields else int(seeds[-1]) if seeds else 0
        # Without a field of a run's own, the folder tells runs apart.
        where = "" if set(fields) - {"step"} else _blanked(folder, match, None)
        where = re.sub(r"[-_=./]?\{step\}", "", where)
        own = (seed, where, *sorted(told.items()))
        groups.setdefault(own, []).append(point)
        folders[own] = where
        if at or match:  # a step that the file alone tells says nothing of its name
            forms.setdefault(own, {}).setdefault(_blanked(path.as_posix(), match, at), path)
    for some in forms.values():
        _check_one_form(some)
    if nowhere:
        more = f" And {len(nowhere) - 1} more." if len(nowhere) > 1 else ""
        raise DataError(f"{nowhere[0]}{more}")
    names = _short(list(dict.fromkeys(folders.values())))
    found = []
    for own, points in groups.items():
        seed, where, *pairs = own
        settings = dict(pairs)
        name = settings.pop("name", None)
        if len(names) > 1:
            settings["run"] = names[where]
        units = {point.unit for point in points}
        if len(units) > 1:
            raise DataError(
                f"{points[0].path}: some checkpoints of this run are identified by their "
                f"{' and some by their '.join(sorted(units))}; say which with --pattern …{{step}}."
            )
        points.sort(key=lambda point: (point.step, point.path.as_posix()))
        found.append(Series(None if name is None else str(name), seed, settings, tuple(points)))
    return found


def _paths(checkpoints: Iterable[str | Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for one in checkpoints:
        text = str(user_path(one))
        # Path.glob takes no absolute pattern.
        matched = [text] if Path(text).exists() else sorted(glob(text, recursive=True))  # noqa: PTH207
        if not matched:
            raise DataError(f"--checkpoints: there is nothing at {one}; expected files or folders.")
        found |= {Path(path): None for path in matched}
    if not found:
        raise DataError("--checkpoints: expected files, folders or globs, got none.")
    return list(found)


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression over a whole path, without its ending."""
    parts, seen = [], set()
    for token in FIELD.finditer(pattern.strip("/").removeprefix("./")):
        field = token[1]
        if field:
            if field in seen:
                raise ConfigError(f"--pattern: {{{field}}} is in {pattern!r} twice.")
            seen.add(field)
            parts.append(rf"(?P<{field}>\d+)" if field in WHOLE else rf"(?P<{field}>[^/]+?)")
        else:
            signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
            parts.append(signs.get(token[0], re.escape(token[0])))
    if not seen:
        raise ConfigError(
            f"--pattern: {pattern!r} has no field; expected some in braces, such as "
            "runs/lr{lr}-seed{seed}/checkpoint-{step}."
        )
    try:
        return re.compile(rf"(?:.*/)?{''.join(parts)}(?:\.\w+)?(?:/.*)?")
    except re.error as error:
        raise ConfigError(f"--pattern: {pattern!r} cannot be read ({error}).") from None


def _match(path: Path, pattern: str, expression: re.Pattern[str]) -> re.Match[str]:
    found = expression.fullmatch(path.as_posix())
    if found is None:
        raise ConfigError(f"--pattern: {path} is not of the form {pattern}.")
    return found


def _fields(match: re.Match[str]) -> dict[str, Any]:
    named = {name: text for name, text in match.groupdict().items() if not name.startswith("_")}
    return {name: _value(text, name in WHOLE) for name, text in named.items()}


def _blanked(text: str, match: re.Match[str] | None, step: tuple[int, int] | None) -> str:
    """A path, or a folder of it, without what may differ between checkpoints of one run.

    That is its fields, its seed, its ending, and a step that was found at that place with the epoch
    before it and what else follows it in the same name, such as a loss.
    """
    spans = {name: match.span(name) for name in match.groupdict()} if match else {}
    if step is not None:
        start, end = text.rfind("/", 0, step[0]) + 1, (text + "/").index("/", step[1])
        name = EPOCH.sub("epoch", text[start : step[0]])
        inside = [field for field, (at, _) in spans.items() if start <= at < end]
        name += "{step}" + "".join(f"{{{field}}}" for field in inside)
        rest = {field: span for field, span in spans.items() if field not in inside}
        text = _filled(text[:start], rest, 0) + name + _filled(text[end:], rest, end)
    else:
        text = _filled(text, spans, 0)
    return SEED.sub("seed", re.sub(r"\.[A-Za-z]\w*$", "", text))


def _filled(text: str, spans: Mapping[str, tuple[int, int]], offset: int) -> str:
    """A part of a path from ``offset`` on with the names of fields for what they are."""
    for name, (start, end) in sorted(spans.items(), key=lambda one: -one[1][0]):
        if offset <= start and end <= offset + len(text):
            text = f"{text[: start - offset]}{{{name}}}{text[end - offset :]}"
    return text


def _check_one_form(forms: Mapping[str, Path]) -> None:
    """Refuse one run of paths that differ where nothing says why.

    Raises:
        ConfigError: there are several forms.

    """
    if len(forms) > 1:
        told = list(forms)[:MOST_TOLD]
        some = list(map(str, forms.values()))[:2]
        raise ConfigError(
            f"--pattern: {' and '.join(some)} would belong to one run, and nothing tells them "
            f"apart: paths of {len(forms)} forms, {', '.join(told)}"
            f"{', …' if len(forms) > len(told) else ''}. Put a field where they differ, instead "
            "of any *: {run} if it tells runs apart, {_} if it does not."
        )


def _value(text: str, whole: bool) -> Any:
    if whole or re.fullmatch(r"-?\d+", text):
        return int(text)
    number = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    return float(text) if number else text


def _point(path: Path, fields: Mapping[str, Any]) -> tuple[Point, str, tuple[int, int] | None]:
    """A checkpoint's step, the folder of its run, and where in the path a step was found."""
    if "step" in fields:
        return Point(path, fields["step"], "step"), path.parent.as_posix(), None
    stem = path.name if path.is_dir() else path.stem
    end = len(path.as_posix()) - len(path.name)
    for name, place, start in (
        (stem, path.parent, end),
        (path.parent.name, path.parent.parent, end - 1 - len(path.parent.name)),
    ):
        for expression in (BY_STEP, STEP, EPOCH, PLAIN):
            found = [*expression.finditer(name)]
            if found and (expression is not PLAIN or name == stem):
                at = start + found[-1].start(), start + found[-1].end()
                unit = "epoch" if expression is EPOCH else "step"
                return Point(path, _times(*found[-1].groups()), unit), place.as_posix(), at
    if path.is_file() and path.suffix != ".safetensors":
        held = read_contents(path)
        for key in INSIDE:
            step = held.get(key) if isinstance(held, Mapping) else None
            if is_whole(step) and step >= 0:
                unit = "epoch" if key == "epoch" else "step"
                return Point(path, step, unit), path.parent.as_posix(), None
    raise DataError(
        f"{path}: neither its name nor its contents give a step; say where its path has one, as "
        "in --pattern 'runs/{run}/model-{step}'."
    )


def _times(number: str, unit: str) -> int:
    return int(number) * TIMES[unit.lower()]


def _short(folders: list[str]) -> dict[str, str]:
    """Folders by what tells them apart: without the parts that all begin and end with."""
    levels = [folder.split("/") for folder in folders]
    while len(levels) > 1 and all(len(one) > 1 and one[0] == levels[0][0] for one in levels):
        levels = [one[1:] for one in levels]
    while len(levels) > 1 and all(len(one) > 1 and one[-1] == levels[0][-1] for one in levels):
        levels = [one[:-1] for one in levels]
    return {folder: "/".join(one) for folder, one in zip(folders, levels, strict=True)}

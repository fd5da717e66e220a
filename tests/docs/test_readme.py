"""The README's and the documentation's blocks do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from stratigraph.cli.main import app
from stratigraph.study.parse import parse_config
from stratigraph.study.yaml_file import parse_yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """(page and line, text) of every block in a language."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match[1] == language and not match[2]:
                line = text[: match.start()].count("\n") + 1
                found.append(pytest.param(match[3], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_block_is_a_study(text):
    assert parse_config(parse_yaml(text, "block")).runs


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_and_options_exist(text):
    command = get_command(app)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets
        if words[:1] == ["stratigraph"]:
            chosen = command.commands[words[1]]
            options = {name for parameter in chosen.params for name in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options
            for word in words:
                if word.startswith("studies/"):
                    assert (ROOT / word).is_file()


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_studies_are_valid_and_say_their_size():
    sizes = {}
    for path in sorted((ROOT / "studies").glob("*.yaml")):
        sizes[path.stem] = len(parse_config(parse_yaml(path.read_text(), path.name)).runs)
        assert yaml.safe_load(path.read_text())["description"]
    assert sizes["paper"] == 300
    assert sizes["paper-small"] == 58
    assert sizes["quick"] == 12
    assert sizes["fashion"] == 8
    assert sizes["architectures"] == 84

"""The README's and the documentation's blocks do what they say."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from pages import PAGES, ROOT, blocks, read_page
from typer.main import get_command

from stratigraph.cli.main import app
from stratigraph.study.parse import parse_config
from stratigraph.study.yaml_file import parse_yaml


def written(language: str) -> list[object]:
    """The text of every block in a language that is meant to be run."""
    return [
        pytest.param(text, id=f"{page.name}:{line}")
        for page in PAGES
        for line, spoken, shown, text in blocks(page)
        if spoken == language and not shown
    ]


@pytest.mark.parametrize("text", written("yaml"))
def test_yaml_block_is_a_study(text):
    assert parse_config(parse_yaml(text, "block")).runs


@pytest.mark.parametrize("text", written("sh"))
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
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read_page(page)):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_studies_are_valid_and_say_their_size():
    sizes = {}
    for path in sorted((ROOT / "studies").glob("*.yaml")):
        sizes[path.stem] = len(parse_config(parse_yaml(path.read_text(), path.name)).runs)
        assert yaml.safe_load(path.read_text())["description"]
    assert sizes["paper"] == 300
    assert sizes["paper-small"] == 58
    assert (sizes["pilot"], sizes["paper-decided"], sizes["paper-medium"]) == (18, 52, 96)
    assert (sizes["quick"], sizes["paper-long"]) == (12, 4)
    assert sizes["fashion"] == 8
    assert sizes["architectures"] == 84

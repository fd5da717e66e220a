"""YAML with everything dangerous or ambiguous refused."""

from __future__ import annotations

import time

import pytest

from stratigraph.errors import ConfigError, DataError
from stratigraph.study.yaml_file import parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("5e-4", 0.0005), ("1E5", 1e5), ("-2.5e+3", -2500.0), (".5", 0.5),
        ("1.", 1.0), ("3", 3), ("-7", -7), ("0", 0), ("true", True), ("False", False),
        ("no", "no"), ("on", "on"), ("1.2.3", "1.2.3"), ("e5", "e5"), ("010", "010"),
        ("1:30", "1:30"), ("2026-11-24", "2026-11-24"),
        ("0x10", "0x10"), ("-", None), ("1e", "1e"),
    ],
)  # fmt: skip
def test_words_and_numbers(text, value):
    read = parse_yaml(f"key: {text}" if text != "-" else "key:", "here")["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "here, line 3, column 1: the key 'a' is on line 1 and again here"),
        ("x: {a: 1, a: 2}", "the key 'a' is on line 1"),
        ("a: &b 1\nc: *b", "here, line 2, column 4: aliases"),
        (
            "a: !!python/object/apply:os.system ['true']",
            "tags (tag:yaml.org,2002:python/object/apply:os.system) are not read",
        ),
        ("a:\n\t- 1", "here, line 2, column 1"),
        ("a: [1, 2", "here, line 1"),
        ("? [1, 2]\n: 3", "a key must be a word or a number"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ConfigError) as told:
        parse_yaml(text, "here")
    assert message in str(told.value)


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    began = time.process_time()
    with pytest.raises(ConfigError, match="aliases"):
        parse_yaml("\n".join(lines), "bomb")
    assert time.process_time() - began < 1


def test_files(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"line 2: not UTF-8"):
        read_yaml(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(DataError, match="cannot be read"):
        read_yaml(tmp_path)

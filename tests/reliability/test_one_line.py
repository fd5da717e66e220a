"""What cannot be is told in one line, with a code of our own: never a traceback, never a flood."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import stratigraph as sg
from stratigraph.cli.compare_networks import read_inputs
from stratigraph.cli.main import main
from stratigraph.errors import ConfigError, DataError, StratigraphError
from stratigraph.npy import read_header
from stratigraph.paths import check_path, user_path
from stratigraph.records import write_json
from stratigraph.report.drawing import Sketch, draw
from stratigraph.report.figures.style import new_figure
from stratigraph.study.parse import load_config
from stratigraph.terminal import visible

SOURCE = Path(__file__).parents[2] / "src"
LONG = "1" + "0" * 400


def one_line(capsys, *arguments: object) -> tuple[int, str]:
    """The exit code and the one line of a command that is refused."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr().err
    assert told.startswith("stratigraph: ")
    assert told.count("\n") == 1, told
    assert len(told) < 1500
    return int(stopped.value.code or 0), told


@pytest.mark.parametrize("value", [
    LONG, f"-{LONG}", "9" * 5000, "!!int ''", "!!bool maybe", "!!float x", "!!timestamp x",
    "!!binary x", "1e400", ".nan", "[[1]]", "{a: 1}",
])  # fmt: skip
@pytest.mark.parametrize(("old", "new"), [
    ("learning_rate: 1e-3", "learning_rate: {}"),
    ("beta: [1, 4]", "beta: [{}]"),
    ("steps: 12", "steps: {}"),
    ("measures:", "resources: {{cpus: {}}}\nmeasures:"),
    ("seed: [0, 1]", "seed: [0]\n  freezing: [{{threshold: {}}}]"),
    ("pairs: claims", "pairs: claims, tolerance: {}"),
])  # fmt: skip
def test_values_that_are_none(tiny_file, tmp_path, old, new, value):
    path = tmp_path / "s.yaml"
    text = tiny_file.read_text()
    assert old in text
    path.write_text(text.replace(old, new.format(value)))
    with pytest.raises(ConfigError) as told:
        load_config(path)
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize("value", ["1e39", "1e308", "1e-400", "0"])
def test_rates_that_no_float_holds(tiny_file, tmp_path, value):
    path = tmp_path / "s.yaml"
    path.write_text(tiny_file.read_text().replace("learning_rate: 1e-3", f"learning_rate: {value}"))
    with pytest.raises(ConfigError, match="learning_rate: expected a number > 0"):
        load_config(path)


def test_paths_that_none_can_be(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in ("a\0b", loop, "x" * 300, "x/" * 3000, "\ud800"):
        with pytest.raises(DataError, match="impossible path") as told:
            check_path(path)
        assert len(str(told.value)) < 400
    with pytest.raises(DataError, match="this machine has no such user"):
        user_path("~nobody-is-called-so/x")
    for place in ("a\0b/", "~nobody-is-called-so/x.npy", f"{loop}/", "x" * 300 + "/"):
        with pytest.raises(DataError, match=r"impossible path|no such user"):
            sg.load_dataset(place)
        if place[0] != "~":  # which the shell expands
            with pytest.raises(DataError):
                sg.load_study(place)
    for where in ("a\0b", "~nobody-is-called-so", loop):
        with pytest.raises(DataError):
            sg.load_dataset("sprites", size=32, cache_dir=where).images([0])
    with pytest.raises(ConfigError, match="expected a path, got 3"):
        sg.load_dataset("sprites", size=32, cache_dir=3).images([0])


@pytest.mark.parametrize("command", ["list", "verify", "run", "plan", "serve", "compare"])
def test_commands_are_given_paths_that_none_can_be(capsys, tmp_path, command):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop, "x" * 300):
        code, _ = one_line(capsys, command, path)
        assert code in (3, 6)


def test_a_device_is_no_study_file(capsys):
    """It says that it has no bytes, and has no end."""
    code, told = one_line(capsys, "plan", "/dev/zero")
    assert code == 2
    assert "a study file has at most" in told


def npy(text: str, values: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    """A file in NumPy's format with any header."""
    header = text.encode("latin-1")
    size = struct.pack("<H" if version == 1 else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + values


def facts(shape: str, descr: str = "'<f8'", order: bool = False) -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HEADERS = {
    "an open bracket": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (20, 3"),
    "brackets": npy("(" * 5000),
    "a header of 4 GB": npy("{'descr'", version=2, length=2**32 - 1),
    "NUL": npy("\0\0{'descr'"),
    "4 GB": npy(facts("(536870912, 1)"), bytes(480)),
    "4 GB of one axis": npy(facts("(536870912,)"), bytes(480)),
    "4 GB in Fortran's order": npy(facts("(536870912, 1)", order=True), bytes(480)),
    "a text of 4 GB": npy(facts("(1,)", "'|S4000000000'")),
    "a side of 400 digits": npy(facts(f"({LONG}, 3)"), bytes(480)),
    "less than nothing": npy(facts("(-20, -3)"), bytes(480)),
    "rows of nothing": npy(facts(f"({2**40}, 0)")),
    "no shape": npy(facts("('a',)")),
    "no type": npy(facts("(1,)", "[('a', '<f8')] * 3")),
    "version 3": npy(facts("(1,)"), bytes(8), version=3),
    "the start alone": b"\x93NUMPY",
    "something else": b"<html>",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_lie(tmp_path, kind):
    plain, packed, good = tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "good.npy"
    plain.write_bytes(HEADERS[kind])
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", HEADERS[kind])
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.save(good, x)
    readers = (
        lambda path: sg.linear_cka(sg.load_representations(path), x),
        lambda path: sg.load_representations(good, ids=str(path)),
        sg.load_dataset,
        read_inputs,
        lambda path: sg.load_dataset(np.zeros((20, 8, 8), np.uint8), factors=str(path)),
    )
    for path in (plain, packed):
        for read in readers:
            with pytest.raises(StratigraphError) as told:
                read(path)
            assert len(str(told.value)) < 600


def test_a_header_is_not_read_beyond_its_limit():
    class Counting:
        def __init__(self) -> None:
            self.asked: list[int] = []
            self.data = memoryview(HEADERS["a header of 4 GB"])

        def read(self, size: int = -1) -> bytes:
            self.asked.append(size)
            part, self.data = self.data[:size], self.data[size:]
            return bytes(part)

    file = Counting()
    with pytest.raises(ValueError, match="its header is 4,294,967,295 bytes long"):
        read_header(file, 100)
    assert max(file.asked) < 100


@pytest.mark.parametrize(
    ("width", "height"), [(1, 100_000_000), (100_000_000, 1), (13_000, 13_000), (1, 70_000)]
)
def test_pictures_that_would_take_all_memory(tmp_path, width, height):
    """The size is looked at before a line is decoded; of these there is none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"a\.png: .* pixels; at most 67,108,864 are decoded"):
            sg.load_dataset(folder, size=32, cache_dir=tmp_path / "cache")


def run_with(redirect: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = " ".join(arguments)
    return subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m stratigraph {words} {redirect}"],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(("redirect", "code", "told"), [
    (">/dev/full", 6, "standard output: it cannot be written to (No space left on device)"),
    (">&-", 6, "standard output: it is closed; send it to /dev/null to drop it"),
    ("2>/dev/full", 0, ""),
    (">&- 2>&-", 6, ""),
])  # fmt: skip
def test_output_that_goes_nowhere(redirect, code, told):
    done = run_with(redirect, "measures", "--json")
    assert done.returncode == code
    assert done.stderr == (f"stratigraph: {told}.\n" if told else "")


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\b"


def test_control_characters_are_shown():
    assert visible("déjà vu — 日本 \u00a0→") == "déjà vu — 日本 \u00a0→"
    told = visible(f"a{HOSTILE}\nb\ud800")
    assert told.isprintable()
    assert told == r"a\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\x08\nb\ud800"


@pytest.mark.parametrize("arguments", [
    [HOSTILE], ["list", "x", HOSTILE], ["list", f"--{HOSTILE}"], ["list"], ["nothing"],
    ["plan", "x", "--max-runs", HOSTILE], ["run", "x", f"--workers={HOSTILE}"],
    ["compare", "x", "--engine", HOSTILE],
])  # fmt: skip
def test_what_the_parser_of_arguments_says_is_one_line_of_ours(capsys, arguments):
    """Of every version of Typer and Click, which pass control characters, or some of them."""
    code, told = one_line(capsys, *arguments)
    assert code in (2, 3)
    assert visible(told[:-1]) == told[:-1]


def test_hostile_reasons_are_shown_in_list_show_and_errors(tiny_study, tmp_path, capsys):
    import shutil

    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    run = next(iter(tiny_study.runs))
    state = {"state": f"failed{HOSTILE}", "step": 3, "reason": HOSTILE, "signs": [HOSTILE]}
    write_json(folder / "runs" / run / "state.json", state)
    strange = folder / f"x{HOSTILE}".replace("\x00", "")
    strange.write_text("")
    commands = (
        ["list", folder], ["show", folder, run], ["show", folder, HOSTILE], ["verify", folder],
        ["list", tmp_path / HOSTILE],
    )  # fmt: skip
    for command in commands:
        with pytest.raises(SystemExit):
            main([str(word) for word in command])
        heard = capsys.readouterr()
        for line in (heard.out + heard.err).split("\n"):
            assert visible(line) == line
        assert r"\x1b[2J" in heard.out + heard.err, command
    for command in (["list", folder, "--json"], ["show", folder, run, "--json"]):
        with pytest.raises(SystemExit):
            main([str(word) for word in command])
        out = capsys.readouterr().out
        assert out.replace("\n", "").isascii()
        assert out.replace("\n", "").isprintable()


def test_everything_that_is_printed_goes_through_one_place():
    """`stratigraph.terminal`, and for a board the console of `stages.progress`."""
    printing = re.compile(r"\b(?:typer|click)\.echo\(|\bprint\(|sys\.std(?:out|err)\.write")
    allowed = {"terminal.py", "progress.py"}
    for path in sorted((SOURCE / "stratigraph").rglob("*.py")):
        text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        text = re.sub(r"^\s*[\"'f`].*$", "", text, flags=re.MULTILINE)  # texts that speak of it
        assert path.name in allowed or not printing.findall(text), path


def test_a_dollar_in_a_name_is_a_dollar():
    def sketch() -> mpl.figure.Figure:
        figure = new_figure(2, 2)
        axis = figure.add_subplot()
        axis.set_xscale("log")
        axis.plot([20, 80], [0, 1], label=r"$\nothing{")
        axis.set_title(r"$_$ layer$0$ \frac{")
        axis.set_xticks([20, 50], ["$a$", r"$\x{"])
        axis.legend()
        return figure

    assert draw(Sketch("x", sketch), ("svg", "pdf")).files["webp"]


@pytest.mark.parametrize("key", ["representations", "ways", "claims", "snapshots", "measures"])
def test_a_value_of_ten_thousand_letters_is_no_flood(tmp_path, tiny_file, capsys, key):
    path = tmp_path / "s.yaml"
    others = re.sub(rf"(?ms)^{key}:.*?(?=^\w|\Z)", "", tiny_file.read_text())
    path.write_text(f"{others}{key}: {'a' * 10_000}\n")
    code, told = one_line(capsys, "plan", path)
    assert code == 2
    assert "characters) … " in told
    assert key.removesuffix("s") in told.partition("aaa")[0]

"""What the command says of itself: examples that it takes, choices, completion, other files."""

import shlex

import numpy as np
import pandas as pd
import pytest
import torch
import typer
import xarray
from typer.main import get_command

from stratigraph.cli.help import EXAMPLES, SUMMARIES
from stratigraph.cli.main import COMMANDS, app, main

COMMAND = get_command(app)


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return ended.value.code or 0


def test_commands_stand_in_the_order_of_use_with_summaries_that_fit(capsys):
    assert command("--help") == 0
    told = capsys.readouterr().out
    lines = told.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(SUMMARIES) == list(COMMANDS)
    assert not any(line.endswith("...") for line in lines)
    assert "--install-completion" in told


@pytest.mark.parametrize("name", list(SUMMARIES))
def test_every_help_has_an_example_that_parses(name, capsys):
    assert command(name, "--help") == 0
    told = capsys.readouterr().out
    assert "<" not in told.replace("<file's name>", "").replace("<units>", "")
    for given in EXAMPLES[name]:
        assert f"  stratigraph {name} {given}\n" in told
        own = COMMAND.commands[name]
        own.make_context(name, shlex.split(given), resilient_parsing=False)


def test_the_shell_completes_commands(monkeypatch, capsys):
    monkeypatch.setenv("_STRATIGRAPH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "stratigraph ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        app(prog_name="stratigraph")
    assert capsys.readouterr().out.split() == ["extract", "export"]


def test_choices_are_shown_and_completed():
    engine = next(one for one in COMMAND.commands["run"].params if one.name == "engine")
    context = typer.Context(COMMAND.commands["run"])
    assert engine.metavar == "local|ray"
    assert [one.value for one in engine.shell_complete(context, "r")] == ["ray"]


def test_files_of_another_kind_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}}, "w.ckpt")
    torch.save({"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}, "w.pt")
    (tmp_path / "page.npz").write_text("\n<!DOCTYPE html>\n<html>")
    (tmp_path / "page.html").write_text("<html><body>")
    np.save("x.npy", np.zeros((8, 3)))
    networks = ("--factory", "m:net", "--inputs")
    for arguments, expected in (
        (("run", "w.ckpt"), "w.ckpt: expected a study file"),
        (("list", "page.html"), "page.html: expected a study file"),
        (("show", "x.npy", "3f"), "it is arrays; files of representations are compared by"),
        (("compare", "w.ckpt", "w.ckpt"), "--model FILE --factory MODULE:FUNCTION --inputs FILE"),
        (("compare", "w.pt", "x.npy"), "looks like a network's weights (a.weight)"),
        (("compare", "page.npz", "x.npy"), "page.npz: expected representations; it is an HTML"),
        (("compare", "--model", "x.npy", *networks, "w.pt"), "w.pt: expected inputs"),
        (("compare", "--model", "x.npy", *networks, "page.npz"), "it is an HTML page"),
    ):
        assert command(*arguments) in (2, 3), arguments
        assert expected in capsys.readouterr().err, arguments


def test_weights_named_by_hand_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"a.weight": torch.randn(8, 4), "a.bias": torch.ones(3)}, "w.pt")
    assert command("compare", "w.pt:a.weight") == 0


def test_tables_are_written_where_they_are_printed(tiny_study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command("list", tiny_study.path, "--out", "runs.csv") == 0
    assert set(pd.read_csv("runs.csv")["run"]) == set(tiny_study.runs)
    assert command("list", tiny_study.path, "--out", "runs.nc") == 0
    with xarray.open_dataset("runs.nc") as kept:
        assert set(kept["run"].values) == set(tiny_study.runs)
    asked = ("--out", "f.parquet", "--figure", "f.svg", "--quiet")
    assert command("assess", tiny_study.path, *asked) == 0
    table = pd.read_parquet("f.parquet")
    assert table["key"].tolist() == tiny_study.findings_frame()["key"].tolist()
    assert (tmp_path / "f.svg").read_bytes().startswith(b"<?xml")
    run = next(iter(tiny_study.runs))
    asked = ("--out", "losses.csv", "--figure", "losses.png", "--json")
    assert command("show", tiny_study.path, run, *asked) == 0
    assert set(pd.read_csv("losses.csv")["split"]) == {"training", "validation"}
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert command("measures", "cka", "--out", "m.csv", "--json") == 0
    assert pd.read_csv("m.csv")["name"].tolist() == ["debiased_cka"]
    assert command("list", tiny_study.path, "--out", "runs.txt") == 2
    assert "--out: expected a file that ends in .parquet, .csv, .nc" in capsys.readouterr().err


def test_which_of_two_files_is_closer_and_wide_ones_are_noted_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 50))
    for name, spread in (("a", 0), ("b", 0.3), ("c", 2)):
        np.save(f"{name}.npy", x + spread * rng.normal(size=x.shape))
    assert command("compare", "a.npy", "b.npy", "c.npy", "--closer") == 0
    assert "x is closer to y: debiased_cka" in capsys.readouterr().out
    assert command("compare", "a.npy", "b.npy", "--closer") == 2
    assert "--closer: expected three representations, got 2 (a, b)" in capsys.readouterr().err
    assert command("compare", "a.npy", "b.npy", "c.npy", "--measure", "linear_cka") == 0
    assert capsys.readouterr().out.count("biased upwards") == 1

"""``stratigraph compare --model``: two networks from their weights, in the shell's words."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import xarray
from safetensors.torch import save_file

import stratigraph as sg
from stratigraph.cli.compare_networks import make_network
from stratigraph.cli.main import main
from stratigraph.pairs.intervals import interval_matrix
from stratigraph.records import load_weights

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

def wrong():
    return 3

def neighbour():
    from beside_made_here import WIDTH
    return nn.Sequential(nn.Linear(6, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3))

def needs(seed):
    return make()

def fails():
    return {}["width"]

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 6)
        self.out = nn.Linear(6, 3)
    def forward(self, ids, here):
        return self.out(self.words(ids))

ready = make()
parts = nn.ModuleDict({"net": make()})
single = make()
single.kept = single[0].weight * 2
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "made_here.py").write_text(FACTORY)
    (tmp_path / "beside_made_here.py").write_text("WIDTH = 8\n")
    for name in ("made_here", "beside_made_here"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        save_file(make_network("made_here:make").state_dict(), f"{name}.safetensors")
    np.savez("cut.npz", x=np.zeros(900))
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.save("narrow.npy", np.zeros((40, 5)))
    np.savez("named.npz", pixels=np.zeros((40, 6)))
    np.save("x.npy", np.random.default_rng(0).normal(size=(40, 6)))
    return tmp_path


def command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *arguments])
    return stopped.value.code or 0


BOTH = ("--model", "a.safetensors", "--model", "b.safetensors")
GIVEN = (*BOTH, "--factory", "made_here:make", "--inputs", "x.npy")


def test_two_networks(files, capsys):
    assert command(*GIVEN, "--json", "--layers", "type:Linear") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["x"] == found["y"] == ["0", "2"]
    networks = [make_network("made_here:make") for _ in range(2)]
    for network, name in zip(networks, "ab", strict=True):
        load_weights(network, f"{name}.safetensors")
    want = sg.compare(*networks, np.load("x.npy"), layers=["0", "2"])
    np.testing.assert_allclose(found["values"], want.values)
    assert command(*GIVEN, "--measure", "procrustes_similarity", "--explain") == 0
    told = capsys.readouterr().out
    assert "procrustes_similarity of 40 inputs\nplan: " in told


@pytest.mark.parametrize("more", [(), ("--interval",)], ids=["plain", "interval"])
def test_chance_of_networks(more, files, capsys):
    assert command(*GIVEN, "--null", "19", *more, "--out", "t.nc") == 0
    told = capsys.readouterr().out
    assert "chance: probes of y permuted 19 times, seed 0\nbest of 0: " in told
    networks = [make_network("made_here:make") for _ in range(2)]
    for network, name in zip(networks, "ab", strict=True):
        load_weights(network, f"{name}.safetensors")
    want = sg.compare(*networks, np.load("x.npy"), null=19)
    with xarray.open_dataarray("t.nc") as kept:
        for name in ("p", "calibrated", "p_column", "p_matrix"):
            np.testing.assert_allclose(kept[name], want[name], atol=1e-6)


@pytest.mark.parametrize("measure", ["debiased_cka", "mutual_knn"])
def test_intervals_tables_and_pictures_are_those_of_files(measure, files, capsys):
    networks = [make_network("made_here:make") for _ in range(2)]
    for network, name in zip(networks, "ab", strict=True):
        load_weights(network, f"{name}.safetensors")
    read = [sg.capture(network, np.load("x.npy")) for network in networks]
    want = interval_matrix(*read, measure)
    asked = (*GIVEN, "--measure", measure, "--interval", "--figure", "heat.svg", "--out", "t.csv")
    assert command(*asked, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    for end, held in (("values", want), ("lower", want["lower"]), ("upper", want["upper"])):
        np.testing.assert_allclose(found[end], held.values, atol=1e-6)
    assert found["inputs"] == 40
    table = pd.read_csv("t.csv")
    np.testing.assert_allclose(table["upper"], want["upper"].values.ravel(), atol=1e-6)
    assert table["probes"].tolist() == [40] * 9
    assert (files / "heat.svg").read_bytes().startswith(b"<?xml")
    if measure == "debiased_cka":  # estimated from batches, whose spread gives the interval
        assert command(*asked, "--memory", "1 KB", "--json") == 0
        assert "from the spread of batches" in json.loads(capsys.readouterr().out)["interval"]
    else:
        assert command(*asked, "--memory", "1 KB") == 2
        assert "an interval needs every activation at once" in capsys.readouterr().err
    assert command(*GIVEN, "--figure", "heat.gif") == 2
    assert "--figure: expected a file that ends in .png" in capsys.readouterr().err


def test_tokens_that_are_not_there_do_not_count(files, capsys):
    """What stands in the padding changes nothing, once it is said which input is the mask."""
    rng = np.random.default_rng(0)
    save_file(make_network("made_here:Tokens").state_dict(), "t.safetensors")
    here = np.arange(7) < rng.integers(2, 8, (40, 1))
    ids = rng.integers(0, 10, (40, 7))
    found = []
    for padding in (0, 9):
        np.savez("tokens.npz", ids=np.where(here, ids, padding), here=here.astype(np.int64))
        asked = ("--model", "t.safetensors", "--factory", "made_here:Tokens", "--inputs")
        asked = (*asked, "tokens.npz", "--reduce", "tokens", "--mask", "here", "--memory", "50 MB")
        assert command(*asked, "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["values"])
    assert found[0] == found[1]


def test_one_network_with_itself(files, capsys):
    options = ("--model", "a.safetensors", "--factory", "made_here:make", "--inputs", "x.npy")
    assert command(*options, "--json") == 0
    np.testing.assert_allclose(np.diag(json.loads(capsys.readouterr().out)["values"]), 1)


def test_a_factory_imports_what_is_beside_it_when_it_is_called(files):
    before = list(sys.path)
    assert make_network("made_here:neighbour")[0].out_features == 8
    assert sys.path == before


def test_a_network_that_is_made_already_is_taken_and_not_shared(files, capsys):
    assert command(*GIVEN, "--json") == 0
    want = json.loads(capsys.readouterr().out)["values"]
    for name in ("ready", "parts.net"):
        given = (*BOTH, "--factory", f"made_here:{name}", "--inputs", "x.npy")
        assert command(*given, "--json") == 0
        assert json.loads(capsys.readouterr().out)["values"] == want
    assert make_network("made_here:ready") is sys.modules["made_here"].ready


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "expected a study, or --model FILE"),
        ((*GIVEN, "x.yaml"), 2, "expected a study or --model, got both"),
        ((*BOTH, "--inputs", "x.npy"), 2, "--factory: expected MODULE:FUNCTION"),
        ((*BOTH, "--factory", "made_here:make"), 2, "--inputs: expected a file"),
        ((*BOTH, "--factory", "made_here", "--inputs", "x.npy"), 2, "MODULE:FUNCTION, got"),
        ((*BOTH, "--factory", "nowhere:make", "--inputs", "x.npy"), 2, "nowhere cannot be"),
        ((*BOTH, "--factory", "made_here:mak", "--inputs", "x.npy"), 2, "Did you mean 'make'?"),
        ((*BOTH, "--factory", "made_here:wrong", "--inputs", "x.npy"), 2, "made a int"),
        (
            (*BOTH, "--factory", "made_here:needs", "--inputs", "x.npy"),
            2,
            "made_here:needs is called without arguments (missing a required argument: 'seed')",
        ),
        (
            (*BOTH, "--factory", "made_here:fails", "--inputs", "x.npy"),
            2,
            "--factory: made_here:fails raised KeyError: 'width'",
        ),
        (
            (*BOTH, "--factory", "made_here:single", "--inputs", "x.npy"),
            2,
            "made_here:single is one network for two --model, and cannot be copied",
        ),
        ((*GIVEN, "--workers", "2"), 2, "--workers: it is only for a study"),
        ((*GIVEN, "--engine", "local"), 2, "--engine: it is only for a study"),
        ((*GIVEN, "--max-runs", "5"), 2, "--max-runs: it is only for a study"),
        ((*BOTH, "--factory", "made_here:make", "--inputs", "y.npy"), 3, "y.npy: no such file"),
        ((*BOTH, "--factory", "made_here:make", "--inputs", "made_here.py"), 3, "without pickles"),
        ((*BOTH, "--factory", "made_here:make", "--inputs", "cut.npz"), 3, "without pickles"),
        (
            (*BOTH, "--factory", "made_here:make", "--inputs", "narrow.npy"),
            3,
            "narrow.npy: the networks cannot run on it (RuntimeError: mat1 and mat2",
        ),
        (
            (*BOTH, "--factory", "made_here:make", "--inputs", "named.npz"),
            3,
            "named.npz: the networks cannot run on it (TypeError: ",
        ),
        ((*GIVEN, "--layers", "4"), 2, "no layer '4'"),
        ((*GIVEN, "--measure", "ckaa"), 2, "Did you mean 'cka'"),
        ((*GIVEN, "--reduce", "spatal"), 2, "Did you mean 'spatial'"),
        (("study", "--layers", "4"), 2, "--layers: it is only for two networks, with --model"),
    ],
)
def test_a_bad_command_is_told_in_one_line(files, capsys, arguments, code, text):
    assert command(*arguments) == code
    told = capsys.readouterr().err
    assert text in told
    assert len(told.strip().splitlines()) == 1

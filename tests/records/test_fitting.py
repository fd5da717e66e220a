"""Weights of which the names differ by a wrapper, and folders of checkpoints."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stratigraph.cli.main import main
from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.records import load_weights, read_weights


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def same(model, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())


def renamed(model, rename):
    return {rename(name): value.clone() for name, value in model.state_dict().items()}


class Holds(nn.Module):
    def __init__(self, inner, name):
        super().__init__()
        self.add_module(name, inner)


WRAPPED = [
    (lambda n: n, ""),
    (lambda n: f"module.{n}", "the file's prefix module."),
    (lambda n: f"_orig_mod.{n}", "without _orig_mod. and the like"),
    (lambda n: f"_orig_mod.module.{n}", "the file's prefix module."),
    (lambda n: f"module._orig_mod.{n}", "the file's prefix module."),
    (lambda n: f"model.{n}", "the file's prefix model."),
    (lambda n: f"vae.{n}", "the file's prefix vae."),
    (lambda n: f"{n.split('.')[0]}._orig_mod.{n.split('.')[1]}", "without _orig_mod. and"),
    (lambda n: f"_fsdp_wrapped_module.{n}", "without _orig_mod. and the like"),
]


@pytest.mark.parametrize(("rename", "said"), WRAPPED)
def test_names_under_a_wrapper_are_matched_and_it_is_said(tmp_path, rename, said):
    trained, path = net(1), tmp_path / "w.pt"
    torch.save(renamed(trained, rename), path)
    model = net()
    told = load_weights(model, path)
    assert same(model, trained)
    assert (said in told and told.startswith(str(path))) if said else told == ""


def test_a_network_in_a_wrapper_takes_what_was_saved_without(tmp_path):
    trained = net(1)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    for wrapped in (nn.DataParallel(net()), Holds(net(), "inside"), Holds(net(), "_orig_mod")):
        told = load_weights(wrapped, tmp_path / "w.pt")
        inner = next(iter(wrapped.children()))
        assert same(inner, trained)
        assert "matched without" in told


def test_what_a_prefix_leaves_out(tmp_path):
    trained, model = net(1), net()
    state = renamed(trained, lambda n: f"model.{n}") | {"loss.weight": torch.ones(2)}
    torch.save(state, tmp_path / "w.pt")
    assert "1 other tensors left out (loss.weight)" in load_weights(model, tmp_path / "w.pt")
    assert same(model, trained)
    # By another name the network may be a part of what was trained: say it.
    state = renamed(trained, lambda n: f"teacher.{n}") | {"student.weight": torch.ones(2)}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"0\.weight is missing"):
        load_weights(net(), tmp_path / "w.pt")
    model = net()
    assert "names matched under teacher." in load_weights(
        model, tmp_path / "w.pt", prefix="teacher"
    )
    assert same(model, trained)
    with pytest.raises(DataError, match=r"no name begins with 'ema\.'.*student\., teacher\."):
        load_weights(net(), tmp_path / "w.pt", prefix="ema")
    state = renamed(trained, lambda n: f"model.{n}") | renamed(net(2), lambda n: f"module.{n}")
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"fits in several places: .*model.*; .*module"):
        load_weights(net(), tmp_path / "w.pt")


def test_nothing_is_guessed_of_what_is_missing(tmp_path):
    state = renamed(net(1), lambda n: f"module.{n}")
    del state["module.2.bias"]
    torch.save(state, tmp_path / "w.pt")
    model, before = net(), net()
    with pytest.raises(DataError, match="does not fit Sequential"):
        load_weights(model, tmp_path / "w.pt")
    assert same(model, before)


def test_tied_weights_and_counts_that_are_not_in_the_file(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "norm": nn.BatchNorm1d(3)})
    model["b"].weight = model["a"].weight
    state = {name: value.clone() + 1 for name, value in model.state_dict().items()}
    del state["b.weight"], state["norm.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    assert "b.weight tied to others" in load_weights(model, tmp_path / "w.pt")
    assert torch.equal(model["b"].weight, state["a.weight"])
    assert model["b"].weight is model["a"].weight


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "weights"])
def test_weights_beside_other_things(tmp_path, key):
    trained, model = net(1), net()
    file = {"optimizer": {"state": {0: torch.ones(2)}}, "epoch": 3, key: trained.state_dict()}
    torch.save(file, tmp_path / "w.pt")
    load_weights(model, tmp_path / "w.pt")
    assert same(model, trained)
    torch.save(
        {"generator": trained.state_dict(), "critic": net(2).state_dict()}, tmp_path / "w.pt"
    )
    with pytest.raises(DataError, match=r"several sets of weights: generator, critic\. Say which"):
        read_weights(tmp_path / "w.pt")
    model = net()
    load_weights(model, tmp_path / "w.pt", key="generator")
    assert same(model, trained)
    with pytest.raises(DataError, match="has no key 'ema'; under its keys are generator, critic"):
        read_weights(tmp_path / "w.pt", "ema")


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_folders_whole_and_in_shards(tmp_path, ending):
    trained, state = net(1), net(1).state_dict()

    def write(tensors, name):
        path = tmp_path / name
        save_file(tensors, path) if ending == ".safetensors" else torch.save(tensors, path)

    (tmp_path / "optimizer.pt").write_bytes(b"others'")
    stem = "model" if ending == ".safetensors" else "pytorch_model"
    names = list(state)
    shards = {f"{stem}-0000{i + 1}-of-00002{ending}": names[i::2] for i in range(2)}
    for shard, held in shards.items():
        write({name: state[name] for name in held}, shard)
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    place = tmp_path / f"{stem}{ending}.index.json"
    place.write_text(json.dumps(index))
    model = net()
    load_weights(model, tmp_path)
    assert same(model, trained)
    first, second = shards
    for change, kind, said in (
        ({"0.weight": "../elsewhere"}, UnsafeFileError, "names the file '../elsewhere', which is"),
        (
            {"0.weight": "gone.bin"},
            DataError,
            r"gone\.bin is missing, although .*index\.json names",
        ),
        ({names[0]: second}, DataError, rf"{names[0]} is missing, although .*index\.json names"),
    ):
        changed = {"weight_map": index["weight_map"] | change}
        place.write_text(json.dumps(changed))
        with pytest.raises(kind, match=said):
            read_weights(tmp_path)
    place.write_text("[]")
    with pytest.raises(DataError, match="not an index of weights"):
        read_weights(tmp_path)
    place.unlink()
    with pytest.raises(DataError, match=rf"it holds {first}, {second}\. Name the file"):
        read_weights(tmp_path)
    for shard in shards:
        (tmp_path / shard).unlink()
    write(dict(state), f"weights{ending}")
    load_weights(net(), tmp_path)
    (tmp_path / f"weights{ending}").unlink()
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match="holds an adapter, not the network's weights; merge"):
        read_weights(tmp_path)


def test_compare_says_what_it_matched(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted_net.py").write_text(
        "from torch import nn\n\n\ndef make():\n    return nn.Sequential(nn.Linear(4, 3))\n"
    )
    torch.save(renamed(nn.Sequential(nn.Linear(4, 3)), lambda n: f"module.{n}"), "w.pt")
    np.save("x.npy", np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    with pytest.raises(SystemExit) as stopped:
        main(["compare", "--model", "w.pt", "--factory", "fitted_net:make", "--inputs", "x.npy"])
    assert not stopped.value.code
    assert "w.pt: names matched without the file's prefix module." in capsys.readouterr().err

"""Reading layers: what the module returned, whatever comes after, and the model left as found."""

import random
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from stratigraph.activations import capture, reading, select_layers
from stratigraph.errors import InputError


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)),
        nn.Flatten(),
        nn.Sequential(nn.Linear(4 * 4 * 4, 5), nn.Tanh()),
    )


def images(n=9):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.ModuleDict({"a": nn.Linear(3, 3), "deep": nn.Sequential(nn.Linear(3, 3))})
        self.blocky = nn.Linear(3, 3)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        return self.blocky(self.block["deep"](self.block["a"](x)))


def test_outputs_are_those_of_a_manual_forward():
    model, x = network().eval(), images()
    read = capture(model, x, ["0.0", "0", "1.*", "3"])
    assert sorted(read) == ["0", "0.0", "1.0", "1.1", "1.2", "3"]
    with torch.no_grad():
        conv = model[0][0](x)
        block = conv.clamp(min=0)
        second = model[1][0](block)
        norm = model[1][1]
        scaled = (second - norm.running_mean[:, None, None]) / torch.sqrt(
            norm.running_var[:, None, None] + norm.eps
        )
        last = torch.tanh(scaled.flatten(1) @ model[3][0].weight.T + model[3][0].bias)
    for name, want in {"0": block, "1.0": second, "1.1": scaled, "1.2": scaled, "3": last}.items():
        torch.testing.assert_close(read[name], want, rtol=1e-5, atol=1e-6)


def test_an_in_place_relu_downstream_does_not_change_what_was_read():
    model, x = network(), images()
    read = capture(model, x, ["0.0", "0.1"])
    with torch.no_grad():
        want = model[0][0](x)
    torch.testing.assert_close(read["0.0"], want)
    assert (read["0.0"] < 0).any()
    torch.testing.assert_close(read["0.1"], want.clamp(min=0))


def test_two_layers_do_not_share_memory():
    read = capture(network(), images(), ["1.1", "1.2"])  # dropout in eval returns its input
    read["1.1"].zero_()
    assert read["1.2"].any()


@pytest.mark.parametrize(
    ("patterns", "want"),
    [
        (["block.*"], ["block.a", "block.deep"]),
        (["block.**"], ["block.a", "block.deep", "block.deep.0"]),
        (["*"], ["block", "blocky", "unused"]),
        ("**", ["block", "block.a", "block.deep", "block.deep.0", "blocky", "unused"]),
        (["*.*.*"], ["block.deep.0"]),
        (["block.?"], ["block.a"]),
        (["blocky", "block.a", "block.a"], ["block.a", "blocky"]),
        ("block", ["block"]),
        (None, ["block.a", "block.deep.0", "blocky", "unused"]),
        ([], []),
    ],
)
def test_globs_in_the_order_of_the_network(patterns, want):
    assert select_layers(Named(), patterns) == want


@pytest.mark.parametrize("pattern", ["blocks", "block.a.*", "block_a", "", "[b]locky"])
def test_unknown_layers_have_near_names(pattern):
    with pytest.raises(InputError, match=rf"^layers: .* no layer '{re.escape(pattern)}'\. ") as e:
        capture(Named(), torch.zeros(2, 3), ["blocky", pattern])
    assert "'block" in str(e.value) or "Known: block, block.a," in str(e.value)


def test_a_near_name_is_suggested():
    with pytest.raises(InputError, match=r"no layer 'unusd'\. Did you mean 'unused'\?"):
        select_layers(Named(), ["unusd"])


def test_a_layer_that_never_runs():
    with pytest.raises(InputError, match=r"^layers unused: they did not run in a forward pass"):
        capture(Named(), torch.zeros(2, 3), ["blocky", "unused"])


def test_a_layer_that_runs_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.once, self.again = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.again(self.again(self.once(x)))

    model, x = Twice(), torch.rand(4, 3)
    read = capture(model, x)
    assert list(read) == ["once", "again#1", "again#2"]
    with torch.no_grad():
        first = model.again(model.once(x))
        torch.testing.assert_close(read["again#1"], first)
        torch.testing.assert_close(read["again#2"], model.again(first))
    # Two passes are not two runs in one pass.
    assert list(capture(model, x, ["once"], batch_size=2)) == ["once"]


def test_a_layer_that_returns_a_tuple():
    model, x = nn.Sequential(nn.LSTM(3, 2, batch_first=True)), torch.rand(5, 4, 3)
    # The state is (layers, n, hidden): without a row for every input, it is left out.
    assert capture(model, x, ["0"])["0"].shape == (5, 4, 2)


@pytest.mark.parametrize("value", [None, (1, "two"), {"state": torch.zeros(3, 7)}])
def test_a_layer_that_returns_no_row_for_every_input(value):
    class Odd(nn.Module):
        def forward(self, x):
            return value

    with pytest.raises(InputError, match=r"^layer 0: expected a tensor with a row .* its children"):
        capture(nn.Sequential(Odd()), torch.zeros(2, 3), ["0"])


@dataclass
class Answer:
    mean: torch.Tensor
    loss: torch.Tensor
    hidden: tuple


class Structured(nn.Module):
    def forward(self, x):
        return Answer(2 * x, x.sum(), (3 * x, {"deep": 4 * x, "none": None}))


class Field(nn.Module):
    def forward(self, answer):
        return answer.mean


def test_the_parts_of_a_structure():
    x = torch.rand(5, 3)
    model = nn.Sequential(Structured(), Field())
    read = capture(model, x, ["*"])
    assert list(read) == ["0[mean]", "0[hidden][0]", "0[hidden][1][deep]", "1"]
    torch.testing.assert_close(read["0[hidden][1][deep]"], 4 * x)
    chosen = capture(model, x, ["0[hidden][0]"])
    assert list(chosen) == ["0[hidden][0]"]
    with pytest.raises(InputError, match=r"^layer 0: it returned no part 0\[loss\] with a row"):
        capture(model, x, ["0[loss]"])


def test_layers_by_type():
    assert select_layers(network(), nn.Conv2d) == ["0.0", "1.0"]
    assert select_layers(network(), [nn.Linear, "type:Batch*"]) == ["1.1", "3.0"]
    with pytest.raises(InputError, match=r"^layers: the network has no layer of type LSTM\."):
        select_layers(network(), nn.LSTM)
    with pytest.raises(InputError, match=r"type 'Conv3d'\. Did you mean 'Conv2d'\?"):
        select_layers(network(), ["type:Conv3d"])


def test_what_a_glob_or_nothing_brings_need_not_run():
    assert list(capture(Named(), torch.zeros(2, 3))) == ["block.a", "block.deep.0", "blocky"]
    assert list(capture(Named(), torch.zeros(2, 3), ["*"])) == ["blocky"]


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.sum = nn.Identity()

    def forward(self, left, right=None):
        return self.sum(left if right is None else left + right)


def test_inputs_of_every_kind_give_the_same():
    x, y = torch.rand(10, 3), torch.rand(10, 3)
    pairs = torch.utils.data.TensorDataset(x, y)
    for inputs, want in (
        (x, x),
        (x.numpy(), x),
        ((x, y), x + y),
        ({"left": x, "right": y}, x + y),
        ([x[:4], x[4:]], x),
        ((part for part in (x[:4], x[4:])), x),
        ([(x[:4], y[:4]), (x[4:], y[4:])], x + y),
        ([{"left": x[:4], "right": y[:4]}, {"left": x[4:], "right": y[4:]}], x + y),
        (torch.utils.data.DataLoader(pairs, batch_size=4), x),  # (input, target) pairs
    ):
        read = capture(Two(), inputs, ["sum"], batch_size=4)["sum"]
        torch.testing.assert_close(read, want)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ("words", "inputs: expected a tensor, a tuple or mapping of tensors, or an iterable"),
        (3, "got a int"),
        ([], "inputs: no batches"),
        (["words"], "expected tensors, got a str"),
        ({"left": torch.rand(4, 3), "right": torch.rand(5, 3)}, "expected 4 rows in each tensor"),
        (torch.utils.data.TensorDataset(torch.rand(4, 3)), "wrap it in DataLoader"),
    ],
)
def test_inputs_that_are_none(inputs, text):
    with pytest.raises(InputError, match=text):
        capture(Two(), inputs, ["sum"])


def test_inputs_go_to_the_dtype_of_the_model_as_copies():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            assert x.dtype == torch.bfloat16
            return self.layer(x.add_(1))

    x = torch.rand(4, 3)
    before = x.clone()
    assert capture(InPlace().bfloat16(), x)["layer"].dtype == torch.bfloat16
    assert torch.equal(x, before)


def test_large_maps_are_made_smaller_by_choice_alone():
    x = images()
    whole = capture(network(), x, ["0", "3"])
    spatial = capture(network(), x, ["0", "3"], reduce="spatial")
    torch.testing.assert_close(spatial["0"], whole["0"].mean((2, 3)))
    torch.testing.assert_close(spatial["3"], whole["3"])
    tokens = capture(network(), x, ["0"], reduce="tokens")["0"]
    torch.testing.assert_close(tokens, whole["0"].flatten(1, 2).mean(1))
    torch.testing.assert_close(capture(network(), x, "0", reduce="first")["0"], whole["0"][:, 0])
    sample = capture(network(), x, ["0.0"], reduce={"0.*": "sample:10"})["0.0"]
    flat = capture(network(), x, ["0.0"])["0.0"].flatten(1)
    columns = [int((flat == column[:, None]).all(0).nonzero()[0]) for column in sample.T]
    assert sorted(columns) == columns
    assert len(set(columns)) == 10
    own = capture(network(), x, ["0", "3"], reduce={"0": lambda x: x.amax((2, 3))})
    torch.testing.assert_close(own["0"], whole["0"].amax((2, 3)))
    torch.testing.assert_close(own["3"], whole["3"])


@pytest.mark.parametrize("reduce", ["spatiall", "sample:none", lambda x: x.mean(0)])
def test_reductions_that_are_none(reduce):
    with pytest.raises(InputError, match=r"^reduce: "):
        capture(network(), images(), ["0"], reduce=reduce)


def test_hooks_are_removed_when_a_layer_fails():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("stop")

    model = nn.Sequential(nn.Linear(3, 3), Fails()).train()
    with pytest.raises(RuntimeError, match="stop"):
        capture(model, torch.zeros(2, 3))
    assert modes(model) == [True] * 3
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_without_a_row_for_every_input():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(0)

    with pytest.raises(InputError, match=r"^layer 0: no axis follows the inputs, got \(3,\) for 8"):
        capture(nn.Sequential(Mean()), torch.zeros(2, 3))
    with pytest.raises(InputError, match=r"^layer 0: expected a tensor with a row for every inp"):
        capture(nn.Sequential(Mean()), torch.zeros(2), ["0"])


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("fails", [False, True])
def test_each_module_is_left_in_the_mode_it_was_in_without_hooks(fails):
    model = network().train()
    model[1][1].eval()  # a frozen batch normalisation inside a training network
    before, statistics = modes(model), model[1][1].running_mean.clone()
    assert len(set(before)) == 2
    during = []

    def call(batch, rows):
        during.extend(modes(model))
        model(batch)
        if fails:
            raise RuntimeError("stop")

    if fails:
        with pytest.raises(RuntimeError, match="stop"):
            capture(model, images(), ["1"], call=call)
    else:
        capture(model, images(), ["1"], call=call)
    assert not any(during)
    assert modes(model) == before
    assert torch.equal(model[1][1].running_mean, statistics)
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_dropout_is_off_while_reading():
    model = network().train()
    one, other = (capture(model, images(), ["3"])["3"] for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_sizes_agree(batch_size):
    model, x = network(), images(23)
    want = capture(model, x, "**", batch_size=23)
    read = capture(model, x, "**", batch_size=batch_size)
    assert list(read) == list(want)
    for name, value in want.items():
        assert len(value) == 23
        torch.testing.assert_close(read[name], value, rtol=0, atol=1e-6)


def test_call_is_given_each_batch_with_its_rows():
    given = []
    model, x = network(), images(5)

    def call(batch, rows):
        given.append((len(batch), rows))
        same = {3: slice(4, 5), 4: slice(0, 1)}.get(len(given), slice(None))
        assert torch.equal(batch[same], x[rows][same])
        model(batch)

    capture(model, x, ["3"], batch_size=2, call=call)
    # All of them and the last three first, to learn which axis is theirs; then the last and the
    # first in all places.
    assert given[:4] == [(5, slice(0, 5)), (3, slice(2, 5)), *[(5, slice(0, 5))] * 2]
    assert given[4:] == [(2, slice(0, 2)), (2, slice(2, 4)), (1, slice(4, 5))]


@pytest.mark.parametrize("bad", [0, -1, True])
def test_bad_batch_sizes(bad):
    with pytest.raises(InputError, match=rf"^batch_size: expected a whole number ≥ 1, got {bad}"):
        capture(network(), images(), batch_size=bad)


@pytest.mark.parametrize("empty", [torch.zeros(0, 1, 8, 8), torch.tensor(1.0)])
def test_no_inputs(empty):
    with pytest.raises(InputError, match=r"^inputs: expected \(n, …\) with n ≥ 1, got shape"):
        capture(network(), empty)


def test_what_is_read_can_be_differentiated_through():
    read = capture(network(), images(), ["0.0"])["0.0"]
    assert not read.is_inference()
    assert not read.requires_grad
    weight = torch.ones(4, requires_grad=True)
    (read * weight[:, None, None]).sum().backward()
    torch.testing.assert_close(weight.grad, read.sum((0, 2, 3)))


def test_dtypes_are_kept():
    read = capture(network().double(), images().double(), ["3"])
    assert read["3"].dtype == torch.float64


def test_reading_calls_back_in_the_order_of_the_pass():
    model, order = network(), []
    with reading(model, ["3", "0", "0.0"], lambda name, output: order.append((name, len(output)))):
        model(images(2))
        model(images(1))
    assert order == [(name, n) for n in (2, 1) for name in ("0.0", "0", "3")]
    model(images(2))
    assert len(order) == 6


def test_a_cache_made_while_reading_can_be_trained_with():
    class Caches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.table = nn.Linear(3, 3), None

        def forward(self, x):
            if self.table is None:
                self.table = torch.arange(3.0)
            return self.layer(x) * self.table

    model = Caches()
    capture(model, torch.rand(4, 3))
    model(torch.rand(4, 3)).sum().backward()
    assert model.layer.weight.grad is not None


class Restless(nn.Module):
    """Counts its passes in place, replaces a buffer, fills another, and draws in vain."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("last", torch.zeros(3))
        self.register_buffer("lazy", None)

    def forward(self, x):
        self.passes += 1
        self.last = x.mean(0)
        self.lazy = x if self.lazy is None else self.lazy
        random.seed(), np.random.rand(), torch.rand(())  # noqa: NPY002
        return self.layer(x)


def test_buffers_and_random_streams_are_left_as_they_were():
    model, x = Restless(), torch.rand(4, 3)
    random.seed(0)
    random.random()
    last, before = model.last, everything_drawn_next()
    for call in (None, lambda batch, rows: model(batch)):
        capture(model, x, call=call)
    assert everything_drawn_next() == before
    assert model.passes == 0
    assert model.last is last
    assert model.lazy is None
    # Two passes draw differently all the same: a network that samples is found out.
    with pytest.raises(InputError, match="it draws random numbers"):
        capture(nn.Sequential(Noisy()), x)


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def everything_drawn_next():
    numpy = np.random.get_state()  # noqa: NPY002
    return words(), numpy[1].tolist(), torch.get_rng_state().tolist()


def words():
    """Python's stream, but for its place in them: the type checks of the tests draw from it too."""
    return random.getstate()[1][:-1]


def test_a_layer_without_rows_is_left_out_unless_it_was_named():
    class Positions(nn.Module):
        def forward(self, x):
            return torch.arange(3.0)[None]

    class Embeds(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.positions = nn.Linear(3, 3), Positions()

        def forward(self, x):
            return self.layer(x) + self.positions(x)

    model, x = Embeds(), torch.rand(5, 3)
    assert list(capture(model, x)) == ["layer"]
    assert list(capture(model, x, ["*"], batch_size=4)) == ["layer"]  # one row in the last batch
    with pytest.raises(InputError, match=r"^layer positions: .* no axis follows .* \(1, 3\) for 5"):
        capture(model, x, ["positions"])

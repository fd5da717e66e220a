"""Reading layers: what the module returned, whatever comes after, and the model left as found."""

import re

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

    with pytest.raises(InputError, match=r"^layer again: it runs more than once in a pass"):
        capture(Twice(), torch.zeros(2, 3))
    # Two passes are not two runs in one pass.
    assert capture(Twice(), torch.zeros(4, 3), ["once"], batch_size=2)["once"].shape == (4, 3)


def test_a_layer_that_returns_a_tuple():
    model = nn.Sequential(nn.LSTM(3, 2, batch_first=True))
    with pytest.raises(InputError, match=r"^layer 0: expected a tensor, it returned tuple; read"):
        capture(model, torch.zeros(2, 4, 3), ["0"])


def test_a_layer_without_a_row_for_every_input():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(0)

    with pytest.raises(InputError, match=r"^layer 0: expected a first axis of 2, .*shape \(3,\)"):
        capture(nn.Sequential(Mean()), torch.zeros(2, 3))
    with pytest.raises(InputError, match=r"^layer 0: expected a first axis of 2, .*shape \(\)"):
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
        assert torch.equal(batch, x[rows])
        model(batch)

    capture(model, x, ["3"], batch_size=2, call=call)
    assert given == [(2, slice(0, 2)), (2, slice(2, 4)), (1, slice(4, 5))]


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

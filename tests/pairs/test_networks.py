"""Two networks on the same inputs: the scores of their captured layers, by every way."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.pairs import network_ways


def net(seed, width=12):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, width), nn.ReLU()
    )


@pytest.fixture(scope="module")
def inputs():
    return torch.rand(120, 1, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("measure", ["debiased_cka", "linear_cka", "procrustes_similarity"])
@pytest.mark.parametrize("memory", [1 << 30, 200_000])
def test_every_way_gives_the_score_of_captured_layers(inputs, measure, memory):
    a, b = net(0), net(1, 9)
    layers = ["3", "4"]
    found = sg.compare(a, b, inputs, measure, layers, memory=memory, batch_size=50)
    loader = DataLoader(TensorDataset(inputs, torch.zeros(120)), batch_size=32)
    streamed = sg.compare(a, b, loader, measure, layers, memory=memory)
    want = sg.similarity_matrix(
        sg.capture(a, inputs, layers), sg.capture(b, inputs, layers), measure
    )
    for one in (found, streamed):
        assert one.dims == ("x", "y")
        assert list(one.x.values) == list(one.y.values) == layers
        np.testing.assert_allclose(one.values, want.values, atol=1e-6)
        assert one.attrs["inputs"] == 120
        assert one.attrs["measure"] == measure
    if measure != "procrustes_similarity":
        assert "sums" in streamed.attrs["plan"]


def test_what_fits_in_no_memory_is_estimated_from_batches(inputs):
    a, b = net(0), net(1)
    want = sg.compare(a, b, inputs, layers=["0", "3"])
    found = sg.compare(a, b, inputs, layers=["0", "3"], memory=1000, batch_size=12)
    assert "batches" in found.attrs["plan"]
    assert ((found.lower <= want) & (want <= found.upper)).all()
    np.testing.assert_allclose(found, want, atol=0.15)
    # However many inputs a pass takes, there are batches enough for an interval.
    wide = sg.compare(a, b, inputs, layers=["0", "3"], memory=1000, batch_size=256)
    assert np.isfinite(wide.upper).all()
    assert "from 15 batches;" in wide.attrs["plan"]
    with pytest.raises(InputError, match=r"^batch_size: expected at least 4, .* got 3"):
        sg.compare(a, b, inputs, layers=["0", "3"], memory=1000, batch_size=3)
    with pytest.warns(UserWarning, match="from 1 batch of inputs"):
        sg.compare(a, b, [inputs], layers=["0", "3"], memory=1000)
    with pytest.raises(InputError, match=r"^measure: linear_cka .* use debiased_cka"):
        sg.compare(a, b, inputs, "linear_cka", memory=1000)
    with pytest.raises(InputError, match=r"^inputs: procrustes_similarity needs every .* reduce="):
        sg.compare(a, b, inputs, "procrustes_similarity", memory=1000)


def test_a_network_with_itself_runs_once(inputs):
    model, passes = net(0), []
    handle = model[0].register_forward_hook(lambda *_: passes.append(1))
    found = sg.compare(model, model, inputs, batch_size=60)
    handle.remove()
    assert len(passes) == 4 + 1 + 2  # to learn of the layers, for the widths, and to compare
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-9)
    np.testing.assert_allclose(found, found.T)


def test_dtypes_are_mixed(inputs):
    a, half = net(0), net(0).bfloat16()
    found = sg.compare(a, half, inputs, layers=["3"])
    assert 0.99 < float(found[0, 0]) < 1
    assert half[0].weight.dtype == torch.bfloat16


def test_layers_of_other_names_and_smaller_maps(inputs):
    found = sg.compare(net(0), net(1), inputs, layers=["0"], layers_b=nn.Linear, reduce="spatial")
    assert (list(found.x.values), list(found.y.values)) == (["0"], ["3"])
    pooled = sg.capture(net(0), inputs, ["0"])["0"].mean((2, 3))
    want = sg.debiased_cka(pooled, sg.capture(net(1), inputs, ["3"])["3"])
    assert float(found[0, 0]) == pytest.approx(want, abs=1e-6)
    assert found.attrs["reduce"] == "spatial"


def test_cka_of_a_sample_of_units_is_noted_and_can_be_corrected(inputs):
    reduce, layers = {"0": "sample:20"}, ["0", "3"]
    notes = {
        measure: json.loads(
            sg.compare(net(0), net(1), inputs, measure, layers, reduce=reduce).attrs["notes"]
        )
        for measure in ("debiased_cka", "linear_cka", "feature_corrected_cka")
    }
    assert notes["debiased_cka"] == notes["linear_cka"]
    assert list(notes["debiased_cka"]) == ["0"]
    assert notes["debiased_cka"]["0"].startswith("biased if it has more units than the 20 that")
    assert notes["feature_corrected_cka"] == {}


def test_networks_that_share_a_part_are_each_read_alone(inputs):
    trunk = net(0)
    a, b = nn.Sequential(trunk, nn.Linear(12, 4)), nn.Sequential(trunk, nn.Linear(12, 4))
    a.train()
    found = sg.compare(a, b, inputs, layers=["0.3", "1"])
    assert float(found[0, 0]) == pytest.approx(1)
    assert all(module.training for module in a.modules())
    assert not any(module._forward_hooks for module in a.modules())


def test_the_caller_may_run_the_passes(inputs):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 4)

        def forward(self, x, mask):
            return self.out(x * mask)

    x, mask = torch.rand(30, 4), torch.ones(30, 4)
    torch.manual_seed(0)
    a, b = Masked(), Masked()
    want = sg.compare(a, b, (x, mask))
    called = sg.compare(a, b, x, call=lambda model, batch: model(batch, torch.ones_like(batch)))
    np.testing.assert_allclose(called, want)


def test_a_constant_layer_has_a_reason(inputs):
    b = net(1)
    nn.init.zeros_(b[3].weight)
    loader = DataLoader(inputs, batch_size=60)
    with pytest.warns(UserWarning, match="constant"):
        found = sg.compare(net(0), b, loader, layers=["3"])
    assert np.isnan(found.values).all()
    assert json.loads(found.attrs["reasons"])["3"].startswith("constant")


def test_a_constant_layer_of_one_side_is_undefined_there_alone(inputs):
    dead = net(1)
    nn.init.zeros_(dead[3].weight)
    loader = DataLoader(inputs, batch_size=60)
    with pytest.warns(UserWarning, match="constant"):
        found = sg.compare(dead, net(0), loader, layers=["0", "3"], reduce="spatial")
    assert np.isnan(found.values).tolist() == [[False, False], [True, True]]


def test_an_error_leaves_no_hook_in_a_network(inputs):
    a, b = net(0), net(1)
    with pytest.raises(InputError, match="needs every activation") as held:
        sg.compare(a, b, inputs, "procrustes_similarity", memory=10)
    assert held.value.__traceback__ is not None
    assert not any(module._forward_hooks for one in (a, b) for module in one.modules())
    ragged = [torch.rand(9, 1, 8, 8), torch.rand(9, 1, 9, 9)]
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1))
    with pytest.raises(InputError, match=r"^0: expected 72 units as in the first batch, got 98"):
        sg.compare(flat, flat, ragged)


def test_memory_does_not_grow_with_the_inputs(inputs, monkeypatch):
    held = []
    add = network_ways.CKASums.add
    monkeypatch.setattr(
        network_ways.CKASums,
        "add",
        lambda self, a, b=None: (add(self, a, b), held.append(sum(c.numel() for c in self.cross))),
    )
    sg.compare(net(0), net(1), (inputs[:8] for _ in range(40)), layers=["3"])
    assert len(held) == 40
    assert len(set(held)) == 1


def test_too_few_inputs(inputs):
    with pytest.raises(InputError, match=r"debiased_cka.*4"):
        sg.compare(net(0), net(1), inputs[:3])
    with pytest.raises(InputError, match=r"debiased_cka.*4"):
        sg.compare(net(0), net(1), [inputs[:3]])


def test_a_network_without_layers_is_told(inputs):
    a = nn.Linear(8, 3)
    with pytest.raises(InputError, match=r"in a Linear: it contains no module; wrap it"):
        sg.compare(a, a, torch.rand(20, 8))
    with pytest.raises(InputError, match=r"expected names, globs or types, got \[\]"):
        sg.compare(net(0), net(1), inputs, layers=["3"], layers_b=[])


class Odd(nn.Module):
    """One layer of three that cannot be compared, from its first batch or a later one."""

    def __init__(self, seed, kind):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.odd, self.last, self.kind = (
            nn.Linear(4, 5), nn.Identity(), nn.Linear(5, 3), kind,
        )  # fmt: skip

    def forward(self, x):
        h = self.first(x)
        self.odd(
            {
                "masked": lambda: torch.where(h > 0, h, -torch.inf),
                "late": lambda: torch.where(x[:, :1] > 9, torch.inf, h),
                "complex": lambda: torch.fft.fft(h),
                "half": lambda: h.mul(1e6).half(),
            }[self.kind]()
        )
        return self.last(h)


@pytest.mark.filterwarnings("ignore:.*is NaN for 'odd'")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("masked", "not finite: "),
        ("late", "not finite: "),
        ("complex", "complex (complex64)"),
        ("half", "not finite: "),
    ],
)
@pytest.mark.parametrize(
    ("measure", "memory"),
    [("debiased_cka", 1 << 30), ("debiased_cka", 800), ("procrustes_similarity", 1 << 30)],
    ids=["sums", "batches", "held"],
)
def test_a_layer_that_cannot_be_compared_is_nan_beside_the_others(kind, reason, measure, memory):
    x = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    x[70, 0] = 10
    a, b = Odd(0, kind), Odd(1, kind)
    options = {"measure": measure, "memory": memory, "batch_size": 40}
    found = sg.compare(a, b, [x[:40], x[40:]], **options)
    assert np.isnan(found.values).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert json.loads(found.attrs["reasons"])["odd"].startswith(reason)
    without = sg.compare(a, b, [x[:40], x[40:]], layers=["first", "last"], **options)
    np.testing.assert_allclose(found.sel(x=["first", "last"], y=["first", "last"]), without)
    with pytest.raises(InputError, match=r"^layers: none of a Odd can be compared; odd is "):
        sg.compare(a, b, x, layers="odd", **options)
    itself = sg.compare(a, a, x, **options)
    assert np.isnan(itself.values).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


@pytest.mark.filterwarnings("ignore:.*is NaN for ")
def test_captured_layers_that_cannot_be_compared_are_nan_beside_the_others():
    a, b = (sg.capture(Odd(seed, "masked"), torch.randn(20, 4)) for seed in (0, 1))
    found = sg.similarity_matrix(dict(a), dict(b))
    assert np.isnan(found.values).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert json.loads(found.attrs["reasons"])["odd"].startswith("not finite")


def test_memory_holds_from_the_first_batch_on():
    """Also where one batch is too large: none larger than what fits is shown to the networks."""
    sizes = []

    def call(model, batch):
        sizes.append(len(batch))
        return model(batch)

    a, b = (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()) for _ in range(2))
    x = torch.randn(40, 1, 66, 66)  # 2 layers of 4·64·64 numbers: 128 KB an input and network
    for inputs in (x, [x]):
        sizes.clear()
        found = sg.compare(a, b, inputs, memory="8 MB", call=call)
        assert "batches" in found.attrs["plan"]
        assert max(sizes) <= 8
        assert sum(sizes) == 2 * (8 + 5 + 8 + 8 + 4 + 40)
    for words, text in (("much", "got 'much'"), (0, "got 0")):
        with pytest.raises(
            InputError, match=rf'^memory: expected a number of bytes, .*"2 GB"; {text}'
        ):
            sg.compare(a, b, x, memory=words)


def test_left_out_layers_are_told(inputs):
    class Table(nn.Module):
        def forward(self, x):
            return torch.arange(120.0)[:, None]

    class Uses(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.layer = Table(), nn.Linear(4, 3)

        def forward(self, x):
            self.table(x)
            return self.layer(x)

    model, x = Uses(), torch.randn(120, 4)  # as many rows as the table has
    found = sg.compare(model, model, x)
    assert list(found.x.values) == ["layer"]
    assert "no axis follows" in json.loads(found.attrs["left_out"])["table"]

"""What is read of networks that are not plain: time first, packed, padded, set up by inputs."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

import stratigraph as sg
from stratigraph.activations import capture
from stratigraph.activations.state import State
from stratigraph.errors import InputError


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TimeFirst(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.rnn, self.head = nn.GRU(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.rnn(x.transpose(0, 1))[0].mean(0))


@pytest.mark.parametrize(
    ("steps", "batch_size", "layers"),
    [(16, 256, None), (16, 16, ["rnn"]), (5, 5, "r*"), (8, 3, nn.GRU)],
)
def test_time_first_is_read_along_the_inputs(steps, batch_size, layers):
    a, b, x = TimeFirst(0), TimeFirst(1), noise(16, steps, 6)
    read = capture(a, x, layers, batch_size=batch_size)
    with torch.no_grad():
        out, state = a.rnn(x.transpose(0, 1))
        other = b.rnn(x.transpose(0, 1))[0].transpose(0, 1)
    torch.testing.assert_close(read["rnn"], out.transpose(0, 1))
    torch.testing.assert_close(read["rnn[1]"], state[0])  # the last state, as it always was a row
    called = capture(a, x, layers, batch_size=batch_size, call=lambda batch, rows: a(batch))
    assert list(called) == list(read)
    found = sg.compare(a, b, x, layers=layers, batch_size=batch_size)
    want = sg.debiased_cka(out.transpose(0, 1), other)
    assert float(found.sel(x="rnn", y="rnn")) == pytest.approx(want, abs=1e-6)


def test_time_first_is_recorded_along_the_inputs(tmp_path):
    recorder = sg.record(TimeFirst(), noise(16, 16, 6), tmp_path / "mine")
    recorder.close()
    (run,) = sg.load_study(tmp_path / "mine").runs.values()
    (kept,) = (tmp_path / "mine").glob("runs/*/representations/*0/rnn.npy")
    # A constant layer or one along time would have other coordinates.
    out = TimeFirst().rnn(noise(16, 16, 6).transpose(0, 1))[0].transpose(0, 1).detach()
    assert sg.debiased_cka(np.load(kept)[:-1], out) == pytest.approx(1, abs=1e-6)
    assert run.steps == [0]


class Both(nn.Module):
    def forward(self, x):
        return x @ x.T


def test_two_axes_that_follow_the_inputs_and_none():
    model, x = nn.Sequential(nn.Linear(3, 4), Both()), noise(12, 3)
    read = capture(model, x)
    assert list(read) == ["0"]
    assert read.left_out == {
        "1": "2 axes follow the inputs, got (8, 8) for 8 inputs and (5, 5) for 5"
    }
    with pytest.raises(InputError, match=r"^layer 1: .* 2 axes follow the inputs, got \(8, 8\)"):
        capture(model, x, "1")


def made_of(wrap):
    torch.manual_seed(0)
    return nn.Sequential(wrap(nn.Linear(20, 32)), nn.ReLU(), nn.Linear(32, 4))


@pytest.mark.parametrize(("wrap", "n"), [(spectral_norm, 32), (weight_norm, 64)])
def test_what_makes_weights_is_no_layer(wrap, n):
    x = noise(n, 20)
    for layers in (None, "**"):
        assert list(capture(made_of(wrap), x, layers)) == ["0", "1", "2"]
    with pytest.raises(InputError, match=r"^layers 0.parametrizations.weight: they did not run"):
        capture(made_of(wrap), x, "0.parametrizations.weight")


class OfPacked(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.lstm(packed)[0].data


def test_packed_sequences():
    x, lengths = noise(12, 7, 4), torch.arange(12) % 6 + 2
    model = OfPacked()
    read = capture(model, (x, lengths))
    assert {name: tuple(v.shape) for name, v in read.items()} == {
        "lstm": (12, 7, 3), "lstm[1][0]": (12, 3), "lstm[1][1]": (12, 3),
    }  # fmt: skip
    with torch.no_grad():
        alone = [model.lstm(x[i : i + 1, :n])[0][0] for i, n in enumerate(lengths)]
    for row, own in zip(read["lstm"], alone, strict=True):
        torch.testing.assert_close(row[: len(own)], own)
        assert not row[len(own) :].any()
    mean = torch.stack([own.mean(0) for own in alone])
    for size in (3, 12):
        tokens = capture(model, (x, lengths), reduce="tokens", batch_size=size)
        torch.testing.assert_close(tokens["lstm"], mean)
    # The packed sequences themselves as inputs.
    sequences = [pack_sequence([x[i, :n] for i in range(12)], enforce_sorted=False) for n in (5, 3)]
    bare = nn.Sequential(model.lstm)
    assert capture(bare, sequences[0])["0"].shape == (12, 5, 3)
    tokens = capture(bare, sequences, reduce="tokens")["0"]
    assert tokens.shape == (24, 3)


class Padded(nn.Module):
    """Makes its own mask, after its first layer ran."""

    def __init__(self, first):
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 8, dropout=0, batch_first=first)
        self.first, self.embed = first, nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, ids):
        x = self.embed(ids)
        return self.encoder(x if self.first else x.transpose(0, 1), src_key_padding_mask=ids == 0)


def texts():
    """(12, 6) tokens, 0 where there is none."""
    ids = torch.randint(1, 9, (12, 6), generator=torch.Generator().manual_seed(0))
    return torch.where(torch.arange(6) < (torch.arange(12) % 5 + 2)[:, None], ids, 0)


@pytest.mark.filterwarnings("ignore:.*nested.tensor")
@pytest.mark.parametrize("first", [True, False])
def test_a_padding_mask_is_found_where_it_is_used(first):
    model, ids = Padded(first), texts()
    there = (ids != 0)[..., None]
    with torch.no_grad():
        embedded = model.embed(ids)
        last = model.eval()(ids)
        last = last if first else last.transpose(0, 1)
    tokens = capture(model, ids, ["embed", "encoder.layers.0.norm2"], reduce="tokens")
    for name, value in {"embed": embedded, "encoder.layers.0.norm2": last}.items():
        want = (value * there).sum(1) / there.sum(1)
        torch.testing.assert_close(tokens[name], want, rtol=1e-4, atol=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()
    assert "encoder.layers.0.self_attn" in capture(model, ids)
    # Cut where no token of a batch is: the same.
    batches = [ids[i : i + 3, : int((ids[i : i + 3] != 0).sum(1).max())] for i in range(0, 12, 3)]
    assert {len(batch[0]) for batch in batches} != {6}
    cut = capture(model, batches, ["embed", "encoder.layers.0.norm2"], reduce="tokens")
    for name, value in tokens.items():
        torch.testing.assert_close(cut[name], value, rtol=1e-4, atol=1e-5)


def test_padding_that_nothing_tells_of_is_refused():
    model, ids = nn.Sequential(nn.Embedding(9, 4)), texts()
    batches = [ids[:6, :5], ids[6:]]
    with pytest.raises(
        InputError, match=r"^layer 0: batches of \(5,\) and of \(6,\) tokens.*mask="
    ):
        capture(model, batches, reduce="tokens")
    there = ids != 0
    want = (model(ids).detach() * there[..., None]).sum(1) / there.sum(1)[:, None]
    for inputs, mask in (
        (ids, there),
        (ids, there.sum(1).numpy()),
        (ids, lambda batch: batch != 0),
        ([ids[:6], ids[6:]], there),
    ):
        read = capture(model, inputs, reduce="tokens", mask=mask, batch_size=5)
        torch.testing.assert_close(read["0"], want)
    named = told_as("here")
    read = capture(
        named, {"x": noise(12, 6, 8), "here": there}, "layer", mask="here", reduce="tokens"
    )
    want = (named.layer(noise(12, 6, 8)) * there[..., None]).sum(1) / there.sum(1)[:, None]
    torch.testing.assert_close(read["layer"], want.detach())
    first = capture(model, ids.flip(1), reduce="first", mask=there.flip(1))["0"]
    torch.testing.assert_close(first, model(torch.stack([r[r != 0][-1] for r in ids])).detach())
    for mask, text in (
        (ids, r"1 where a token is real and 0 elsewhere, .* \(12, 6\), with \d in it"),
        (there.float() / 2, r"1 where a token is real and 0 elsewhere, .* with 0.5 in it"),
        (there.any(1), r"lengths \(12,\), got torch.bool of shape \(12,\)"),
        (there[:3], r"a row for each of the 12 inputs, got 3"),
        (3, "got a int"),
        ("words", "the inputs have no 'words'; they have no names"),
        (lambda batch: batch.sum(), r"expected \(12, t\) with 1 .* shape \(\)"),
    ):
        with pytest.raises(InputError, match=rf"^mask: .*{text}"):
            capture(model, ids, reduce="tokens", mask=mask)


class OfLengths(nn.Module):
    """Is told the lengths of its inputs, and has as many channels as tokens and more."""

    def __init__(self):
        super().__init__()
        self.layer, self.turned = nn.Linear(3, 9), nn.Identity()

    def forward(self, x, lengths):
        return self.turned(self.layer(x).transpose(1, 2))


def test_lengths_are_those_of_the_tokens_alone():
    x, lengths = noise(10, 6, 3), torch.arange(10) % 4 + 2
    model = OfLengths()
    there = (torch.arange(6) < lengths[:, None])[..., None]
    want = (model.layer(x) * there).sum(1) / there.sum(1)
    read = capture(model, (x, lengths), "layer", reduce="tokens")
    torch.testing.assert_close(read["layer"], want.detach())
    with pytest.raises(InputError, match=r"^layer turned: its tokens \(9,\) are not those of the"):
        capture(model, (x, lengths), reduce="tokens")


class Two(nn.Module):
    """A decoder beside an encoder of as many tokens."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.Identity()
        self.wrap = Crossed(self.decoder)

    def forward(self, x, own, other):
        return self.wrap(x, attention_mask=own, encoder_attention_mask=other)


class Crossed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = [inner]

    def forward(self, x, attention_mask, encoder_attention_mask):
        return self.inner[0](x)


class Told(nn.Module):
    """Given something about its tokens under a name of its own, and inside a mask of pairs."""

    def __init__(self, argument, inside=None):
        super().__init__()
        self.argument, self.inside = argument, inside
        self.layer = Between() if inside else nn.Linear(8, 8)

    def forward(self, x, told=None):
        pairs = torch.ones(x.shape[1], x.shape[1]).tril()
        return self.layer(x, **{self.inside: pairs}) if self.inside else self.layer(x)


class Between(nn.Linear):
    def __init__(self):
        super().__init__(8, 8)

    def forward(self, x, attention_mask):
        return super().forward(x)


def told_as(argument, inside=None):
    """The same, its argument being called so."""
    model = Told(argument, inside)
    code = f"lambda self, x, {argument}=None: Told.forward(self, x, {argument})"
    model.__class__ = type("Told", (Told,), {"forward": eval(code, {"Told": Told})})
    return model


@pytest.mark.parametrize("argument", ["lengths", "x_len", "seq_length"])
def test_lengths_have_many_names_and_masks_of_pairs_are_none(argument):
    """As many inputs as tokens: a mask (t, t) is not one (n, t)."""
    x, lengths = torch.randn(12, 12, 8), torch.arange(12) % 7 + 1
    there = (torch.arange(12) < lengths[:, None])[..., None]
    for inside in (None, "attention_mask"):
        model = told_as(argument, inside)
        wanted = (model.layer(x, *[None] * bool(inside)) * there).sum(1) / lengths[:, None]
        read = capture(model, {"x": x, argument: lengths}, "layer", reduce="tokens")
        torch.testing.assert_close(read["layer"], wanted)


def test_the_largest_length_is_a_limit_and_no_length():
    x = torch.randn(12, 6, 8)
    model = told_as("max_len")
    read = capture(model, {"x": x, "max_len": torch.full((12,), 4)}, "layer", reduce="tokens")
    torch.testing.assert_close(read["layer"], model.layer(x).mean(1))


class Strided(nn.Module):
    """A convolution of stride 2 over 16 tokens, and the 8 that it leaves turned back."""

    def __init__(self, features=5, channels=6, stride=2):
        super().__init__()
        self.conv = nn.Conv1d(features, channels, stride, stride)
        self.layer = nn.Linear(channels, 6)

    def forward(self, x, lengths=None):
        return self.layer(self.conv(x.mT).mT)


@pytest.mark.parametrize("longest", [8, 5])
def test_lengths_are_not_of_fewer_tokens(longest):
    """Found or given, and however they are given: no length says how many tokens fill up."""
    x, lengths = noise(12, 16, 3), torch.arange(12) % longest + 1
    why = r"^layer layer: its tokens \(8,\) are not those of the mask \(lengths of 16\)"
    with pytest.raises(InputError, match=why):
        capture(Strided(3), {"x": x, "lengths": lengths}, "layer", reduce="tokens")
    for mask in (lengths, lengths.numpy(), lambda batch: lengths[: len(batch)]):
        with pytest.raises(InputError, match=why):
            capture(Strided(3), x, "layer", reduce="tokens", mask=mask)
    # Of layers with all tokens they are, whether or not any length is as many.
    whole = Strided(3, stride=1)
    read = capture(whole, x, "layer", reduce="tokens", mask=lengths)["layer"]
    there = (torch.arange(16) < lengths[:, None])[..., None]
    torch.testing.assert_close(read, (whole(x) * there).sum(1).detach() / lengths[:, None])
    beside = [[x, torch.zeros(12, 9, dtype=torch.long)]]  # a target, which the network is not shown
    same = capture(whole, beside, "layer", reduce="tokens", mask=lengths)["layer"]
    torch.testing.assert_close(same, read)


def test_lengths_of_what_has_two_kinds_of_axes_are_not_guessed_at():
    """Channels may stand first, and a decoder's inputs beside an encoder's."""
    lengths = torch.arange(12) % 8 + 1
    with pytest.raises(InputError, match=r"^layer layer: .* axes of 8 and of 16, and which"):
        capture(Strided(8), noise(12, 16, 8), "layer", reduce="tokens", mask=lengths)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x, y):
            return self.layer(y) + self.layer(x).mean(1, keepdim=True)

    pair = (noise(12, 10, 3), noise(12, 9, 3))
    with pytest.raises(InputError, match=r"^layer layer#1: .* axes of 9 and of 10, and which"):
        capture(Both(), pair, reduce="tokens", mask=lengths)


@pytest.mark.parametrize("argument", ["mask", "padding_mask", "valid_mask"])
def test_what_a_mask_means_is_not_guessed_at(argument):
    x, there = torch.randn(12, 6, 8), torch.arange(6) < (torch.arange(12) % 5 + 2)[:, None]
    there[:8] = True  # the first are whole
    model = told_as(argument)
    with pytest.raises(InputError, match=rf"^layer layer: whether 1 in '{argument}' is a token"):
        capture(model, {"x": x, argument: there}, reduce="tokens")
    read = capture(model, {"x": x, argument: ~there}, reduce="tokens", mask=there)
    wanted = (model.layer(x) * there[..., None]).sum(1) / there.sum(1, keepdim=True)
    torch.testing.assert_close(read["layer"], wanted)


def test_a_mask_that_comes_late_is_not_passed_over():
    x, there = torch.randn(12, 6, 8), torch.arange(6) < (torch.arange(12) % 5 + 2)[:, None]
    batches = [{"x": x, "attention_mask": None}, {"x": x, "attention_mask": there}]
    with pytest.raises(InputError, match=r"^layer layer: 'attention_mask' came with these inputs"):
        capture(told_as("attention_mask"), batches, reduce="tokens")
    assert capture(told_as("attention_mask"), batches)["layer"].shape == (24, 6, 8)


@pytest.mark.parametrize("channels", [6, 5])
def test_channels_are_not_taken_for_as_many_tokens(channels):
    """A convolution over tokens puts its channels where others have their tokens."""

    class Convolved(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(3, channels, 1)

        def forward(self, x, attention_mask):
            return self.conv(x.mT)

    shown = {"x": torch.randn(9, 6, 3), "attention_mask": (torch.arange(6) < 4).repeat(9, 1)}
    why = "which are its channels" if channels == 6 else "not those of the mask"
    with pytest.raises(InputError, match=why):
        capture(Convolved(), shown, ["conv"], reduce="tokens")
    # Nor are those of a strided one for the tokens before it, as many as the mask has.
    short = {"x": noise(9, 6, 3), "attention_mask": shown["attention_mask"]}
    Convolved.forward = lambda self, x, attention_mask: self.conv(x.mT[..., ::2])
    with pytest.raises(InputError, match=why):
        capture(Convolved(), short, ["conv"], reduce="tokens")


def test_masks_of_two_kinds_of_tokens_are_not_guessed_at():
    x, one = noise(10, 4, 3), torch.ones(10, 4)
    other = one.clone()
    other[:, 2:] = 0
    read = capture(Two(), (x, other, one[:, :3]), "decoder", reduce="tokens")["decoder"]
    torch.testing.assert_close(read, x[:, :2].mean(1))
    with pytest.raises(InputError, match=r"^layer decoder: masks of several kinds of tokens"):
        capture(Two(), (x, other, one), "decoder", reduce="tokens")
    with pytest.raises(InputError, match=r"^layer decoder: its tokens \(4,\) are not those of the"):
        capture(Two(), (x, other[:, 1:], one[:, :2]), "decoder", reduce="tokens")


KINDS = {
    "sparse": lambda x: x.relu().to_sparse(),
    "csr": lambda x: x.relu().to_sparse_csr(),
    "float8": lambda x: x.to(torch.float8_e4m3fn),
    "quantised": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "nested": lambda x: torch.nested.nested_tensor([row[None] for row in x]),
    "complex": torch.fft.fft,
    "number": lambda x: x[:, 0],
}


class Returns(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.first, self.odd, self.kind = nn.Linear(4, 4), nn.Identity(), kind

    def forward(self, x):
        x = self.first(x)
        self.odd(KINDS[self.kind](x))
        return x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_tensor(kind, tmp_path):
    torch.manual_seed(0)
    model, x = Returns(kind), noise(30, 4)
    read = capture(model, x)
    assert list(read) == ["first", "odd"]
    scores = sg.compare(model, model, x)
    assert bool(np.isnan(scores.sel(x="odd", y="odd"))) == (kind == "complex")
    assert float(scores.sel(x="first", y="first")) == pytest.approx(1)
    sg.record(model, x, tmp_path / "mine").close()


def test_modules_that_have_others_inside_that_do_not_run():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.closed = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))

        def forward(self, x):
            return self.closed(self.attention(x, x, x)[0])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Attends()
    read = capture(model, noise(12, 3, 4))
    assert list(read) == ["attention[0]", "attention[1]", "closed"]


@pytest.mark.filterwarnings("ignore")
def test_quantised_modules_are_layers():
    from torch.ao import quantization as quantise

    torch.manual_seed(0)
    model = nn.Sequential(quantise.QuantStub(), nn.Linear(4, 6), nn.ReLU(), quantise.DeQuantStub())
    model.eval().qconfig = quantise.get_default_qconfig("x86")
    quantise.prepare(model, inplace=True)(noise(20, 4))
    quantise.convert(model, inplace=True)
    read = capture(model, noise(20, 4))
    assert list(read) == ["0", "1", "2", "3"]
    assert torch.equal(read["2"], model(noise(20, 4)))
    dynamic = quantise.quantize_dynamic(nn.Sequential(nn.Linear(4, 32), nn.ReLU()), {nn.Linear})
    assert list(capture(dynamic, noise(20, 4))) == ["0", "1"]


@pytest.mark.full  # torch.export takes seconds
@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning")
def test_exported_programs():
    model, x = (
        nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2)),
        noise(12, 4),
    )
    want = capture(model, x)
    program = torch.export.export(model, (x[:4],))
    with pytest.raises(InputError, match=r"^layers: no module runs inside an exported graph"):
        capture(program.module(), x, batch_size=4)
    unflat = torch.export.unflatten(program)
    assert list(sg.compare(program, program, x, batch_size=4).x.values) == ["0.0", "0.1", "1"]
    for read in (capture(program, x, batch_size=4), capture(unflat, [x[:4], x[4:8], x[8:]])):
        assert list(read) == ["0.0", "0.1", "1"]
        for name, value in read.items():
            torch.testing.assert_close(value, want[name])
    for n, size, text in (
        (12, 5, "does not run on 5 inputs"),
        (10, 4, "ran on 4 inputs and not on 2"),
    ):
        with pytest.raises(InputError, match=rf"^model: it {text}.*batch_size="):
            capture(unflat, x[:n], batch_size=size)


def test_weights_that_are_elsewhere_until_their_module_runs():
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), noise(12, 4)
    want = capture(model, x)
    held = dict(model[0]._parameters)
    empty = {name: nn.Parameter(value.to("meta")) for name, value in held.items()}
    model[0]._parameters.update(empty)
    model[0].register_forward_pre_hook(lambda module, _: module._parameters.update(held))
    model[0].register_forward_hook(lambda module, *_: module._parameters.update(empty))
    for name, value in capture(model, x).items():
        assert torch.equal(value, want[name])
    assert model[0].weight is empty["weight"]
    assert np.isfinite(sg.compare(model, model, x)).all()


@pytest.mark.full
def test_weights_that_accelerate_offloads():
    accelerate = pytest.importorskip("accelerate")
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), noise(12, 4)
    want = capture(model, x)
    accelerate.cpu_offload(model)
    assert all(weight.is_meta for weight in model.parameters())
    for name, value in capture(model, x).items():
        assert torch.equal(value, want[name])
    assert all(weight.is_meta for weight in model.parameters())


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(3, 3)
        self.right = self.left

    def forward(self, x):
        return self.right(self.left(x))


def test_names_as_users_see_them():
    model, x = Shared(), noise(10, 3)
    left = capture(model, x)
    assert list(left) == ["left#1", "left#2"]
    right = capture(model, x, "right")
    assert list(right) == ["right#1", "right#2"]
    assert all(torch.equal(*pair) for pair in zip(left.values(), right.values(), strict=True))
    assert list(capture(model, x, ["left#2"])) == ["left#2"]
    assert list(sg.compare(model, model, x, layers="right#1").x.values) == ["right#1"]
    with pytest.raises(InputError, match=r"no part left#3 .* it has left#1, left#2\."):
        capture(model, x, "left#3")


class Starts(nn.Module):
    """Scales by what its first inputs are, as ActNorm does; knows by a flag that it has started."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.scale, self.seen = kind, nn.Parameter(torch.ones(3)), {}
        self.started, self.deep = False, {"of": {}}
        self.held = SimpleNamespace(scale=None, made=[])
        if kind == "buffer":
            self.started = None
            del self.started
            self.register_buffer("started", torch.tensor(0))

    def forward(self, x):
        if self.kind == "made" and not hasattr(self, "late"):
            self.late = nn.Linear(3, 3)
        if self.kind == "kept":
            self.seen["x"] = self.seen.get("x", 0) + float(x[0, 0])
            return x + self.seen["x"]
        if self.kind == "deep":
            if not self.deep["of"]:
                self.scale.data = 1 / x.std(0)
                self.deep["of"]["started"] = True
            return x * self.scale
        if self.kind == "object":
            if self.held.scale is None:
                self.held.scale = 1 / x.std(0)
                self.held.made.append(True)
            return x * self.held.scale
        if not self.started:
            if self.kind in ("flag", "buffer"):
                self.scale.data = 1 / x.std(0)
            self.started = True if self.kind != "buffer" else torch.tensor(1)
        return self.late(x) if self.kind == "made" else x * self.scale


@pytest.mark.parametrize("kind", ["flag", "buffer", "made", "kept", "deep", "object"])
def test_a_network_that_its_first_inputs_set_up_is_refused(kind, tmp_path):
    model, x = nn.Sequential(Starts(kind)), noise(30, 3)
    names = set(model[0].__dict__)
    calls = {
        "compare": lambda: sg.compare(model, model, x),
        "capture": lambda: capture(model, x, call=lambda batch, rows: model(batch)),
        "record": lambda: sg.record(model, x, tmp_path / "mine"),
    }
    for call in calls.values():
        with pytest.raises(
            InputError, match=r"^model: a pass changes 0\.[\w.]+, .* run the network"
        ):
            call()
        assert torch.equal(model[0].scale, torch.ones(3))
        assert not model[0].started
        assert set(model[0].__dict__) == names
        assert not model[0].seen
        assert not model[0].deep["of"]
        assert (model[0].held.scale, model[0].held.made) == (None, [])
        assert not list(model[0].children())
    if kind != "kept":
        model(x)  # the caller's own
        assert list(capture(model, x))


def test_what_only_counts_is_read_and_put_back():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.passes, self.cache = nn.Linear(3, 3), 0, {}
            self.register_buffer("graph", torch.eye(3).to_sparse())
            self.register_buffer("after", torch.zeros(3))

        def forward(self, x):
            self.passes += 1
            self.cache[self.passes] = x
            self.graph.mul_(1)
            self.after.copy_(x[0])
            return torch.sparse.mm(self.graph, self.layer(x).T).T

    model = Counts()
    graph, cache = model.graph, model.cache
    read = capture(model, noise(12, 3), batch_size=5)
    assert list(read) == ["layer"]
    assert (model.passes, model.cache, model.graph) == (0, {}, graph)
    assert model.cache is cache
    assert not model.after.any()


def test_what_cannot_be_put_back_does_not_keep_the_rest_from_it():
    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("one", torch.zeros(3))
            self.register_buffer("two", torch.zeros(3))

    model = Stubborn()
    state = State(model)
    model.one += 1
    model.two += 1
    key = id(model.one)
    state.tensors[key] = ("one", model.one, "no tensor")
    with pytest.warns(UserWarning, match=r"not wholly as it was before it was read: one \("):
        state.put_back()
    assert not model.two.any()


def test_rows_that_depend_on_the_others_are_left_out():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU())
    read = capture(model, noise(30, 3))
    assert list(read) == ["0"]
    assert set(read.left_out) == {"1", "2"}
    assert "depends on the other inputs" in read.left_out["1"]
    called = capture(model, noise(40, 3), call=lambda batch, rows: model(batch))
    assert called.left_out == read.left_out
    with pytest.raises(InputError, match=r"^layer 1: .*depends on the other inputs of its batch"):
        capture(model, noise(30, 3), "1")
    # Inputs given time first are taken for the steps: each depends on those before it.
    with pytest.raises(InputError, match=r"^layer 0\[0\]: what an input gives depends on"):
        capture(nn.Sequential(nn.GRU(3, 4)), noise(12, 6, 3))


@pytest.mark.parametrize(
    "kind", ["little", "off-origin", "size", "one-size", "largest", "last", "bfloat16"]
)
def test_rows_that_depend_a_little_on_the_others_are_left_out(kind):
    class Leaks(nn.Module):
        def forward(self, x):
            if kind == "size":
                return x / len(x)
            if kind == "one-size":  # as an exported network
                x = x.view(24, 3)
            if kind in ("largest", "last"):
                return x / x.abs().max() if kind == "largest" else x + 1e-3 * x[-1]
            leak = x.pow(2).mean(0) * (100 if kind == "bfloat16" else 1)
            return x + 1e-3 * leak + 1e-3 * leak * x if kind != "off-origin" else 300 + x + leak

    model = nn.Sequential(nn.Linear(3, 3), Leaks())
    model = model.bfloat16() if kind == "bfloat16" else model
    read = capture(model, noise(24, 3))
    assert list(read) == ["0"]
    assert "depends on the other inputs" in read.left_out["1"]


def test_a_module_that_runs_more_often_for_later_inputs_is_told():
    class Repeats(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(3, 3)

        def forward(self, x):
            for _ in range(int(x[0, 0])):
                x = self.step(x)
            return x

    x = noise(24, 3)
    x[:, 0], x[16:, 0] = 2, 3
    with pytest.raises(InputError, match=r"^layer step: it ran 3 times .* and 2 for the first"):
        capture(Repeats(), x, batch_size=8)
    with pytest.raises(InputError, match=r"^layer step: it ran 3 times .* and 2 for the first"):
        sg.compare(Repeats(), Repeats(), x, batch_size=8)
    assert capture(Repeats(), x, "step#2", batch_size=8)["step#2"].shape == (24, 3)


class Squeezes(nn.Module):
    def forward(self, x):
        return x.mean(2, keepdim=True).squeeze()


def test_a_last_batch_of_one():
    model, x = nn.Sequential(nn.Conv1d(2, 3, 3), Squeezes(), nn.Linear(3, 2)), noise(9, 2, 6)
    for size in (4, 8, 256):
        read = capture(model, x, batch_size=size)
        torch.testing.assert_close(read["1"], model[0](x).mean(2).detach())
    with pytest.raises(
        InputError, match=r"^layer 1: expected 2 axes.* got shape \(3,\) for 1 input"
    ):
        capture(model, [x[:8], x[8:]])
    with pytest.raises(InputError, match=r"^layer 1: .*squeeze"):
        sg.compare(model, model, torch.utils.data.DataLoader(x, batch_size=8))


@pytest.mark.full  # the first import of torch's compiler takes seconds
def test_what_compiles_and_what_wraps():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), noise(12, 3)
    want = capture(model, x)
    for wrapped in (nn.DataParallel(model), torch.compile(model, backend="eager")):
        read = capture(wrapped, x)
        assert list(read) == ["0", "1"]
        assert torch.equal(read["1"], want["1"])


def test_draws_that_a_call_fixes_are_not_taken_for_other_inputs(tmp_path):
    """By the place of an input in its batch, or by its number: both are the caller's choice."""

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x, noise=None):
            return self.layer(x) + (torch.randn_like(x) if noise is None else noise)

    model, x, drawn = nn.ModuleDict({"noisy": Noisy()}), noise(30, 3), noise(30, 3, seed=1)

    def seeded(batch, rows):
        torch.manual_seed(0)
        return model["noisy"](batch)

    for call in (seeded, lambda batch, rows: model["noisy"](batch, drawn[rows])):
        read = capture(model, x, ["**"], call=call)
        assert set(read) == {"noisy", "noisy.layer"}
    assert sg.record(Noisy(), x, tmp_path / "mine").close() is None
    mixing = nn.Sequential(nn.Linear(16, 16), nn.TransformerEncoderLayer(16, 1, 8))  # over inputs
    with pytest.raises(InputError, match=r"^layer 1: .*depends on the other inputs"):
        sg.record(mixing, noise(30, 4, 16), tmp_path / "other", layers=["1"])

"""Every module of torch.nn that takes a tensor, and tiny networks of transformers and diffusers."""

import inspect
import warnings

import pytest
import torch
from torch import nn
from zoo import Wrapped, check_laws

from stratigraph.activations import capture
from stratigraph.errors import InputError

N = 9
# What is no layer with an output of its own: containers, bases, what is set up by its first inputs,
# losses (they average over the inputs).
NONE = {
    "Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList",
    "Sequential", "RNNBase", "RNNCellBase", "DataParallel", "Buffer", "Parameter",
    "UninitializedBuffer", "UninitializedParameter", "AdaptiveLogSoftmaxWithLoss",
    "FractionalMaxPool2d", "FractionalMaxPool3d",  # random in evaluation too: refused, see below
}  # fmt: skip
ARGUMENTS = {
    "AvgPool": (2,), "MaxPool": (2,), "LPPool": (2, 2), "AdaptiveAvgPool": (2,),
    "AdaptiveMaxPool": (2,), "MaxUnpool": (2,), "Conv": (4, 4, 3), "BatchNorm": (4,),
    "InstanceNorm": (4,), "SyncBatchNorm": (4,), "GroupNorm": (2, 4), "LayerNorm": (8,),
    "RMSNorm": (8,), "LocalResponseNorm": (2,), "CrossMapLRN2d": (2,), "Bilinear": (8, 8, 3),
    "Linear": (8, 3), "NonDynamicallyQuantizableLinear": (8, 3), "Embedding": (12, 5),
    "EmbeddingBag": (12, 5), "GLU": (), "Hardshrink": (), "Threshold": (0.1, 20.0),
    "PixelShuffle": (2,), "PixelUnshuffle": (2,), "ChannelShuffle": (2,), "Unflatten": (1, (2, 2)),
    "ConstantPad": (1, 0.5), "ReflectionPad": (1,), "ReplicationPad": (1,), "ZeroPad": (1,),
    "CircularPad": (1,), "Upsample": (None, 2), "UpsamplingBilinear2d": (None, 2),
    "UpsamplingNearest2d": (None, 2), "Unfold": (2,), "Fold": ((4, 4), 2), "RNN": (8, 6),
    "GRU": (8, 6), "LSTM": (8, 6), "RNNCell": (8, 6), "GRUCell": (8, 6), "LSTMCell": (8, 6),
    "MultiheadAttention": (8, 2), "Transformer": (8, 2, 1, 1, 16), "Softmax": (1,),
    "LogSoftmax": (1,), "Softmax2d": (), "Softmin": (1,), "TransformerEncoderLayer": (8, 2, 16),
    "TransformerDecoderLayer": (8, 2, 16), "LinearCrossEntropyLoss": (8, 3),
}  # fmt: skip
OF_SEQUENCES = ("RNN", "GRU", "LSTM", "MultiheadAttention", "Transformer")  # time comes first


class TimeFirst(nn.Module):
    """A module that is given (t, n, d), of inputs (n, t, d)."""

    def __init__(self, module, copies):
        super().__init__()
        self.layer, self.copies = module, copies

    def forward(self, x):
        return self.layer(*[x.transpose(0, 1)] * self.copies)


def sized(name):
    """The axes after the channels that a module's name speaks of."""
    return next((int(d) for d in "123" if f"{d}d" in name), None)


def made(name):
    """A network with one such module, and inputs for it."""
    kind = getattr(nn, name)
    bare = name.replace("Transposed", "").replace("Lazy", "")
    stem = bare.split("1d")[0].split("2d")[0].split("3d")[0].removesuffix("Transpose")
    arguments = ARGUMENTS.get(name, ARGUMENTS.get(stem, ()))
    if name in ("TransformerEncoder", "TransformerDecoder"):
        layer = getattr(nn, f"{name}Layer")(8, 2, 16, dropout=0.0)
        arguments = (layer, 2)
    torch.manual_seed(0)
    module = kind(*arguments)
    if name in OF_SEQUENCES or name.startswith("Transformer"):
        copies = 3 if name == "MultiheadAttention" else 1
        copies = 2 if "Decoder" in name or name == "Transformer" else copies
        return TimeFirst(module, copies), torch.randn(N, 5, 8)
    dims = sized(name)
    if name.startswith("MaxUnpool"):
        shape = (N, 4, *[3] * dims)
        where = torch.arange(3**dims).reshape(shape[2:]).expand(shape)
        return Wrapped(module), (torch.randn(shape), where)
    if name.startswith("Embedding"):
        return Wrapped(module), torch.randint(0, 12, (N, 5))
    if name in ("Bilinear", "CosineSimilarity", "PairwiseDistance"):
        return Wrapped(module), (torch.randn(N, 8), torch.randn(N, 8))
    if name == "Fold":
        return Wrapped(module), torch.randn(N, 8, 9)
    if name in ("SyncBatchNorm", "Unflatten"):
        return Wrapped(module), torch.randn(N, 4)
    if dims is not None or name in ("GroupNorm", "Unfold", "Softmax2d", "LocalResponseNorm"):
        return Wrapped(module), torch.randn(N, 4, *[8] * (dims or 2))
    if "Pixel" in name or "Channel" in name or name == "Upsample":
        return Wrapped(module), torch.randn(N, 4, 6, 6)
    return Wrapped(module), torch.randn(N, 8)


def classes():
    """The names of torch.nn's modules that take tensors and give one."""
    for name, kind in vars(nn).items():
        other = name in NONE or "Loss" in name or name.startswith("Lazy")
        if inspect.isclass(kind) and issubclass(kind, nn.Module) and not other:
            yield name


# One of each kind; the others in `make test-all`.
MORE = {
    "Bilinear", "EmbeddingBag", "Unflatten", "Conv1d", "AdaptiveMaxPool1d", "BatchNorm1d",
    "LayerNorm", "GRU", "LSTM", "LSTMCell", "MultiheadAttention", "TransformerEncoder",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in MORE else pytest.mark.full) for n in sorted(classes())],
)
def test_a_module_of_torch(name):
    model, inputs = made(name)
    check_laws(model, inputs, N)


def test_the_list_of_modules_is_of_torch():
    assert set(classes()) >= MORE
    assert len(list(classes())) > 100


def test_lazy_modules_are_refused_until_they_have_run():
    kinds = [name for name in vars(nn) if name.startswith("Lazy")]
    assert len(kinds) > 10
    for name in kinds:
        arguments = () if "Norm" in name else (3,) if name == "LazyLinear" else (3, 2)
        model = nn.Sequential(getattr(nn, name)(*arguments))
        with pytest.raises(InputError, match=r"^model: 0\.\w+ has no shape yet: a lazy module"):
            capture(model, torch.randn(N, 4))
        x = torch.randn(N, 4, *[6] * (sized(name) or 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(x)
        assert list(capture(model, x)) == ["0"]


def test_random_modules_are_refused():
    with pytest.raises(InputError, match="it draws random numbers"):
        capture(nn.Sequential(nn.FractionalMaxPool2d(2, 3)), torch.randn(N, 2, 9, 9))

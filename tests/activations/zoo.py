"""What a reading has to be of any network, checked on one."""

import numpy as np
import torch
from torch import nn

from stratigraph.activations import capture
from stratigraph.activations.outputs import returned_parts


def rows(inputs, which):
    """Some of the inputs."""
    if isinstance(inputs, dict):
        return {name: value[which] for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(value[which] for value in inputs)
    return inputs[which]


def everything(model):
    """All that a reading has to leave as it was."""
    state = [(name, v.clone(), v._version) for name, v in model.state_dict().items()]
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    # Python's stream is left out: the type checks of the tests draw from it.
    drawn = [np.random.get_state()[1].tolist(), torch.get_rng_state()]  # noqa: NPY002
    names = [sorted(m.__dict__) for m in model.modules()]
    return state, grads, modes, hooks, names, drawn


def assert_same(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


def near(one, other, name):
    one, other = (x.float() if not x.is_complex() else x for x in (one, other))
    torch.testing.assert_close(
        one,
        other,
        rtol=1e-3,
        atol=2e-4 * float(one.abs().max() + 1e-9),
        msg=lambda m: f"{name}: {m}",
    )


def check_laws(model, inputs, n, layers=None):
    """Every law of a reading, on n inputs; returns what was read."""
    model.train()
    before = everything(model)
    read = capture(model, inputs, layers)
    assert_same(before, everything(model))
    assert read
    # What a hook of one's own sees.
    seen = {}

    def see(name):
        def hook(module, args, output):
            parts = [part.value.clone() for part in returned_parts(module, output)]
            seen.setdefault(name, []).append(parts)

        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(see(name))
    model.eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        if isinstance(inputs, dict):
            model(**inputs)
        else:
            model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    torch.backends.mha.set_fastpath_enabled(fast)
    for module in model.modules():
        module._forward_hooks.clear()
    for name, value in read.items():
        assert len(value) == n
        bare, _, run = name.partition("[")[0].partition("#")
        parts = seen[bare][int(run or 1) - 1]
        assert any(
            torch.equal(part.movedim(axis, 0), value)
            for part in parts
            for axis in range(part.ndim)
            if part.movedim(axis, 0).shape == value.shape
        ), name
    # From a network in evaluation, in other batches, of inputs in another order.
    order = torch.randperm(n, generator=torch.Generator().manual_seed(2))
    other = capture(model, rows(inputs, order), layers, batch_size=4)
    assert list(other) == list(read)
    for name, value in read.items():
        near(value[order], other[name], name)
    # An input beside others.
    few = torch.tensor([0, *range(n - 1, 0, -2)])
    beside = capture(model, rows(inputs, few), layers)
    for name, value in read.items():
        near(value[0], beside[name][0], name)
    return read


class Wrapped(nn.Module):
    """A module of torch with a name."""

    def __init__(self, module):
        super().__init__()
        self.layer = module

    def forward(self, *args):
        return self.layer(*args)

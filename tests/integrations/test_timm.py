"""timm's networks are plain modules: read by globs of their blocks, compared and recorded.

timm imports torchvision, which has to be built for the torch that is there: where either does not
import, these tests are skipped and say why.
"""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.cli.main import main

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import timm
    # ImportError where it is not there; and a torchvision of another torch raises what it likes.
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        pytest.skip(f"timm does not import here: {error}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")
DEPTH = 3


def vit(seed=0):
    torch.manual_seed(seed)
    return timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32, patch_size=8, embed_dim=24,
        depth=DEPTH, num_heads=2, num_classes=4,
    )  # fmt: skip


def resnet(seed=0):
    torch.manual_seed(seed)
    return timm.create_model("resnet18", pretrained=False, num_classes=4)


def images(n=24, seed=9):
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_blocks_are_read_as_timm_reads_them():
    model = vit()
    found = sg.capture(model, images(), "blocks.*", batch_size=10)
    assert list(found) == [f"blocks.{block}" for block in range(DEPTH)]
    with torch.no_grad():
        want = model.eval().forward_intermediates(
            images(), output_fmt="NLC", return_prefix_tokens=True, intermediates_only=True
        )
    for block, (patches, prefix) in zip(found.values(), want, strict=True):
        torch.testing.assert_close(block, torch.cat([prefix, patches], dim=1))


def test_a_transformer_against_a_convolutional_network():
    model = vit()
    same = sg.compare(model, model, images(), layers="blocks.*", reduce="tokens")
    np.testing.assert_allclose(np.diag(same), 1, atol=1e-6)
    assert np.tril(same, -1).max() < 1 - 1e-6
    found = sg.compare(
        model, resnet(), images(), layers="blocks.*", layers_b="layer?",
        reduce={"blocks.*": "tokens", "layer?": "spatial"},
    )  # fmt: skip
    assert list(found.y.values) == ["layer1", "layer2", "layer3", "layer4"]
    assert np.isfinite(found).all()


def test_a_training_is_a_study(tmp_path):
    model = vit()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = images(16, 1), torch.arange(16) % 4
    with sg.record(
        model, images(), tmp_path / "mine", layers=["blocks.*", "head"], snapshots=[0, 2]
    ) as recorder:
        for _ in range(3):
            loss = nn.functional.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            recorder.step(loss=loss)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(tmp_path / "mine"), "--quiet", "--workers", "1"])
    assert not stopped.value.code
    study = sg.load_study(tmp_path / "mine")
    (run,) = study.runs.values()
    assert run.steps == [0, 2, 3]
    layers = set(study.labels("debiased_cka")["layer"])
    assert layers == {*(f"blocks.{block}" for block in range(DEPTH)), "head"}
    restored = vit(seed=1)
    run.load(restored, 3)
    assert torch.equal(restored.head.weight, model.head.weight)

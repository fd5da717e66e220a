"""Small transformers from their configurations, compared layer by layer.

Random weights, since nothing is downloaded here; ``from_pretrained`` in place of a configuration
compares real ones.

    pip install 'stratigraph[transformers]'
    python examples/transformers_layers.py
"""

from __future__ import annotations

import torch
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

import stratigraph as sg

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip


def bert(seed: int) -> BertModel:
    """A BERT of three layers."""
    torch.manual_seed(seed)
    return BertModel(BertConfig(vocab_size=100, max_position_embeddings=32, **SIZES))


def vit(seed: int) -> ViTModel:
    """A vision transformer of three layers."""
    torch.manual_seed(seed)
    return ViTModel(ViTConfig(image_size=32, patch_size=8, num_channels=1, **SIZES))


def main() -> None:
    """Compare."""
    # A mapping is given to the network by the names of its arguments.
    ids = torch.randint(3, 100, (60, 12), generator=torch.Generator().manual_seed(0))
    sentences = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = sg.compare(bert(0), bert(1), sentences, layers="encoder.layer.*", reduce="tokens")
    print("BERT against BERT with other weights, tokens averaged")
    print(found.to_pandas().round(2))

    # Batches as a loader gives them; one network, its layers against each other.
    images = [torch.rand(20, 1, 32, 32) for _ in range(3)]
    found = sg.compare(model := vit(0), model, images, layers="type:ViTLayer", reduce="first")
    print("\nViT, its layers by their class token")
    print(found.to_pandas().round(2))

    # What attention returns is a tuple: each part with a row for every image is a layer.
    read = sg.capture(model, images, ["type:ViTAttention", "layers.0.attention.q_proj"])
    print({name: tuple(value.shape) for name, value in read.items()})


if __name__ == "__main__":
    main()

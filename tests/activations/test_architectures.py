"""Tiny random networks of transformers and diffusers, by the laws of a reading."""

import warnings

import pytest
import torch
from zoo import check_laws

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")
    diffusers = pytest.importorskip("diffusers")

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]

N = 9
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TEXT = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
BLOCKS = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 2,
    "norm_num_groups": 4,
}


def ids(tokens=7):
    return torch.randint(3, 50, (N, tokens))


def there():
    return torch.ones(N, 7, dtype=torch.long)


def images(size=32):
    return torch.randn(N, 3, size, size)


def of(name, **config):
    """A network of transformers, from its configuration."""
    kind = getattr(transformers, f"{name}Model")
    return kind(kind.config_class(**config))


def bert():
    given = {"input_ids": ids(), "attention_mask": there()}
    return of("Bert", vocab_size=50, max_position_embeddings=16, **SMALL), given


def gpt2():
    return of("GPT2", vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2), {
        "input_ids": ids()
    }


def t5():
    given = {"input_ids": ids(), "decoder_input_ids": ids(5)}
    return of("T5", vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2), given


def llama():
    config = {"num_key_value_heads": 2, "max_position_embeddings": 32, **TEXT, **SMALL}
    return of("Llama", **config), {"input_ids": ids()}


def mixtral():
    config = {"num_key_value_heads": 2, "num_local_experts": 4, **TEXT, **SMALL}
    return of("Mixtral", **config), {"input_ids": ids()}


def mamba():
    return of("Mamba", vocab_size=50, hidden_size=16, state_size=4, num_hidden_layers=2), {
        "input_ids": ids()
    }


def deberta():
    config = {
        "max_position_embeddings": 16, "relative_attention": True, "position_buckets": 4,
        "pos_att_type": ["p2c", "c2p"], **TEXT, **SMALL,
    }  # fmt: skip
    return of("DebertaV2", **config), {"input_ids": ids(), "attention_mask": there()}


def vit():
    return of("ViT", image_size=32, patch_size=8, **SMALL), {"pixel_values": images()}


def swin():
    config = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
    return of("Swin", image_size=32, patch_size=4, **config), {"pixel_values": images()}


def convnext():
    return of("ConvNext", hidden_sizes=[4, 8, 8, 8], depths=[1, 1, 1, 1], image_size=32), {
        "pixel_values": images()
    }


def resnet():
    config = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    return of("ResNet", **config), {"pixel_values": images()}


def levit():
    config = {
        "hidden_sizes": [16, 16, 16], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1],
        "key_dim": [4, 4, 4],
    }  # fmt: skip
    return of("Levit", image_size=64, **config), {"pixel_values": images(64)}


def clip():
    config = {
        "text_config": {"max_position_embeddings": 16, **TEXT, **SMALL},
        "vision_config": {"image_size": 32, "patch_size": 8, **SMALL},
        "projection_dim": 8,
    }
    given = {"input_ids": ids(), "attention_mask": there(), "pixel_values": images()}
    return of("CLIP", **config), given


def wav2vec2():
    config = {
        "vocab_size": 50, "conv_dim": (8, 8), "conv_stride": (4, 4), "conv_kernel": (8, 4),
        "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2, **SMALL,
    }  # fmt: skip
    return of("Wav2Vec2", **config), {"input_values": torch.randn(N, 400)}


def whisper():
    config = {
        "num_mel_bins": 8, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16, "max_source_positions": 10, "max_target_positions": 10,
        "decoder_start_token_id": 1, **TEXT,
    }  # fmt: skip
    given = {"input_features": torch.randn(N, 8, 20), "decoder_input_ids": ids(5)}
    return of("Whisper", **config), given


def perceiver():
    config = {
        "num_latents": 6, "d_latents": 8, "d_model": 12, "num_blocks": 1,
        "num_self_attends_per_block": 1, "num_self_attention_heads": 2,
        "num_cross_attention_heads": 2,
    }  # fmt: skip
    return of("Perceiver", **config), {"inputs": torch.randn(N, 7, 12)}


def autoencoder_kl():
    return diffusers.AutoencoderKL(**BLOCKS, sample_size=32), {"sample": images(16)}


def vq():
    return diffusers.VQModel(**BLOCKS, num_vq_embeddings=8), {"sample": images(16)}


def unet():
    model = diffusers.UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=4,
    )
    return model, {"sample": images(16), "timestep": torch.arange(N)}


def dit():
    model = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=2,
        num_layers=2,
        sample_size=8,
        norm_num_groups=2,
        num_embeds_ada_norm=10,
    )
    steps = torch.arange(N)
    given = {"hidden_states": torch.randn(N, 2, 8, 8), "timestep": steps, "class_labels": steps}
    return model, given


LEFT_OUT = {  # tables, and rows that are windows or tokens of all inputs
    "bert": "embeddings.position_embeddings",
    "gpt2": "wpe",
    "t5": "decoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    "llama": "rotary_emb[0]",
    "swin": "encoder.layers.0.blocks.0.attention.q_proj",
    "whisper": "encoder.embed_positions",
    "mixtral": "layers.0.mlp.gate[0]",
    "vq": "quantize.embedding",
}


@pytest.mark.parametrize(
    "make",
    [
        bert, gpt2, t5, llama, mixtral, mamba, deberta, vit, swin, convnext, resnet, levit, clip,
        wav2vec2, whisper, perceiver, autoencoder_kl, vq, unet, dit,
    ],
)  # fmt: skip
def test_an_architecture(make):
    torch.manual_seed(0)
    model, given = make()
    read = check_laws(model, given, N)
    assert len(read) > 9
    name = make.__name__
    assert name not in LEFT_OUT or "no axis follows the inputs" in read.left_out[LEFT_OUT[name]]
    assert not any("position" in layer and value.ndim < 3 for layer, value in read.items())

"""Speech, image and two-tower models of Hugging Face transformers, small."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import timm
import torch
import transformers as hf
from torch import Tensor, nn

from attention import Attention, Part, attention_structures, dead_attention, dead_block, hidden
from torch_models import Cut, Entry, Structure, batch_norm, columns, rows, write_all
from transformers_models import SOURCE, VOCABULARY, Call, eager, ids

Blocks = Sequence[tuple[str, Attention, tuple[Part, Part, int]]]


def attention(path: str, names: Sequence[str], **sizes: Any) -> Attention:
    return Attention(*(Part(f"{path}.{n}") for n in names), **sizes)


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def standard(
    model: nn.Module, layers: Sequence[Attention], feeds: Sequence[tuple[str, str]], positions: int
) -> list[Structure]:
    """Attention, neurons, and a dead block of both."""
    widths = [model.get_submodule(first).out_features for first, _ in feeds]
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(a),), Part(b), w) for (a, b), w in zip(feeds, widths, strict=True)]),
        dead_attention(layers[0], model),
        dead_block([Part(n) for n in feeds[-1]], positions, model),
    ]


# Whisper


WHISPER = {
    "vocab_size": VOCABULARY,
    "num_mel_bins": 16,
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_source_positions": 10,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 1,
}


def whisper_encoder() -> nn.Module:
    encoder = hf.models.whisper.modeling_whisper.WhisperEncoder(eager(hf.WhisperConfig(**WHISPER)))
    return Call(encoder, ["input_features"], ["last_hidden_state"])


def whisper_encoder_structures(model: nn.Module) -> list[Structure]:
    sizes = {"heads": 4, "batch": 2, "queries": 10, "keys": 10, "width": 12, "reads": 48}
    blocks = [f"model.layers.{i}" for i in range(2)]
    layers = [attention(f"{b}.self_attn", PROJECTIONS, **sizes) for b in blocks]
    gone = [i for i in range(48) if i % 4 == 1]
    stem = rows("model.conv1", gone) + columns("model.conv2", gone)
    return [*standard(model, layers, [(f"{b}.fc1", f"{b}.fc2") for b in blocks], 20), Structure("filters", stem)]


def whisper_decoder() -> nn.Module:
    decoder = hf.models.whisper.modeling_whisper.WhisperDecoder(eager(hf.WhisperConfig(**WHISPER)))
    names = ["input_ids", "attention_mask", "encoder_hidden_states"]
    return Call(decoder, names, ["last_hidden_state"], use_cache=False)


def whisper_decoder_structures(model: nn.Module) -> list[Structure]:
    blocks = [f"model.layers.{i}" for i in range(2)]
    sizes: dict[str, Any] = {"heads": 4, "batch": 2, "queries": 7, "width": 12, "reads": 48}
    layers = [
        attention(f"{b}.{n}", PROJECTIONS, keys=keys, **sizes)
        for b in blocks
        for n, keys in (("self_attn", 7), ("encoder_attn", 10))
    ]
    return standard(model, layers, [(f"{b}.fc1", f"{b}.fc2") for b in blocks], 14)


# CLIP


def clip() -> nn.Module:
    text = {
        **SMALL,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 16,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=32)
    names = ["input_ids", "pixel_values", "attention_mask"]
    return Call(hf.CLIPModel(eager(config)), names, ["logits_per_image", "image_embeds"])


def clip_structures(model: nn.Module) -> list[Structure]:
    text = [f"model.text_model.encoder.layers.{i}" for i in range(2)]
    vision = [f"model.vision_model.encoder.layers.{i}" for i in range(2)]
    sizes: dict[str, Any] = {"heads": 4, "batch": 2, "width": 12, "reads": 48}
    layers = [attention(f"{b}.self_attn", PROJECTIONS, queries=9, keys=9, **sizes) for b in text]
    layers += [attention(f"{b}.self_attn", PROJECTIONS, queries=17, keys=17, **sizes) for b in vision]
    return standard(model, layers, [(f"{b}.mlp.fc1", f"{b}.mlp.fc2") for b in text + vision], 34)


# SegFormer


def segformer() -> nn.Module:
    config = hf.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[32, 48],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[2, 4],
        mlp_ratios=[2, 2],
        decoder_hidden_size=32,
        num_labels=5,
    )
    return Call(hf.SegformerForSemanticSegmentation(eager(config)), ["pixel_values"], ["logits"])


def segformer_structures(model: nn.Module) -> list[Structure]:
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    stages = [f"model.segformer.stages.{i}.blocks.0" for i in range(2)]
    layers = [
        attention(f"{stages[0]}.attention", names, heads=2, batch=2, queries=64, keys=16, width=16, reads=32),
        attention(f"{stages[1]}.attention", names, heads=4, batch=2, queries=16, keys=16, width=12, reads=48),
    ]
    neurons: list[Cut] = []
    for stage, width in zip(stages, (64, 96), strict=True):
        gone = [i for i in range(width) if i % 5 < 2]
        neurons += rows(f"{stage}.mlp.fc1", gone) + rows(f"{stage}.mlp.dwconv.dwconv", gone)
        neurons += columns(f"{stage}.mlp.fc2", gone)
    gone = [i for i in range(32) if i % 4 == 3]
    head = "model.decode_head"
    decoder = columns(f"{head}.classifier", gone) + batch_norm(f"{head}.batch_norm", gone) + rows(f"{head}.linear_fuse", gone)
    return [
        *attention_structures(layers),
        Structure("ffn", neurons),
        Structure("decoder", decoder),
        dead_attention(layers[1], model),
    ]


# wav2vec 2 and its Conformer


AUDIO = {
    **SMALL,
    "conv_dim": (16, 24),
    "conv_kernel": (8, 4),
    "conv_stride": (4, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "apply_spec_augment": False,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


def wav2vec() -> nn.Module:
    return Call(hf.Wav2Vec2Model(eager(hf.Wav2Vec2Config(**AUDIO))), ["input_values"], ["last_hidden_state"])


def wav2vec_structures(model: nn.Module) -> list[Structure]:
    blocks = [f"model.encoder.layers.{i}" for i in range(2)]
    sizes = {"heads": 4, "batch": 2, "queries": 23, "keys": 23, "width": 12, "reads": 48}
    layers = [attention(f"{b}.attention", PROJECTIONS, **sizes) for b in blocks]
    feeds = [(f"{b}.feed_forward.intermediate_dense", f"{b}.feed_forward.output_dense") for b in blocks]
    return standard(model, layers, feeds, 46)


def conformer() -> nn.Module:
    config = hf.Wav2Vec2ConformerConfig(**AUDIO, position_embeddings_type=None, conv_depthwise_kernel_size=7)
    return Call(hf.Wav2Vec2ConformerModel(eager(config)), ["input_values"], ["last_hidden_state"])


def conformer_structures(model: nn.Module) -> list[Structure]:
    blocks = [f"model.encoder.layers.{i}" for i in range(2)]
    sizes = {"heads": 4, "batch": 2, "queries": 23, "keys": 23, "width": 12, "reads": 48}
    layers = [attention(f"{b}.self_attn", ("linear_q", "linear_k", "linear_v", "linear_out"), **sizes) for b in blocks]
    feeds = [(f"{b}.{n}.intermediate_dense", f"{b}.{n}.output_dense") for b in blocks for n in ("ffn1", "ffn2")]
    gone = [i for i in range(48) if i % 4 == 2]
    inner: list[Cut] = []
    for b in blocks:
        path = f"{b}.conv_module"
        inner += rows(f"{path}.pointwise_conv1", [*gone, *(48 + i for i in gone)]) + rows(f"{path}.depthwise_conv", gone)
        inner += batch_norm(f"{path}.batch_norm", gone) + columns(f"{path}.pointwise_conv2", gone)
    return [*standard(model, layers, feeds, 46), Structure("filters", inner)]


# Cross-covariance attention


def xcit() -> nn.Module:
    return timm.models.xcit.Xcit(
        img_size=32, patch_size=8, num_classes=10, embed_dim=48, depth=2, num_heads=4, cls_attn_layers=1
    )


def xcit_structures(model: nn.Module) -> list[Structure]:
    layers = [
        Attention(
            *(Part(f"blocks.{i}.attn.qkv", 48 * j) for j in range(3)),
            Part(f"blocks.{i}.attn.proj"),
            heads=4,
            batch=2,
            queries=16,
            keys=16,
            width=12,
            reads=48,
        )
        for i in range(2)
    ]
    cuts: list[Cut] = []
    saved = 0
    for i, layer in enumerate(layers):
        gone = [(i + 1) % 4]
        which = [list(range(12)) if h in gone else [] for h in range(4)]
        cuts += layer.qk(which)[0] + layer.vo(which)[0]
        # Four projections at sixteen places, and two products over twelve by twelve channels.
        saved += 2 * len(gone) * (4 * 16 * 48 * 12 + 2 * 16 * 12 * 12)
    return [
        Structure("heads", cuts, saves=saved),
        hidden("ffn", [((Part(f"blocks.{i}.mlp.fc1"),), Part(f"blocks.{i}.mlp.fc2"), 192) for i in range(2)]),
        dead_block([Part("blocks.1.mlp.fc1"), Part("blocks.1.mlp.fc2")], 32, model),
    ]


# MobileViT


def mobilevit() -> nn.Module:
    config = hf.MobileViTConfig(
        image_size=64,
        hidden_sizes=[24, 32, 40],
        neck_hidden_sizes=[8, 12, 16, 24, 24, 32, 48],
        num_labels=10,
        expand_ratio=2.0,
    )
    return Call(hf.MobileViTForImageClassification(eager(config)), ["pixel_values"], ["logits"])


def mobilevit_structures(model: nn.Module) -> list[Structure]:
    feeds = [
        (n, n.replace("intermediate.dense", "output.dense"))
        for n, m in model.named_modules()
        if n.endswith("intermediate.dense")
    ]
    widths = [model.get_submodule(a).out_features for a, _ in feeds]
    return [hidden("ffn", [((Part(a),), Part(b), w) for (a, b), w in zip(feeds, widths, strict=True)])]


def audio(name: str, of: str, build: Any, structures: Any, **more: Any) -> Entry:
    return Entry(name, f"{of} of {SOURCE}", build, {"input_values": torch.randn(2, 200)}, structures, **more)


def pixels(name: str, of: str, build: Any, structures: Any, size: int, **more: Any) -> Entry:
    return Entry(name, of, build, {"pixel_values": torch.randn(2, 3, size, size)}, structures, **more)


def tokens(batch: int, length: int) -> Tensor:
    return torch.ones(batch, length, dtype=torch.int64)


ENTRIES = [
    Entry(
        "whisper-encoder",
        f"WhisperEncoder of {SOURCE}",
        whisper_encoder,
        {"input_features": torch.randn(2, 16, 20)},
        whisper_encoder_structures,
        dynamic={"input_features": {0: "batch"}},
    ),
    Entry(
        "whisper-decoder",
        f"WhisperDecoder of {SOURCE}",
        whisper_decoder,
        {"input_ids": ids(2, 7), "attention_mask": tokens(2, 7), "encoder_hidden_states": torch.randn(2, 10, 48)},
        whisper_decoder_structures,
        fills={"input_ids": VOCABULARY, "attention_mask": "ones"},
    ),
    Entry(
        "clip",
        f"CLIPModel of {SOURCE}",
        clip,
        {"input_ids": ids(2, 9), "pixel_values": torch.randn(2, 3, 32, 32), "attention_mask": tokens(2, 9)},
        clip_structures,
        fills={"input_ids": VOCABULARY, "attention_mask": "ones"},
    ),
    pixels("segformer", f"SegformerForSemanticSegmentation of {SOURCE}", segformer, segformer_structures, 32),
    audio("wav2vec2", "Wav2Vec2Model", wav2vec, wav2vec_structures),
    audio("conformer", "Wav2Vec2ConformerModel", conformer, conformer_structures),
    pixels("xcit", f"timm {timm.__version__}, PyTorch {torch.__version__.split('+')[0]}", xcit, xcit_structures, 32),
    pixels("mobilevit", f"MobileViTForImageClassification of {SOURCE}", mobilevit, mobilevit_structures, 64, exporter="dynamo"),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

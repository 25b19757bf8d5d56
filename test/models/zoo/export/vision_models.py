"""Image models of torchvision and timm, small."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import timm
import torch
import torchvision
from timm.models.byobnet import LayerFn, RepVggBlock
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig

from attention import Attention, Part, attention_structures, dead_attention, dead_block, hidden
from torch_models import Cut, Entry, Structure, batch_norm, columns, rows, write_all

torch.backends.mha.set_fastpath_enabled(False)
TORCH = f"PyTorch {torch.__version__.split('+')[0]}"
TORCHVISION = f"torchvision {torchvision.__version__.split('+')[0]}, {TORCH}"
TIMM = f"timm {timm.__version__}, {TORCH}"


def image(batch: int, size: int) -> dict[str, Tensor]:
    return {"image": torch.randn(batch, 3, size, size)}


def entry(name: str, of: str, build: Callable[[], nn.Module], size: int, structures: Any, batch: int = 2, **more: Any) -> Entry:
    return Entry(name, of, build, image(batch, size), structures, **more)


def a_quarter(width: int) -> list[int]:
    return [i for i in range(width) if i % 4 == 1]


OPEN = {"image": {0: "batch"}}


# Vision transformers


def vit() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 8, 2, 4, 48, 80, num_classes=10)


def vit_structures(model: nn.Module) -> list[Structure]:
    blocks = [f"encoder.layers.encoder_layer_{i}" for i in range(2)]
    layers = [
        Attention(
            *(Part(f"{b}.self_attention.in_proj", 48 * i, names=("_weight", "_bias")) for i in range(3)),
            Part(f"{b}.self_attention.out_proj"),
            heads=4,
            batch=2,
            queries=17,
            keys=17,
            width=12,
            reads=48,
        )
        for b in blocks
    ]
    gone = a_quarter(48)
    stream = rows("conv_proj", gone) + columns("heads.head", gone) + rows("encoder.ln", gone)
    stream += [Cut(name, 2, tuple(gone)) for name in ("class_token", "encoder.pos_embedding")]
    for b, layer in zip(blocks, layers, strict=True):
        stream += layer.q.reads(gone) + layer.o.makes(gone) + columns(f"{b}.mlp.0", gone) + rows(f"{b}.mlp.3", gone)
        stream += rows(f"{b}.ln_1", gone) + rows(f"{b}.ln_2", gone)
    saved = 2 * len(gone) * (16 * 3 * 64 + 10 + 17 * 2 * (4 * 48 + 2 * 80))
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{b}.mlp.0"),), Part(f"{b}.mlp.3"), 80) for b in blocks]),
        Structure("residual", stream, saves=saved),
        dead_attention(layers[0], model),
        dead_block([Part(f"{blocks[1]}.mlp.{i}") for i in (0, 3)], 2 * 17, model),
    ]


def timm_vit() -> nn.Module:
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4}
    return timm.create_model("vit_tiny_patch16_224", num_classes=10, **shape)


def timm_vit_structures(model: nn.Module) -> list[Structure]:
    blocks = [f"blocks.{i}" for i in range(2)]
    layers = [
        Attention(
            *(Part(f"{b}.attn.qkv", 48 * i) for i in range(3)),
            Part(f"{b}.attn.proj"),
            heads=4,
            batch=2,
            queries=17,
            keys=17,
            width=12,
            reads=48,
        )
        for b in blocks
    ]
    gone = a_quarter(48)
    stream = rows("patch_embed.proj", gone) + columns("head", gone) + rows("norm", gone)
    stream += [Cut(name, 2, tuple(gone)) for name in ("cls_token", "pos_embed")]
    for b in blocks:
        stream += columns(f"{b}.attn.qkv", gone) + rows(f"{b}.attn.proj", gone)
        stream += columns(f"{b}.mlp.fc1", gone) + rows(f"{b}.mlp.fc2", gone)
        stream += rows(f"{b}.norm1", gone) + rows(f"{b}.norm2", gone)
    saved = 2 * len(gone) * (16 * 3 * 64 + 10 + 17 * 2 * (4 * 48 + 2 * 192))
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{b}.mlp.fc1"),), Part(f"{b}.mlp.fc2"), 192) for b in blocks]),
        Structure("residual", stream, saves=saved),
        dead_attention(layers[0], model),
        dead_block([Part(f"{blocks[1]}.mlp.{n}") for n in ("fc1", "fc2")], 2 * 17, model),
    ]


# Swin


def swin() -> nn.Module:
    return torchvision.models.SwinTransformer([2, 2], 24, [2], [2], [4, 4], num_classes=10)


def swin_structures(model: nn.Module) -> list[Structure]:
    layers: list[Attention] = []
    feeds: list[tuple[tuple[Part], Part, int]] = []
    for i in range(2):
        path = f"features.1.{i}"
        parts = [Part(f"{path}.attn.qkv", 24 * j) for j in range(3)]
        sizes = {"heads": 2, "batch": 2 * 16, "queries": 16, "keys": 16, "width": 12, "reads": 24}
        layers.append(Attention(*parts, Part(f"{path}.attn.proj"), **sizes))
        feeds.append(((Part(f"{path}.mlp.0"),), Part(f"{path}.mlp.3"), 96))
    return [
        *attention_structures(layers),
        hidden("ffn", feeds),
        dead_attention(layers[0], model),
        dead_block([Part(f"features.1.1.mlp.{i}") for i in (0, 3)], 2 * 256, model),
    ]


# Convolutional networks


def conv_bn(conv: str, norm: str, gone: Sequence[int]) -> list[Cut]:
    return rows(conv, gone) + batch_norm(norm, gone)


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(24, 40, 2), CNBlockConfig(40, None, 2)]
    return torchvision.models.ConvNeXt(blocks, num_classes=10)


def convnext_structures(model: nn.Module) -> list[Structure]:
    paths = [(f"features.{s}.{i}", w) for s, w in ((1, 24), (3, 40)) for i in range(2)]
    gone = a_quarter(40)
    stream = rows("features.2.1", gone) + rows("classifier.0", gone) + columns("classifier.2", gone)
    for i in range(2):
        path = f"features.3.{i}"
        stream += [Cut(f"{path}.layer_scale", 0, tuple(gone))]
        stream += rows(f"{path}.block.0", gone) + rows(f"{path}.block.2", gone)
        stream += columns(f"{path}.block.3", gone) + rows(f"{path}.block.5", gone)
    return [
        hidden("ffn", [((Part(f"{p}.block.3"),), Part(f"{p}.block.5"), 4 * w) for p, w in paths]),
        Structure("residual", stream, same=False),
        dead_block([Part("features.3.1.block.3"), Part("features.3.1.block.5")], 2 * 16, model),
    ]


def mixer() -> nn.Module:
    return timm.models.mlp_mixer.MlpMixer(num_classes=10, img_size=32, patch_size=8, num_blocks=2, embed_dim=48)


def mixer_structures(model: nn.Module) -> list[Structure]:
    tokens, channels = (model.blocks[0].get_submodule(n).fc1.out_features for n in ("mlp_tokens", "mlp_channels"))
    gone = a_quarter(48)
    stream = rows("stem.proj", gone) + columns("head", gone) + rows("norm", gone)
    for i in range(2):
        stream += rows(f"blocks.{i}.norm1", gone) + rows(f"blocks.{i}.norm2", gone)
        stream += columns(f"blocks.{i}.mlp_channels.fc1", gone) + rows(f"blocks.{i}.mlp_channels.fc2", gone)

    def mlp(kind: str, i: int, width: int) -> tuple[tuple[Part], Part, int]:
        return ((Part(f"blocks.{i}.{kind}.fc1"),), Part(f"blocks.{i}.{kind}.fc2"), width)

    return [
        hidden("ffn-tokens", [mlp("mlp_tokens", i, tokens) for i in range(2)]),
        hidden("ffn-channels", [mlp("mlp_channels", i, channels) for i in range(2)]),
        Structure("residual", stream, same=False),
    ]


class RepVgg(nn.Module):
    """RepVGG as it is trained (Ding et al. 2021), with timm's blocks: 3x3, 1x1 and identity side by side."""

    def __init__(self) -> None:
        super().__init__()
        layers = LayerFn()
        widths = [(3, 16, 2), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
        self.blocks = nn.Sequential(*(RepVggBlock(i, o, stride=s, layers=layers) for i, o, s in widths))
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.blocks(image).mean((2, 3)))


def repvgg_structures(model: nn.Module) -> list[Structure]:
    def stage(first: int, last: int, width: int) -> list[Cut]:
        gone = a_quarter(width)
        found: list[Cut] = []
        for i in range(first, last + 1):
            for branch in ("conv_kxk", "conv_1x1"):
                found += conv_bn(f"blocks.{i}.{branch}.conv", f"blocks.{i}.{branch}.bn", gone)
                if i > first:
                    found += columns(f"blocks.{i}.{branch}.conv", gone)
            if i > first:
                found += batch_norm(f"blocks.{i}.identity", gone)
        return found

    into = [c for b in ("conv_kxk", "conv_1x1") for c in columns(f"blocks.2.{b}.conv", a_quarter(16))]
    # What is trained as three branches runs as one: the 1x1 ones go, all places of them.
    saved = 2 * (16 * 16 * 3 * 16 + 16 * 16 * 16 * 16 + 8 * 8 * 16 * 32 + 2 * 8 * 8 * 32 * 32)
    return [
        Structure("filters", stage(0, 1, 16) + into),
        Structure("filters-last", stage(2, 4, 32) + columns("head", a_quarter(32))),
        Structure("branches", [], saves=saved),
    ]


def densenet() -> nn.Module:
    return torchvision.models.DenseNet(8, (3, 3), 16, 2, num_classes=10)


def densenet_structures(model: nn.Module) -> list[Structure]:
    inner: list[Cut] = []
    gone = a_quarter(16)
    for block in (1, 2):
        for layer in (1, 2, 3):
            path = f"features.denseblock{block}.denselayer{layer}"
            inner += conv_bn(f"{path}.conv1", f"{path}.norm2", gone) + columns(f"{path}.conv2", gone)
    grown: list[Cut] = []
    few = [1, 4, 6]
    for block, first in ((1, 16), (2, 20)):
        for layer in (1, 2, 3):
            grown += rows(f"features.denseblock{block}.denselayer{layer}.conv2", few)
        read = [first + 8 * layer + i for layer in range(3) for i in few]
        for layer in (2, 3):
            path = f"features.denseblock{block}.denselayer{layer}"
            seen = [i for i in read if i < first + 8 * (layer - 1)]
            grown += batch_norm(f"{path}.norm1", seen) + columns(f"{path}.conv1", seen)
        norm, reader = (
            ("features.transition1.norm", "features.transition1.conv") if block == 1 else ("features.norm5", "classifier")
        )
        grown += batch_norm(norm, read) + columns(reader, read)
    return [Structure("filters", inner), Structure("growth", grown)]


class Bottlenecks(nn.Module):
    """A residual network of grouped bottlenecks (ResNeXt, RegNet): torchvision's blocks, small."""

    def __init__(self) -> None:
        super().__init__()
        block = torchvision.models.resnet.Bottleneck
        self.conv, self.bn = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        down = nn.Sequential(nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64))
        self.layer = nn.Sequential(
            block(32, 16, downsample=down, groups=8, base_width=32), *(block(64, 16, groups=8, base_width=32) for _ in range(2))
        )
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.layer(torch.relu(self.bn(self.conv(image)))).mean((2, 3)))


def resnext_structures(model: nn.Module) -> list[Structure]:
    width = model.layer[0].conv2.out_channels
    each = width // 8
    groups: list[Cut] = []
    for i in range(3):
        gone = [g * each + c for g in ((i + 1) % 8, (i + 4) % 8) for c in range(each)]
        path = f"layer.{i}"
        groups += conv_bn(f"{path}.conv1", f"{path}.bn1", gone) + conv_bn(f"{path}.conv2", f"{path}.bn2", gone)
        groups += columns(f"{path}.conv3", gone)
    gone = a_quarter(64)
    stream = conv_bn("layer.0.downsample.0", "layer.0.downsample.1", gone) + columns("head", gone)
    for i in range(3):
        stream += conv_bn(f"layer.{i}.conv3", f"layer.{i}.bn3", gone)
        if i > 0:
            stream += columns(f"layer.{i}.conv1", gone)
    dead = [f"layer.1.{n}" for n in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")]
    params = [
        Cut(f"{d}.{n}", 0, tuple(range(model.get_submodule(d).weight.shape[0]))) for d in dead for n in ("weight", "bias")
    ]
    cost = sum(model.get_submodule(d).weight.numel() for d in dead[::2]) * 2 * 16 * 16
    return [
        Structure("groups", groups),
        Structure("residual", stream),
        Structure("dead-block", [c for c in params if not ("conv" in c.name and c.name.endswith("bias"))], saves=cost),
    ]


def mobilenet() -> nn.Module:
    return torchvision.models.mobilenet_v3_small(num_classes=10, width_mult=0.5)


def inverted_structures(model: nn.Module) -> list[Structure]:
    """Expanded channels of inverted residuals with squeeze and excitation: expansion, depthwise, gates, projection."""
    found: list[Cut] = []
    squeezed: list[Cut] = []
    for i in range(2, 6):
        block = model.features[i].block
        path = f"features.{i}.block"
        width = block[0][0].out_channels
        gone = a_quarter(width)
        found += conv_bn(f"{path}.0.0", f"{path}.0.1", gone) + conv_bn(f"{path}.1.0", f"{path}.1.1", gone)
        last = len(block) - 1
        if last == 3:
            found += columns(f"{path}.2.fc1", gone) + rows(f"{path}.2.fc2", gone)
            few = a_quarter(block[2].fc1.out_channels)
            squeezed += rows(f"{path}.2.fc1", few) + columns(f"{path}.2.fc2", few)
        found += columns(f"{path}.{last}.0", gone)
    return [Structure("filters", found), Structure("squeeze", squeezed)]


ENTRIES = [
    entry("vit", TORCHVISION, vit, 32, vit_structures),
    entry("vit-dynamic", TORCHVISION, vit, 32, vit_structures, dynamic=OPEN),
    entry("vit-dynamo", TORCHVISION, vit, 32, vit_structures, exporter="dynamo"),
    entry("timm-vit", TIMM, timm_vit, 32, timm_vit_structures),
    entry("timm-vit-dynamic", TIMM, timm_vit, 32, timm_vit_structures, dynamic=OPEN),
    entry("timm-vit-dynamo-dynamic", TIMM, timm_vit, 32, timm_vit_structures, exporter="dynamo", dynamic=OPEN),
    entry("swin", TORCHVISION, swin, 32, swin_structures),
    entry("swin-dynamo", TORCHVISION, swin, 32, swin_structures, exporter="dynamo"),
    entry("convnext", TORCHVISION, convnext, 32, convnext_structures),
    entry("convnext-dynamo-dynamic", TORCHVISION, convnext, 32, convnext_structures, exporter="dynamo", dynamic=OPEN),
    entry("mlp-mixer", TIMM, mixer, 32, mixer_structures, dynamic=OPEN),
    entry("repvgg", TIMM, RepVgg, 32, repvgg_structures),
    entry("densenet", TORCHVISION, densenet, 32, densenet_structures, dynamic=OPEN),
    entry("resnext", TORCHVISION, Bottlenecks, 32, resnext_structures),
    entry("mobilenet-v3", TORCHVISION, mobilenet, 32, inverted_structures, dynamic=OPEN),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

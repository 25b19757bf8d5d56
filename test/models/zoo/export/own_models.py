"""Architectures that people write themselves, with the modules of PyTorch: transformers, mixtures of experts, diffusion."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attention import Attention, Part, attention_structures, dead_attention, dead_block, hidden
from torch_models import Cut, Entry, Structure, columns, rows, write_all

torch.backends.mha.set_fastpath_enabled(False)
SOURCE = f"PyTorch {torch.__version__.split('+')[0]}"


def own(name: str, build: Any, inputs: dict[str, Tensor], structures: Any, **more: Any) -> Entry:
    return Entry(name, f"own module, {SOURCE}", build, inputs, structures, **more)


def fused_projection(path: str, width: int) -> list[Part]:
    """Queries, keys and values of `nn.MultiheadAttention`."""
    return [Part(f"{path}.in_proj", width * i, names=("_weight", "_bias")) for i in range(3)]


# nn.TransformerEncoder and nn.Transformer


class Encoder(nn.Module):
    """`nn.TransformerEncoder` between two linear layers."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(48, 4, 80, batch_first=True, norm_first=norm_first)
        self.project = nn.Linear(10, 48)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.project(x)))


def encoder_structures(model: nn.Module, batch: int, length: int) -> list[Structure]:
    blocks = [f"encoder.layers.{i}" for i in range(2)]
    layers = [
        Attention(
            *fused_projection(f"{b}.self_attn", 48),
            Part(f"{b}.self_attn.out_proj"),
            heads=4,
            batch=batch,
            queries=length,
            keys=length,
            width=12,
            reads=48,
        )
        for b in blocks
    ]
    gone = [i for i in range(48) if i % 4 == 1]
    stream = rows("project", gone) + columns("head", gone)
    for b, layer in zip(blocks, layers, strict=True):
        stream += layer.q.reads(gone) + layer.o.makes(gone) + columns(f"{b}.linear1", gone) + rows(f"{b}.linear2", gone)
        stream += rows(f"{b}.norm1", gone) + rows(f"{b}.norm2", gone)
    saved = batch * length * len(gone) * (10 + 5 + 2 * (3 * 48 + 48 + 2 * 80))
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{b}.linear1"),), Part(f"{b}.linear2"), 80) for b in blocks]),
        Structure("residual", stream, saves=saved),
        dead_attention(layers[0], model),
        dead_block([Part(f"{blocks[1]}.linear{i}") for i in (1, 2)], batch * length, model),
    ]


def encoder(name: str, norm_first: bool, batch: int, **more: Any) -> Entry:
    x = torch.randn(batch, 9, 10)
    return own(name, lambda: Encoder(norm_first), {"x": x}, lambda m: encoder_structures(m, batch, 9), **more)


class Translator(nn.Module):
    """`nn.Transformer`, sequences first."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Linear(10, 48), nn.Linear(12, 48)
        self.transformer = nn.Transformer(48, 4, 2, 2, 80)
        self.head = nn.Linear(48, 7)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = torch.full((6, 6), -math.inf).triu(1)
        return self.head(self.transformer(self.source(source), self.target(target), tgt_mask=mask))


def translator_structures(model: nn.Module) -> list[Structure]:
    sizes: dict[str, Any] = {"heads": 4, "batch": 2, "width": 12, "reads": 48}
    layers: list[Attention] = []
    for i in range(2):
        for path, queries, keys in (
            (f"encoder.layers.{i}.self_attn", 9, 9),
            (f"decoder.layers.{i}.self_attn", 6, 6),
            (f"decoder.layers.{i}.multihead_attn", 6, 9),
        ):
            parts = fused_projection(f"transformer.{path}", 48)
            layers.append(Attention(*parts, Part(f"transformer.{path}.out_proj"), queries=queries, keys=keys, **sizes))
    feeds = [f"transformer.{side}.layers.{i}" for side in ("encoder", "decoder") for i in range(2)]
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{f}.linear1"),), Part(f"{f}.linear2"), 80) for f in feeds]),
        dead_attention(layers[2], model),
    ]


# A mixture of experts, as batched weights


class Experts(nn.Module):
    """Softly routed experts as two batched products."""

    def __init__(self, experts: int, width: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, experts)
        self.up = nn.Parameter(torch.empty(experts, width, inner))
        self.up_bias = nn.Parameter(torch.empty(experts, 1, inner))
        self.down = nn.Parameter(torch.empty(experts, inner, width))
        self.down_bias = nn.Parameter(torch.empty(experts, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        routes = self.gate(x).softmax(-1)
        inner = F.gelu(torch.matmul(x.unsqueeze(0), self.up) + self.up_bias)
        made = torch.matmul(inner, self.down) + self.down_bias
        return (made * routes.t().unsqueeze(-1)).sum(0)


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 32)
        self.first, self.second = Experts(6, 32, 48), Experts(6, 32, 48)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        x = x + self.first(x)
        return self.head(x + self.second(x))


def mixture_structures(_: nn.Module, tokens: int = 12) -> list[Structure]:
    each = tokens * 2 * 32 * 48
    names = ("up", "up_bias", "down", "down_bias")
    whole = [Cut(f"{m}.{n}", 0, e) for m, e in (("first", (1, 4)), ("second", (0,))) for n in names]
    gone = tuple(i for i in range(48) if i % 4 == 1)
    inner = [
        c
        for m in ("first", "second")
        for c in (Cut(f"{m}.up", 2, gone), Cut(f"{m}.up_bias", 2, gone), Cut(f"{m}.down", 1, gone))
    ]
    stream = tuple(i for i in range(32) if i % 4 == 2)
    residual = rows("project", stream) + columns("head", stream)
    for m in ("first", "second"):
        residual += columns(f"{m}.gate", stream)
        residual += [Cut(f"{m}.up", 1, stream), Cut(f"{m}.down", 2, stream), Cut(f"{m}.down_bias", 2, stream)]
    return [
        # The gate keeps its outputs: they share one softmax.
        Structure("experts", whole, saves=3 * each),
        Structure("hidden", inner),
        Structure("residual", residual),
    ]


# A diffusion U-Net with GroupNorm


class Residual(nn.Module):
    """GroupNorm, SiLU and a convolution, twice, the time added between them."""

    def __init__(self, inputs: int, outputs: int, time: int = 32) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(8, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class SpatialAttention(nn.Module):
    """Attention over the places of an image, one fused 1x1 convolution for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(4, width)
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, -1, height * width).unbind(1)
        scores = (q.transpose(-1, -2) @ k * q.shape[2] ** -0.5).softmax(-1)
        return x + self.out((v @ scores.transpose(-1, -2)).reshape(batch, channels, height, width))


class Diffusion(nn.Module):
    """Noise predicted at two scales (Ho et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 32))
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.down1, self.shrink = Residual(32, 32), nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.down2, self.attention = Residual(32, 64), SpatialAttention(64, 4)
        self.middle = Residual(64, 64)
        self.up2, self.grow = Residual(128, 64), nn.Conv2d(64, 32, 3, padding=1)
        self.up1 = Residual(64, 32)
        self.norm, self.last = nn.GroupNorm(4, 32), nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        angles = time[:, None] * torch.exp(torch.arange(8) * -1.0)
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        high = self.down1(self.first(x), time)
        low = self.attention(self.down2(self.shrink(high), time))
        middle = self.middle(low, time)
        low = self.up2(torch.cat([middle, low], 1), time)
        up = self.grow(F.interpolate(low, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(self.up1(torch.cat([up, high], 1), time))))


DIFFUSION_BLOCKS = {"down1": 32, "down2": 64, "middle": 64, "up2": 64, "up1": 32}


def diffusion_structures(model: nn.Module, size: int, batch: int) -> list[Structure]:
    inner: list[Cut] = []
    for i, (block, width) in enumerate(DIFFUSION_BLOCKS.items()):
        each = width // 8
        gone = [g * each + c for g in ((i + 1) % 8, (i + 4) % 8, (i + 6) % 8) for c in range(each)]
        inner += rows(f"{block}.conv1", gone) + rows(f"{block}.time", gone) + rows(f"{block}.norm2", gone)
        inner += columns(f"{block}.conv2", gone)
    places = (size // 2) ** 2
    layer = Attention(
        *(Part("attention.qkv", 64 * i) for i in range(3)),
        Part("attention.out"),
        heads=4,
        batch=batch,
        queries=places,
        keys=places,
        width=16,
        reads=64,
    )
    time = [i for i in range(32) if i % 4 == 3]
    # The stream of the upper level behind the growth, a quarter of its groups: read by `up1` only, in the first half.
    grown = list(range(16))
    upper = rows("grow", grown) + rows("up1.norm1", grown) + columns("up1.conv1", grown) + columns("up1.skip", grown)
    return [
        *attention_structures([layer]),
        Structure("groups-inner", inner),
        Structure("time", rows("time.0", time) + columns("time.2", time)),
        Structure("groups-stream", upper),
        dead_attention(layer, model),
        dead_block([Part("middle.conv1"), Part("middle.conv2")], batch * places, model, "dead-block"),
    ]


def diffusion(name: str, **more: Any) -> Entry:
    inputs = {"x": torch.randn(2, 3, 16, 16), "time": torch.tensor([1.0, 0.3])}
    return own(name, Diffusion, inputs, lambda m: diffusion_structures(m, 16, 2), **more)


def opened(names: Sequence[str]) -> dict[str, dict[int, str]]:
    return {name: {0: "batch"} for name in names}


ENTRIES = [
    encoder("transformer-encoder", False, 3),
    encoder("transformer-encoder-prenorm", True, 3),
    encoder("transformer-encoder-dynamic", False, 3, dynamic={"x": {0: "batch", 1: "length"}}),
    encoder("transformer-encoder-single", True, 1),
    encoder("transformer-encoder-dynamo", True, 3, exporter="dynamo"),
    own(
        "transformer",
        Translator,
        {"source": torch.randn(9, 2, 10), "target": torch.randn(6, 2, 12)},
        translator_structures,
    ),
    own("mixture", Mixture, {"x": torch.randn(12, 16)}, mixture_structures, dynamic={"x": {0: "tokens"}}),
    own("mixture-dynamo", Mixture, {"x": torch.randn(12, 16)}, mixture_structures, exporter="dynamo"),
    diffusion("diffusion"),
    diffusion("diffusion-dynamic", dynamic=opened(("x", "time"))),
    diffusion("diffusion-dynamo", exporter="dynamo", options={"opset_version": 21}),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

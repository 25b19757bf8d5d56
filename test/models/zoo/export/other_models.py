"""Recommendation, point clouds, generators and detectors, with the modules of PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from torch_models import Cut, Entry, Structure, batch_norm, columns, rows, write_all

SOURCE = f"own module, PyTorch {torch.__version__.split('+')[0]}"


def a_quarter(width: int) -> list[int]:
    return [i for i in range(width) if i % 4 == 1]


def mlp(*widths: int) -> nn.Sequential:
    found: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        found += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*found[:-1])


class Recommender(nn.Module):
    """DLRM (Naumov et al. 2019): tables and a network for numbers, dot products of all pairs, a network on top."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(50, 16) for _ in range(4))
        self.bottom, self.top = mlp(13, 48, 16), mlp(16 + 10, 64, 32, 1)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        dense = self.bottom(numbers)
        vectors = torch.stack([dense, *(t(categories[:, i]) for i, t in enumerate(self.tables))], 1)
        products = vectors @ vectors.transpose(1, 2)
        where = torch.tril_indices(5, 5, -1)
        return torch.sigmoid(self.top(torch.cat([dense, products[:, where[0], where[1]]], 1)))


def recommender_structures(_: nn.Module) -> list[Structure]:
    gone = a_quarter(16)
    inner, high = a_quarter(48), a_quarter(64)
    vectors = rows("bottom.2", gone) + columns("top.0", gone) + [c for i in range(4) for c in columns(f"tables.{i}", gone)]
    return [
        Structure("embedding", vectors),
        Structure("bottom", rows("bottom.0", inner) + columns("bottom.2", inner)),
        Structure("top", rows("top.0", high) + columns("top.2", high)),
    ]


class Points(nn.Module):
    """PointNet (Qi et al. 2017): one network for all points, the maximum over them, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 48, 96)
        self.layers = nn.ModuleList(nn.Conv1d(i, o, 1) for i, o in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(o) for o in widths[1:])
        self.head = mlp(96, 64, 10)

    def forward(self, points: Tensor) -> Tensor:
        x = points.transpose(1, 2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x)))
        return self.head(x.max(2)[0]).log_softmax(-1)


def points_structures(_: nn.Module) -> list[Structure]:
    found: list[Cut] = []
    for i, width in enumerate((32, 48)):
        gone = a_quarter(width)
        found += rows(f"layers.{i}", gone) + batch_norm(f"norms.{i}", gone) + columns(f"layers.{i + 1}", gone)
    last = a_quarter(96)
    features = rows("layers.2", last) + batch_norm("norms.2", last) + columns("head.0", last)
    return [Structure("filters", found), Structure("features", features)]


class NonLocal(nn.Module):
    """A residual block with a non-local operation (Wang et al. 2018) between convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 8, 3, padding=1)
        self.theta, self.phi, self.g = (nn.Conv2d(32, 16, 1) for _ in range(3))
        self.out, self.norm = nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.first(image))
        batch, _, height, width = x.shape
        theta = self.theta(x).flatten(2).transpose(1, 2)
        phi, g = self.pool(self.phi(x)).flatten(2), self.pool(self.g(x)).flatten(2).transpose(1, 2)
        y = (theta @ phi).softmax(-1) @ g
        y = self.out(y.transpose(1, 2).reshape(batch, -1, height, width))
        return self.last(x + self.norm(y))


def non_local_structures(_: nn.Module) -> list[Structure]:
    few, gone = a_quarter(16), a_quarter(32)
    stream = rows("first", gone) + rows("out", gone) + batch_norm("norm", gone) + columns("last", gone)
    return [
        Structure("qk", rows("theta", few) + rows("phi", few)),
        Structure("vo", rows("g", few) + columns("out", few)),
        Structure("residual", stream + [c for n in ("theta", "phi", "g") for c in columns(n, gone)]),
    ]


class Modulated(nn.Module):
    """A modulated and demodulated convolution (StyleGAN 2, Karras et al. 2020), the batch folded into groups."""

    def __init__(self, inputs: int, outputs: int, style: int = 24) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.style = nn.Linear(style, inputs)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, inputs, height, width = x.shape
        outputs = self.bias.shape[0]
        weight = self.weight * self.style(style).reshape(batch, 1, inputs, 1, 1)
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        made = F.conv2d(x.reshape(1, -1, height, width), weight.reshape(-1, inputs, 3, 3), padding=1, groups=batch)
        return F.leaky_relu(made.reshape(batch, outputs, height, width) + self.bias.reshape(1, -1, 1, 1), 0.2)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mapping = mlp(16, 32, 24)
        self.constant = nn.Parameter(torch.empty(1, 32, 8, 8))
        self.first, self.second, self.third = Modulated(32, 32), Modulated(32, 48), Modulated(48, 24)
        self.image = nn.Conv2d(24, 3, 1)

    def forward(self, latent: Tensor) -> Tensor:
        style = self.mapping(latent)
        x = self.first(self.constant.expand(latent.shape[0], -1, -1, -1), style)
        x = self.second(F.interpolate(x, scale_factor=2.0), style)
        return self.image(self.third(x, style))


def generator_structures(_: nn.Module) -> list[Structure]:
    def between(maker: str, reader: str, width: int) -> list[Cut]:
        gone = tuple(a_quarter(width))
        made = [Cut(f"{maker}.weight", 1, gone), Cut(f"{maker}.bias", 0, gone)]
        return made + rows(f"{reader}.style", gone) + [Cut(f"{reader}.weight", 2, gone)]

    last, inner = tuple(a_quarter(24)), a_quarter(32)
    return [
        Structure("filters", between("first", "second", 32) + between("second", "third", 48)),
        Structure("filters-last", [Cut("third.weight", 1, last), Cut("third.bias", 0, last), *columns("image", last)]),
        Structure("mapping", rows("mapping.0", inner) + columns("mapping.2", inner)),
    ]


class Stage(nn.Module):
    """YOLO's C2f: split, bottlenecks whose outputs are all concatenated, one convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.half = width // 2
        self.cv1, self.bn1 = nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)
        self.m1, self.bm1 = nn.Conv2d(self.half, self.half, 3, padding=1, bias=False), nn.BatchNorm2d(self.half)
        self.m2, self.bm2 = nn.Conv2d(self.half, self.half, 3, padding=1, bias=False), nn.BatchNorm2d(self.half)
        self.cv2, self.bn2 = nn.Conv2d(3 * self.half, width, 1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        a, b = F.silu(self.bn1(self.cv1(x))).chunk(2, 1)
        c = b + F.silu(self.bm2(self.m2(F.silu(self.bm1(self.m1(b))))))
        return F.silu(self.bn2(self.cv2(torch.cat([a, b, c], 1))))


class Detector(nn.Module):
    """Two scales, a decoupled head, boxes decoded, and the operator NonMaxSuppression."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.low, self.down, self.high = Stage(32), nn.Conv2d(32, 32, 3, 2, 1), Stage(32)
        self.boxes = nn.Sequential(nn.Conv2d(32, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, 4, 1))
        self.classes = nn.Sequential(nn.Conv2d(32, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, 6, 1))

    def forward(self, image: Tensor) -> Tensor:
        low = self.low(F.silu(self.norm(self.stem(image))))
        scales = (low, self.high(self.down(low)))
        boxes = torch.cat([self.boxes(s).flatten(2) for s in scales], 2)[0].t()
        scores = torch.cat([self.classes(s).flatten(2) for s in scales], 2)[0].t().sigmoid()
        centre, size = boxes[:, :2].sigmoid() * 32, boxes[:, 2:].exp().clamp(max=16.0)
        corners = torch.cat([centre - size / 2, centre + size / 2], 1)
        best, which = scores.max(1)
        kept = torchvision.ops.nms(corners, best, 0.6)
        return torch.cat([corners[kept], best[kept][:, None], which[kept][:, None].float()], 1)


def detector_structures(_: nn.Module) -> list[Structure]:
    few, inner = a_quarter(24), a_quarter(16)
    head = [c for n in ("boxes", "classes") for c in rows(f"{n}.0", few) + columns(f"{n}.2", few)]
    found: list[Cut] = []
    outer: list[Cut] = []
    for stage in ("low", "high"):
        found += rows(f"{stage}.m1", inner) + batch_norm(f"{stage}.bm1", inner) + columns(f"{stage}.m2", inner)
    gone = a_quarter(32)
    outer += rows("low.cv2", gone) + batch_norm("low.bn2", gone) + columns("down", gone)
    outer += rows("high.cv2", gone) + batch_norm("high.bn2", gone)
    outer += [c for n in ("boxes", "classes") for c in columns(f"{n}.0", gone)]
    return [Structure("head", head), Structure("filters", found), Structure("scales", outer)]


class Cell(nn.Module):
    """A gated recurrence of one's own, which the TorchScript exporter writes as a Loop."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.state, self.leave = nn.Linear(12, 24), nn.Linear(24, 24), nn.Linear(24, 5)
        self.inner = nn.Linear(24, 32)
        self.back = nn.Linear(32, 24)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(
            recur(
                x,
                self.enter.weight,
                self.enter.bias,
                self.state.weight,
                self.state.bias,
                self.inner.weight,
                self.inner.bias,
                self.back.weight,
                self.back.bias,
            )
        )


@torch.jit.script
def recur(
    x: Tensor,
    enter: Tensor,
    enter_bias: Tensor,
    state: Tensor,
    state_bias: Tensor,
    inner: Tensor,
    inner_bias: Tensor,
    back: Tensor,
    back_bias: Tensor,
) -> Tensor:
    h = torch.zeros([x.shape[1], 24])
    for i in range(x.shape[0]):
        h = torch.tanh(F.linear(x[i], enter, enter_bias) + F.linear(h, state, state_bias))
        h = h + F.linear(torch.relu(F.linear(h, inner, inner_bias)), back, back_bias)
    return h


def cell_structures(_: nn.Module) -> list[Structure]:
    gone = a_quarter(32)
    steps = 7 * 2 * 2 * 24 * len(gone)
    units = a_quarter(24)
    hidden = rows("enter", units) + rows("state", units) + columns("state", units) + columns("inner", units)
    hidden += rows("back", units) + columns("leave", units)
    before, after = (7 * 2 * n * (12 + n + 2 * 32) + 2 * n * 5 for n in (24, 24 - len(units)))
    return [
        Structure("inner", rows("inner", gone) + columns("back", gone), saves=steps),
        Structure("hidden", hidden, saves=before - after),
    ]


def entry(name: str, build: Any, inputs: dict[str, Tensor], structures: Any, **more: Any) -> Entry:
    return Entry(name, SOURCE, build, inputs, structures, **more)


def batched(names: Sequence[str]) -> dict[str, dict[int, str]]:
    return {name: {0: "batch"} for name in names}


RECOMMENDED = {"numbers": torch.randn(3, 13), "categories": torch.randint(0, 50, (3, 4))}

ENTRIES = [
    entry(
        "dlrm", Recommender, RECOMMENDED, recommender_structures, fills={"categories": 50}, dynamic=batched(tuple(RECOMMENDED))
    ),
    entry("dlrm-dynamo", Recommender, RECOMMENDED, recommender_structures, fills={"categories": 50}, exporter="dynamo"),
    entry(
        "pointnet", Points, {"points": torch.randn(2, 20, 3)}, points_structures, dynamic={"points": {0: "batch", 1: "points"}}
    ),
    entry("non-local", NonLocal, {"image": torch.randn(2, 3, 12, 12)}, non_local_structures),
    entry(
        "non-local-dynamic", NonLocal, {"image": torch.randn(2, 3, 12, 12)}, non_local_structures, dynamic=batched(("image",))
    ),
    entry("stylegan", Generator, {"latent": torch.randn(2, 16)}, generator_structures),
    entry("stylegan-single", Generator, {"latent": torch.randn(1, 16)}, generator_structures),
    entry("yolo", Detector, {"image": torch.randn(1, 3, 32, 32)}, detector_structures),
    entry(
        "loop",
        Cell,
        {"x": torch.randn(7, 2, 12)},
        cell_structures,
        dynamic={"x": {0: "length", 1: "batch"}},
        macs=7 * 2 * 24 * (12 + 24 + 2 * 32) + 2 * 24 * 5,
    ),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

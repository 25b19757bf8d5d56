"""Taggers and recognisers with LSTM, GRU and plain recurrent layers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torch_models import Cut, Entry, Structure, batch_norm, columns, rows, write_all

VOCABULARY = 96
EMBEDDED = 24
HIDDEN = 32
DENSE = 40


class Tagger(nn.Module):
    """Embedding, a recurrent network, a hidden layer, tags for each word."""

    def __init__(self, cell: type[nn.RNNBase], directions: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDED)
        self.rnn = cell(EMBEDDED, HIDDEN, num_layers=layers, bidirectional=directions == 2, batch_first=True)
        self.hidden = nn.Linear(HIDDEN * directions, DENSE)
        self.tags = nn.Linear(DENSE, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        return self.tags(torch.relu(self.hidden(states)))


class Classifier(nn.Module):
    """The last states of all directions, of both kinds where there are two, and a linear layer."""

    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = cell(EMBEDDED, HIDDEN)
        self.head = nn.Linear(HIDDEN * (2 if cell is nn.LSTM else 1), 5)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.rnn(x)
        return self.head(torch.cat([s[-1] for s in (last if isinstance(last, tuple) else (last,))], -1))


def gates_of(cell: str) -> int:
    return {"lstm": 4, "gru": 3, "rnn": 1}[cell]


def unit_cuts(prefix: str, layer: int, reverse: bool, units: Sequence[int], gates: int, hidden: int = HIDDEN) -> list[Cut]:
    """Units of one direction: all gates' rows and what reads their state."""
    suffix = f"_l{layer}{'_reverse' if reverse else ''}"
    made = tuple(g * hidden + u for g in range(gates) for u in units)
    names = [f"{prefix}.{name}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return [Cut(name, 0, made) for name in names] + [Cut(names[1], 1, tuple(units))]


def some_units(shift: int, count: int = HIDDEN) -> list[int]:
    return [u for u in range(count) if (u + shift) % 8 in (1, 4, 6)]


def tagger_structures(cell: str, directions: int, layers: int, tokens: int) -> list[Structure]:
    gates = gates_of(cell)

    def all_units(units: Any) -> list[Cut]:
        found: list[Cut] = []
        for layer in range(layers):
            for d in range(directions):
                gone = units(layer, d)
                found += unit_cuts("rnn", layer, d == 1, gone, gates)
                read = [d * HIDDEN + u for u in gone]
                if layer + 1 < layers:
                    readers = [f"rnn.weight_ih_l{layer + 1}{s}" for s in ("", "_reverse")[:directions]]
                    found += [Cut(name, 1, tuple(read)) for name in readers]
                else:
                    found += columns("hidden", read)
        return found

    embedded = [i for i in range(EMBEDDED) if i % 3 == 1]
    suffixes = ("", "_reverse")[:directions]
    dense = [i for i in range(DENSE) if i % 5 in (0, 2)]
    found = [
        Structure("hidden", all_units(lambda layer, d: some_units(3 * d + layer))),
        Structure(
            "embedding",
            columns("embedding", embedded) + [Cut(f"rnn.weight_ih_l0{s}", 1, tuple(embedded)) for s in suffixes],
        ),
        Structure("dense", rows("hidden", dense) + columns("tags", dense)),
    ]
    if directions == 2:
        # Both directions have one size: what reads the states shrinks alone.
        gone = len(some_units(0))
        readers = [tokens * DENSE * gone] + [tokens * 2 * gates * HIDDEN * gone] * (layers - 1)
        found.append(Structure("one-direction", all_units(lambda _, d: some_units(0) if d == 1 else []), saves=sum(readers)))
    return found


def tagger(name: str, cell: type[nn.RNNBase], directions: int, layers: int, **more: Any) -> Entry:
    kind = cell.__name__.lower()
    return Entry(
        name,
        f"nn.{cell.__name__} of PyTorch {torch.__version__.split('+')[0]}",
        lambda: Tagger(cell, directions, layers),
        {"tokens": torch.randint(0, VOCABULARY, (2, 9))},
        lambda _: tagger_structures(kind, directions, layers, 2 * 9),
        fills={"tokens": VOCABULARY},
        **more,
    )


def classifier(name: str, cell: type[nn.RNNBase]) -> Entry:
    gates = gates_of(cell.__name__.lower())
    units = some_units(0)

    def structures(_: nn.Module) -> list[Structure]:
        read = units + ([HIDDEN + u for u in units] if cell is nn.LSTM else [])
        inputs = [i for i in range(EMBEDDED) if i % 4 == 0]
        return [
            Structure("hidden", unit_cuts("rnn", 0, False, units, gates) + columns("head", read)),
            Structure("inputs", [Cut("rnn.weight_ih_l0", 1, tuple(inputs))], saves=8 * 2 * gates * HIDDEN * len(inputs)),
        ]

    return Entry(
        name,
        f"nn.{cell.__name__} of PyTorch {torch.__version__.split('+')[0]}",
        lambda: Classifier(cell),
        {"x": torch.randn(8, 2, EMBEDDED)},
        structures,
        dynamic={"x": {0: "length", 1: "batch"}},
    )


class Recogniser(nn.Module):
    """CRNN (Shi et al. 2015): convolutions, the height folded into channels, a bidirectional LSTM, letters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d((2, 1))),
            *(nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d((2, 1))),
        )
        self.rnn = nn.LSTM(32 * 2, HIDDEN, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 11)

    def forward(self, image: Tensor) -> Tensor:
        x = self.convolutions(image)
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels * height, width).permute(2, 0, 1)
        return self.head(self.rnn(x)[0])


def recogniser_structures(_: nn.Module) -> list[Structure]:
    filters: list[Cut] = []
    for layer, width in ((0, 16), (4, 24)):
        gone = [i for i in range(width) if i % 4 == 2]
        filters += rows(f"convolutions.{layer}", gone) + batch_norm(f"convolutions.{layer + 1}", gone)
        filters += columns(f"convolutions.{layer + 4}", gone)
    last = [i for i in range(32) if i % 4 == 1]
    read = tuple(2 * c + h for c in last for h in range(2))
    columns_of = [Cut(f"rnn.weight_ih_l0{s}", 1, read) for s in ("", "_reverse")]
    hidden: list[Cut] = []
    for d in range(2):
        units = some_units(d)
        hidden += unit_cuts("rnn", 0, d == 1, units, 4) + columns("head", [d * HIDDEN + u for u in units])
    return [
        Structure("filters", filters),
        Structure("features", rows("convolutions.8", last) + batch_norm("convolutions.9", last) + columns_of),
        Structure("hidden", hidden),
    ]


ENTRIES = [
    tagger("lstm-tagger", nn.LSTM, 2, 2),
    tagger("lstm-tagger-dynamic", nn.LSTM, 2, 2, dynamic={"tokens": {0: "batch", 1: "length"}}),
    tagger("lstm-tagger-dynamo", nn.LSTM, 1, 1, exporter="dynamo"),
    tagger("gru-tagger", nn.GRU, 2, 1),
    tagger("gru-tagger-dynamic", nn.GRU, 2, 1, dynamic={"tokens": {0: "batch", 1: "length"}}),
    tagger("rnn-tagger", nn.RNN, 1, 2),
    classifier("lstm-last", nn.LSTM),
    classifier("gru-last", nn.GRU),
    Entry(
        "crnn",
        f"own module, PyTorch {torch.__version__.split('+')[0]}",
        Recogniser,
        {"image": torch.randn(2, 1, 16, 24)},
        recogniser_structures,
        dynamic={"image": {0: "batch"}},
    ),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

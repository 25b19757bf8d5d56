"""The structures of attention and of feed-forward blocks, for whatever a library calls its layers.

Multiply-accumulates of inner places are counted by formula, since no library has heads whose places for queries and keys
and for values differ: a place of queries and keys takes a row of both projections and one product for each score; a place
of values a row of its projection, a column of the output projection and one product for each score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from torch_models import Cut, Structure, places, shifted


@dataclass(frozen=True)
class Part:
    """A linear layer, or the rows of one that belong to one of several fused ones."""

    prefix: str
    offset: int = 0
    # GPT-2's Conv1D, and weights of no module, have the outputs last.
    transposed: bool = False
    # Names of a weight and a bias that are not `.weight` and `.bias`.
    names: tuple[str, str] = (".weight", ".bias")

    def makes(self, indices: Sequence[int]) -> list[Cut]:
        where = shifted(indices, self.offset)
        weight, bias = self.names
        return [Cut(self.prefix + weight, int(self.transposed), where), Cut(self.prefix + bias, 0, where)]

    def reads(self, indices: Sequence[int]) -> list[Cut]:
        return [Cut(self.prefix + self.names[0], int(not self.transposed), tuple(indices))]


@dataclass(frozen=True)
class Attention:
    q: Part
    k: Part
    v: Part
    o: Part
    heads: int
    # Items of a batch, queries and keys of each.
    batch: int
    queries: int
    keys: int
    # Widths of one head, of what is read for queries and for keys, and of what is made.
    width: int
    reads: int
    makes: int = 0
    memory: int = 0
    groups: int = 0
    # Whether places go in pairs (j, j + width / 2), as rotary embeddings need it.
    rotary: bool = False

    @property
    def kv_heads(self) -> int:
        return self.groups or self.heads

    @property
    def ratio(self) -> int:
        return self.heads // self.kv_heads

    def qk(self, which: Sequence[Sequence[int]]) -> tuple[list[Cut], int]:
        """Places of queries and keys, for each key head."""
        mine = [which[h // self.ratio % len(which)] for h in range(self.heads)]
        q, k = places(self.heads, self.width, mine), places(self.kv_heads, self.width, which)
        scores = self.batch * self.queries * self.keys * len(q)
        saved = self.batch * (self.queries * len(q) * self.reads + self.keys * len(k) * (self.memory or self.reads))
        return self.q.makes(q) + self.k.makes(k), saved + scores

    def vo(self, which: Sequence[Sequence[int]]) -> tuple[list[Cut], int]:
        """Places of values, for each value head."""
        mine = [which[h // self.ratio % len(which)] for h in range(self.heads)]
        o, v = places(self.heads, self.width, mine), places(self.kv_heads, self.width, which)
        products = self.batch * self.queries * self.keys * len(o)
        saved = self.batch * (
            self.queries * len(o) * (self.makes or self.reads) + self.keys * len(v) * (self.memory or self.reads)
        )
        return self.v.makes(v) + self.o.reads(o), saved + products


def structure(name: str, found: Sequence[tuple[list[Cut], int]]) -> Structure:
    return Structure(name, [c for cuts, _ in found for c in cuts], saves=sum(saved for _, saved in found))


def attention_structures(layers: Sequence[Attention], prefix: str = "") -> list[Structure]:
    """Whole heads (groups of them, where keys are shared), and half the places, the same in all heads or others in each."""

    def half(layer: Attention, head: int) -> list[int]:
        count = layer.width // 2 if layer.rotary else layer.width
        first = [(head * 3 + i) % count for i in range(count // 2)]
        return sorted(first + [i + count for i in first] if layer.rotary else first)

    whole: list[tuple[list[Cut], int]] = []
    for i, layer in enumerate(layers):
        count = layer.kv_heads
        gone = {(i + 1) % count} if count < 4 or i % 2 == 0 else {0, count - 1}
        which = [list(range(layer.width)) if h in gone else [] for h in range(count)]
        whole += [layer.qk(which), layer.vo(which)]
    same = [[half(layer, 1)] for layer in layers]
    mixed = [[half(layer, h + i) for h in range(layer.kv_heads)] for i, layer in enumerate(layers)]
    return [
        structure(f"{prefix}groups" if any(layer.groups for layer in layers) else f"{prefix}heads", whole),
        structure(f"{prefix}qk", [layer.qk(w) for layer, w in zip(layers, same, strict=True)]),
        structure(f"{prefix}qk-mixed", [layer.qk(w) for layer, w in zip(layers, mixed, strict=True)]),
        structure(f"{prefix}vo", [layer.vo(w) for layer, w in zip(layers, same, strict=True)]),
        structure(f"{prefix}vo-mixed", [layer.vo(w) for layer, w in zip(layers, mixed, strict=True)]),
    ]


def neurons(width: int, layer: int) -> list[int]:
    """Two fifths of them, others in each layer."""
    return [i for i in range(width) if (i * 7 + layer * 3) % 5 < 2]


def hidden(name: str, blocks: Sequence[tuple[Sequence[Part], Part, int]], inner: Sequence[int] | None = None) -> Structure:
    """Neurons between the layers that make them and the one that reads them."""
    cuts: list[Cut] = []
    for i, (makers, reader, width) in enumerate(blocks):
        gone = inner or neurons(width, i)
        cuts += [c for maker in makers for c in maker.makes(gone)] + reader.reads(gone)
    return Structure(name, cuts)


def all_of(*parts: Part, model: nn.Module) -> list[Cut]:
    """Every parameter of these layers, of fused ones too."""
    found: list[Cut] = []
    for part in parts:
        for name in part.names:
            try:
                parameter = model.get_parameter(part.prefix + name)
            except AttributeError:
                continue
            found.append(Cut(part.prefix + name, 0, tuple(range(parameter.shape[0]))))
    return found


def dead_attention(layer: Attention, model: nn.Module, name: str = "dead-attention") -> Structure:
    """All of its projections are zero."""
    _, qk = layer.qk([list(range(layer.width))])
    _, vo = layer.vo([list(range(layer.width))])
    return Structure(name, all_of(layer.q, layer.k, layer.v, layer.o, model=model), saves=qk + vo)


def dead_block(parts: Sequence[Part], positions: int, model: nn.Module, name: str = "dead-ffn") -> Structure:
    """Layers that all read the same number of positions."""
    cuts = all_of(*parts, model=model)
    weights = {c.name: model.get_parameter(c.name) for c in cuts}
    return Structure(name, cuts, saves=positions * sum(w.numel() for w in weights.values() if w.dim() > 1))

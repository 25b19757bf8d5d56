"""Full-size models with seeded random weights and the masks of 40 % of their structure, for `npm run bench -- full-size`.

    python export.py FOLDER [NAME ...]

writes `NAME.onnx` and `NAME.json`, as the zoo does (`test/models/zoo/export`) but with all weights. Nothing is downloaded:
what is measured does not depend on what a network has learnt. What goes is drawn at random, other indices in each layer.
"""

from __future__ import annotations


import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
import torchvision
import transformers as hf
from onnx import ModelProto
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test/models/zoo/export"))
from attention import Attention, Part  # noqa: E402
from onnx_files import TINY, Cell, Input, Model, count_macs, masks_between, write  # noqa: E402
from quantised_models import in_files, static, zero_rows  # noqa: E402
from recurrent_models import unit_cuts  # noqa: E402
from torch_models import (  # noqa: E402
    Cut,
    Entry,
    Structure,
    batch_norm,
    columns,
    export,
    masked_by,
    randomise,
    rows,
    without,
)
from transformers_models import TEXT, Call, eager  # noqa: E402

torch.backends.mha.set_fastpath_enabled(False)
SHARE = 0.4
TORCH = f"PyTorch {torch.__version__.split('+')[0]}"
TRANSFORMERS = f"transformers {hf.__version__}, {TORCH}"
VISION = f"torchvision {torchvision.__version__.split('+')[0]}, {TORCH}"


@dataclass(frozen=True)
class Full:
    """A model of full size, and what is done to what was exported."""

    entry: Entry
    # What is masked, in words.
    masked: str
    quantise: Callable[[ModelProto], ModelProto] | None = None


def drawn(width: int, *where: object) -> list[int]:
    """The indices that go of a width: always the same for a place."""
    return sorted(random.Random(repr(where)).sample(range(width), round(SHARE * width)))


def heads_of(count: int, layer: int) -> set[int]:
    """The heads that go: over all layers 40 %, though no layer has 4.8 of 12."""
    here = round(SHARE * count * (layer + 1)) - round(SHARE * count * layer)
    return set(random.Random(f"heads {layer}").sample(range(count), here))


def transformer(layers: Sequence[Attention], feeds: Sequence[tuple[Part, Part, int]]) -> list[Structure]:
    """Heads and neurons. What goes of attention is counted by formula: no library has layers of other numbers of heads."""
    cuts: list[Cut] = []
    saved = 0
    for i, layer in enumerate(layers):
        gone = heads_of(layer.heads, i)
        which = [list(range(layer.width)) if h in gone else [] for h in range(layer.heads)]
        for found, less in (layer.qk(which), layer.vo(which)):
            cuts += found
            saved += less
    for i, (first, second, width) in enumerate(feeds):
        neurons = drawn(width, "neurons", i)
        cuts += first.makes(neurons) + second.reads(neurons)
        saved += layers[i].queries * len(neurons) * 2 * layers[i].reads
    return [Structure("40 %", cuts, saves=saved)]


def tokens(length: int, vocabulary: int) -> Tensor:
    return torch.randint(2, vocabulary, (1, length))


# BERT-base

LENGTH = 128


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = hf.BertModel(eager(hf.BertConfig()))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return out.last_hidden_state, out.pooler_output


def bert(_: nn.Module) -> list[Structure]:
    blocks = [f"model.encoder.layer.{i}" for i in range(12)]
    layers = [
        Attention(
            *(Part(f"{b}.attention.{n}") for n in ("self.query", "self.key", "self.value", "output.dense")),
            **sizes(LENGTH),
        )
        for b in blocks
    ]
    feeds = [(Part(f"{b}.intermediate.dense"), Part(f"{b}.output.dense"), 3072) for b in blocks]
    return transformer(layers, feeds)


def sizes(length: int) -> dict[str, int]:
    return {"heads": 12, "batch": 1, "queries": length, "keys": length, "width": 64, "reads": 768}


# ViT-B/16


def vit(_: nn.Module) -> list[Structure]:
    blocks = [f"encoder.layers.encoder_layer_{i}" for i in range(12)]
    layers = [
        Attention(
            *(Part(f"{b}.self_attention.in_proj", 768 * i, names=("_weight", "_bias")) for i in range(3)),
            Part(f"{b}.self_attention.out_proj"),
            **sizes(197),
        )
        for b in blocks
    ]
    return transformer(layers, [(Part(f"{b}.mlp.0"), Part(f"{b}.mlp.3"), 3072) for b in blocks])


# GPT-2


def gpt2(_: nn.Module) -> list[Structure]:
    blocks = [f"model.transformer.h.{i}" for i in range(12)]
    layers = [
        Attention(
            *(Part(f"{b}.attn.c_attn", 768 * i, transposed=True) for i in range(3)),
            Part(f"{b}.attn.c_proj", transposed=True),
            **sizes(LENGTH),
        )
        for b in blocks
    ]
    mlps = [[Part(f"{b}.mlp.{n}", transposed=True) for n in ("c_fc", "c_proj")] for b in blocks]
    return transformer(layers, [(first, second, 3072) for first, second in mlps])


# LSTM tagger

UNITS = 512
WORDS = 10_000
EMBEDDED = 300
TAGS = 48


class Tagger(nn.Module):
    """Embedding, two bidirectional layers, tags for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, EMBEDDED)
        self.rnn = nn.LSTM(EMBEDDED, UNITS, num_layers=2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(2 * UNITS, TAGS)

    def forward(self, words: Tensor) -> Tensor:
        return self.tags(self.rnn(self.embedding(words))[0])


def tagger(_: nn.Module) -> list[Structure]:
    found: list[Cut] = []
    for layer in range(2):
        for d in range(2):
            gone = drawn(UNITS, "units", layer, d)
            found += unit_cuts("rnn", layer, d == 1, gone, 4, UNITS)
            read = [d * UNITS + u for u in gone]
            if layer == 0:
                found += [Cut(f"rnn.weight_ih_l1{s}", 1, tuple(read)) for s in ("", "_reverse")]
            else:
                found += columns("tags", read)
    return [Structure("40 %", found)]


# ResNet-50


def resnet50(_: nn.Module) -> list[Structure]:
    """Filters of every convolution: those of a stage that are summed go together."""

    def made(conv: str, norm: str, gone: Sequence[int]) -> list[Cut]:
        return rows(conv, gone) + batch_norm(norm, gone)

    before = drawn(64, "stem")
    found = made("conv1", "bn1", before)
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        stream = drawn(4 * width, "stream", stage)
        for i in range(count):
            block = f"layer{stage}.{i}"
            first, second = (drawn(width, block, n) for n in (1, 2))
            found += columns(f"{block}.conv1", before) + made(f"{block}.conv1", f"{block}.bn1", first)
            found += columns(f"{block}.conv2", first) + made(f"{block}.conv2", f"{block}.bn2", second)
            found += columns(f"{block}.conv3", second) + made(f"{block}.conv3", f"{block}.bn3", stream)
            if i == 0:
                shortcut = f"{block}.downsample"
                found += columns(f"{shortcut}.0", before) + made(f"{shortcut}.0", f"{shortcut}.1", stream)
            before = stream
    return [Structure("40 %", found + columns("fc", before))]


def quantised(proto: ModelProto) -> ModelProto:
    """QDQ, weights per channel: what `onnxruntime.quantization` makes of a float model, its preprocessing included."""
    ready = in_files(lambda a, b: quant_pre_process(a, b, skip_symbolic_shape=True), proto)
    return static(QuantFormat.QDQ, True)(ready, {"image": torch.zeros(1, 3, 224, 224)})


IMAGE = {"image": torch.randn(1, 3, 224, 224)}
WORDS_IN = {"input_ids": tokens(LENGTH, 30522), "attention_mask": torch.ones(1, LENGTH, dtype=torch.int64)}
HEADS = "40 % of heads and of neurons"

MODELS = {
    "bert-base": Full(
        Entry(
            "bert-base",
            f"BertModel of {TRANSFORMERS}, {LENGTH} tokens",
            Encoder,
            WORDS_IN,
            bert,
            fills={"input_ids": 30522, "attention_mask": "ones"},
        ),
        HEADS,
    ),
    "vit-b-16": Full(
        Entry("vit-b-16", f"vit_b_16 of {VISION}", torchvision.models.vit_b_16, IMAGE, vit),
        HEADS,
    ),
    "gpt2": Full(
        Entry(
            "gpt2",
            f"GPT2LMHeadModel of {TRANSFORMERS}, {LENGTH} tokens, logits of all",
            lambda: Call(hf.GPT2LMHeadModel(eager(hf.GPT2Config())), TEXT, ["logits"], use_cache=False),
            {"input_ids": tokens(LENGTH, 50257), "attention_mask": torch.ones(1, LENGTH, dtype=torch.int64)},
            gpt2,
            fills={"input_ids": 50257, "attention_mask": "ones"},
        ),
        HEADS,
    ),
    "lstm-tagger": Full(
        Entry(
            "lstm-tagger",
            f"nn.LSTM of {TORCH}, two layers, both directions, 512 units, 64 words",
            Tagger,
            {"words": tokens(64, WORDS)},
            tagger,
            fills={"words": WORDS},
        ),
        "40 % of hidden units",
    ),
    "resnet50-qdq": Full(
        Entry(
            "resnet50-qdq",
            f"resnet50 of {VISION}, QDQ by ONNX Runtime's quantizer",
            torchvision.models.resnet50,
            IMAGE,
            resnet50,
        ),
        "40 % of all filters",
        quantised,
    ),
}


def make(full: Full) -> Model:
    torch.manual_seed(0)
    entry, quantise = full.entry, full.quantise or (lambda proto: proto)
    model = entry.build().eval()
    randomise(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    dense = quantise(export(model, entry))
    inputs = {name: Input(t.numpy(), entry.fills.get(name, "normal")) for name, t in entry.inputs.items()}
    made = Model(entry.name, entry.source, dense, inputs, macs=count_macs(dense, inputs))
    (structure,) = entry.structures(model)
    if full.quantise is None:
        masks = masks_between(dense, export(masked_by(model, structure.cuts, TINY), entry))
    else:
        masks = zero_rows(dense, quantise(export(masked_by(model, structure.cuts, 0), entry)))
    if structure.saves is None:
        macs = count_macs(export(without(model, structure), entry), inputs)
    else:
        macs = made.macs - structure.saves
    made.cells[full.masked] = Cell(masks, macs)
    return made


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        sys.exit(f"no model is called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    for name in names or MODELS:
        write(make(MODELS[name]), Path(folder), stripped=False)

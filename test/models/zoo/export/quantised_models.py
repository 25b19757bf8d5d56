"""Models that ONNX Runtime's quantizer made: QDQ and QOperator networks, dynamic quantisation, blocks of four bits.

The float model is exported and quantised with the structure's weights zero: masks are the rows and columns of the quantised
constants that hold their zero point then, and of blocks of four bits the scales, which are zero then.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from torch import Tensor, nn

from onnx_files import TINY, Box, Cell, Input, Masks, Model, constants, count_macs, ranges, write
from torch_models import Entry, Structure, batch_norm, columns, export, masked_by, randomise, rows, without
from transformers_models import BertClassifier, bert_structures, ids, llama, llama_structures

SOURCE = f"ONNX Runtime {onnxruntime.__version__}"
Quantise = Callable[[ModelProto, Mapping[str, Tensor]], ModelProto]


class Calibration(CalibrationDataReader):
    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        generator = torch.Generator().manual_seed(1)
        self.batches: Iterator[dict[str, Any]] = iter(
            [{n: torch.randn(t.shape, generator=generator).numpy() for n, t in inputs.items()} for _ in range(4)]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)


def in_files(convert: Callable[[str, str], object], proto: ModelProto) -> ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "quantised.onnx"
        onnx.save(proto, before)
        convert(str(before), str(after))
        return onnx.load(after)


def static(form: QuantFormat, per_channel: bool, activations: QuantType = QuantType.QUInt8) -> Quantise:
    def convert(proto: ModelProto, inputs: Mapping[str, Tensor]) -> ModelProto:
        def quantise(before: str, after: str) -> None:
            quantize_static(
                before,
                after,
                Calibration(inputs),
                quant_format=form,
                per_channel=per_channel,
                activation_type=activations,
                weight_type=QuantType.QInt8,
            )

        return in_files(quantise, proto)

    return convert


def dynamic(proto: ModelProto, _: Mapping[str, Tensor]) -> ModelProto:
    return in_files(lambda a, b: quantize_dynamic(a, b, weight_type=QuantType.QInt8), proto)


def four_bits(proto: ModelProto, _: Mapping[str, Tensor]) -> ModelProto:
    quantizer = MatMulNBitsQuantizer(proto, block_size=16, is_symmetric=True)
    quantizer.process()
    return quantizer.model.model


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Network(nn.Module):
    """A small residual network with a depthwise layer and a hidden linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.first, self.second = Residual(16), Residual(16)
        self.grow, self.deep = nn.Conv2d(16, 32, 1), nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32)
        self.point = nn.Conv2d(32, 24, 1)
        self.hidden, self.head = nn.Linear(24, 40), nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(torch.relu(self.norm(self.stem(x)))))
        x = torch.relu(self.deep(torch.relu(self.grow(x))))
        x = nn.functional.adaptive_avg_pool2d(torch.relu(self.point(x)), 1).flatten(1)
        return self.head(torch.relu(self.hidden(x)))


def network_structures(_: nn.Module) -> list[Structure]:
    gone = [i for i in range(16) if i % 4 == 1]
    filters = []
    for block in ("first", "second"):
        filters += rows(f"{block}.conv1", gone) + batch_norm(f"{block}.bn1", gone) + columns(f"{block}.conv2", gone)
    wide = [i for i in range(32) if i % 4 == 2]
    depthwise = rows("grow", wide) + rows("deep", wide) + columns("point", wide)
    stream = rows("stem", gone) + batch_norm("norm", gone) + columns("grow", gone)
    for block in ("first", "second"):
        stream += columns(f"{block}.conv1", gone) + rows(f"{block}.conv2", gone) + batch_norm(f"{block}.bn2", gone)
    inner = [i for i in range(40) if i % 5 in (1, 3)]
    return [
        Structure("filters", filters),
        Structure("depthwise", depthwise),
        Structure("residual", stream),
        Structure("hidden", rows("hidden", inner) + columns("head", inner)),
    ]


def whole_blocks(model: nn.Module, batch: int, length: int) -> list[Structure]:
    """What goes in whole blocks of sixteen inputs: of the others, scales would have to change."""
    stream, inner = list(range(16, 32)), [*range(16, 32), *range(64, 80)]
    found = llama_structures(model, batch, length, stream, inner)
    return [s for s in found if s.name in ("groups", "ffn", "residual", "dead-attention", "dead-ffn")]


def zero_rows(dense: ModelProto, masked: ModelProto) -> Masks:
    """Rows and columns of integers that hold their zero point now and did not before; of floats (scales too), that are zero."""
    before, after = constants(dense), constants(masked)
    found: Masks = {}
    for name, old in before.items():
        new = after[name]
        if old.shape != new.shape or old.ndim == 0 or name.endswith(("_scale", "_zero_point", "_Q4")):
            continue
        integers = old.dtype in (numpy.int8, numpy.uint8, numpy.int32)
        if not integers and old.dtype != numpy.float32:
            continue
        zero_point = after.get(name.removesuffix("_quantized") + "_zero_point", numpy.zeros(1, numpy.int64))
        gone = new == numpy.asarray(zero_point).flatten()[0] if integers else abs(new) < 1e-12
        was = old == numpy.asarray(before.get(name.removesuffix("_quantized") + "_zero_point", 0)).flatten()[0]
        # Of a weight that is small as a whole the scale is small, and the integers are what they were.
        scale = name.removesuffix("_quantized") + "_scale"
        if integers and scale in before and numpy.all(after[scale] < 1e-9 * before[scale]):
            found[name] = [{}]
            continue
        boxes: list[Box] = []
        for axis in range(old.ndim):
            others = tuple(a for a in range(old.ndim) if a != axis)
            whole = numpy.flatnonzero(gone.all(axis=others) & ~was.all(axis=others))
            if len(whole) == old.shape[axis] and boxes:
                continue
            if len(whole) > 0:
                boxes.append({str(axis): ranges(whole)})
        if boxes:
            found[name] = [{}] if gone.all() else boxes
    return found


def make(entry: Entry, quantise: Quantise) -> Model:
    torch.manual_seed(0)
    model = entry.build().eval()
    randomise(model)
    floats = export(model, entry)
    dense = quantise(floats, entry.inputs)
    inputs = {name: Input(t.numpy(), entry.fills.get(name, "normal")) for name, t in entry.inputs.items()}
    made = Model(entry.name, entry.source, dense, inputs, macs=count_macs(dense, inputs))
    for structure in entry.structures(model):
        # With a scale for each channel, small numbers are as large as others; else equal biases would become one.
        factor = 0 if entry.build is Network else TINY
        masks = zero_rows(dense, quantise(export(masked_by(model, structure.cuts, factor), entry), entry.inputs))
        if structure.saves is None:
            macs = count_macs(export(without(model, structure), entry), inputs)
        else:
            macs = made.macs - structure.saves
        made.cells[structure.name] = Cell(masks, macs)
    return made


def network(name: str) -> Entry:
    inputs = {"image": torch.randn(2, 3, 16, 16)}
    dynamic_axes = {"image": {0: "batch"}} if name.endswith("dynamic") else {}
    return Entry(name, f"own module, quantised by {SOURCE}", Network, inputs, network_structures, dynamic=dynamic_axes)


def text(name: str, of: str, build: Any, structures: Any) -> Entry:
    return Entry(
        name,
        f"{of}, quantised by {SOURCE}",
        build,
        {"input_ids": ids(2, 10), "attention_mask": torch.ones(2, 10, dtype=torch.int64)},
        lambda m: structures(m, 2, 10),
        fills={"input_ids": 96, "attention_mask": "ones"},
    )


ENTRIES: list[tuple[Entry, Quantise]] = [
    (network("qdq-cnn"), static(QuantFormat.QDQ, True)),
    (network("qdq-cnn-per-tensor"), static(QuantFormat.QDQ, False, QuantType.QInt8)),
    (network("qdq-cnn-dynamic"), static(QuantFormat.QDQ, True)),
    (network("qoperator-cnn"), static(QuantFormat.QOperator, True)),
    (network("qoperator-cnn-per-tensor"), static(QuantFormat.QOperator, False)),
    (text("bert-quantised", "BertModel of transformers", BertClassifier, bert_structures), dynamic),
    (text("llama-four-bits", "LlamaForCausalLM of transformers", llama, whole_blocks), four_bits),
]

if __name__ == "__main__":
    for entry, quantise in ENTRIES:
        if len(sys.argv) < 2 or entry.name in sys.argv[1:]:
            write(make(entry, quantise))

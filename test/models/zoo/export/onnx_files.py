"""What the zoo does with ONNX files, whoever exported them: masks by comparison, multiply-accumulates, stripping, writing.

A model of the zoo is `NAME.onnx`, the graph without its large constants, and `NAME.json`:

    source        what exported it
    inputs        for each input its shape and what to fill it with: normal numbers, `ones`, or integers `below` a number
    macs          multiply-accumulates of the dense model for these inputs
    structures    for each the `masks`, and what is left `byHand` when the structure is taken out of the model before
                  it is exported

A mask is a list of boxes that are zero; a box names the indices (`"0-3,8"`) for each axis that it does not span.
Multiply-accumulates are counted here from the shapes that ONNX Runtime computes, without any code of chasec.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

ZOO = Path(__file__).resolve().parents[1]
# What is masked is not zero but this small while it is exported: equal constants are stored once by some exporters.
TINY = 1e-16
STRIPPED = 64

Array = numpy.ndarray
Box = dict[str, str]
Masks = dict[str, list[Box]]


@dataclass(frozen=True)
class Input:
    """An example and what to fill an input with in tests: normal numbers, "ones", or integers below a number."""

    value: Array
    fill: str | int = "normal"


@dataclass
class Cell:
    """One structure of a model: its masks and what is left when it is taken out by hand."""

    masks: Masks
    macs: int


@dataclass
class Model:
    name: str
    source: str
    proto: ModelProto
    inputs: Mapping[str, Input]
    cells: dict[str, Cell] = field(default_factory=dict)
    macs: int = 0


def ranges(indices: Iterable[int]) -> str:
    """`0-3,8` for 0, 1, 2, 3, 8."""
    runs: list[list[int]] = []
    for i in sorted(indices):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def boxes(zero: Array) -> list[Box]:
    """Boxes that together are the true elements: whole slabs first, what is left by the indices of the first axis."""
    found: list[Box] = []
    if not zero.any():
        return found
    if zero.all():
        return [{}]
    left = zero.copy()
    for axis in range(zero.ndim):
        others = tuple(a for a in range(zero.ndim) if a != axis)
        whole = numpy.flatnonzero(zero.all(axis=others))
        if len(whole) > 0:
            found.append({str(axis): ranges(whole)})
            left[(slice(None),) * axis + (whole,)] = False
    groups: dict[str, tuple[list[Box], list[int]]] = {}
    if left.any() and zero.ndim > 1:
        for i in numpy.flatnonzero(left.any(axis=tuple(range(1, zero.ndim)))):
            inner = [{str(int(a) + 1): r for a, r in box.items()} for box in boxes(left[i])]
            groups.setdefault(json.dumps(inner), (inner, []))[1].append(int(i))
    for inner, where in groups.values():
        found += [{"0": ranges(where), **box} for box in inner]
    return found


def constants(proto: ModelProto) -> dict[str, Array]:
    """All constants by name, those of nodes too."""
    named = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.attribute[0].type == onnx.AttributeProto.TENSOR:
            named[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return named


def masks_between(dense: ModelProto, masked: ModelProto, zero_points: Mapping[str, int] | None = None) -> Masks:
    """What is zero in `masked` and not in `dense`, two exports that differ in the numbers of their weights only."""
    before, after = constants(dense), constants(masked)
    ops = [[n.op_type for n in m.graph.node] for m in (dense, masked)]
    if ops[0] == ops[1] and before.keys() != after.keys():  # some exporters number their names as it comes
        pairs = zip(dense.graph.node, masked.graph.node, strict=True)
        after = {a: after[b] for x, y in pairs for a, b in zip(x.input, y.input, strict=True) if a in before and b in after}
        before = {name: before[name] for name in after}
    if ops[0] != ops[1] or before.keys() != after.keys():
        raise ValueError("the masked model was exported as another graph")
    found: Masks = {}
    for name, old in before.items():
        zero_point = (zero_points or {}).get(name)
        new = after[name]
        if old.shape != new.shape or (old.dtype.kind != "f" and zero_point is None) or old.ndim == 0:
            continue
        if zero_point is None:
            gone = (abs(new) < 1e-12) & (abs(old) >= 1e-12)
        else:
            gone = new == zero_point
        if not gone.any():
            continue
        found[name] = boxes(gone) if zero_point is None else slabs(gone, old == zero_point)
        if not found[name]:
            del found[name]
    return found


def slabs(gone: Array, before: Array) -> list[Box]:
    """Rows and columns that are all zero now and were not before: of integers, single zeros are there by chance."""
    found: list[Box] = []
    for axis in range(gone.ndim):
        others = tuple(a for a in range(gone.ndim) if a != axis)
        whole = numpy.flatnonzero(gone.all(axis=others) & ~before.all(axis=others))
        if len(whole) > 0:
            found.append({str(axis): ranges(whole)})
    return found


def size(shape: Iterable[int]) -> int:
    return math.prod(int(d) for d in shape)


def attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


Shape = tuple[int, ...]
Count = Callable[[dict[str, Any], list[Shape], list[Shape]], int]


def convolution(weight: int) -> Count:
    return lambda _, ins, outs: size(outs[0]) * size(ins[weight][1:])


def product(_: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    return size(outs[0]) * ins[0][-1]


def gemm(attrs: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    return size(outs[0]) * ins[0][0 if attrs.get("transA") else 1]


def fused_product(attrs: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    return size(outs[0]) * ins[0][-2 if attrs.get("transA") else -1]


def recurrence(gates: int) -> Count:
    def count(_: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
        steps, (directions, rows, inputs) = ins[0][0] * ins[0][1], ins[1]
        return steps * directions * rows * (inputs + rows // gates)

    return count


def einsum(attrs: dict[str, Any], ins: list[Shape], _: list[Shape]) -> int:
    terms = attrs["equation"].decode().replace(" ", "").split("->")[0].split(",")
    if len(terms) < 2:
        return 0
    return size(
        {letter: d for term, shape in zip(terms, ins, strict=True) for letter, d in zip(term, shape, strict=True)}.values()
    )


def attention(attrs: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    """`com.microsoft.Attention`: the projections and both products."""
    batch, length, width = ins[0]
    past = ins[4][3] if len(ins) > 4 and ins[4] else 0
    projected = ins[1][1]
    qkv = attrs.get("qkv_hidden_sizes") or [projected // 3] * 3
    return batch * length * (width * projected + (length + past) * (qkv[0] + qkv[2]))


def multi_head(attrs: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    """Both products of `com.microsoft.MultiHeadAttention`."""
    batch, length, width = ins[0][:3]
    keys = ins[1][-2]
    return batch * length * keys * (width + outs[0][-1])


def blocks(attrs: dict[str, Any], ins: list[Shape], outs: list[Shape]) -> int:
    return size(outs[0]) * attrs["K"]


COUNTS: dict[str, Count] = {
    "Conv": convolution(1),
    "FusedConv": convolution(1),
    "ConvInteger": convolution(1),
    "QLinearConv": convolution(3),
    "ConvTranspose": lambda _, ins, outs: size(ins[0]) * size(ins[1][1:]),
    "MatMul": product,
    "MatMulInteger": product,
    "QLinearMatMul": product,
    "DynamicQuantizeMatMul": product,
    "MatMulIntegerToFloat": product,
    "FusedMatMul": fused_product,
    "Gemm": gemm,
    "FusedGemm": gemm,
    "QGemm": gemm,
    "LSTM": recurrence(4),
    "GRU": recurrence(3),
    "RNN": recurrence(1),
    "Einsum": einsum,
    "Attention": attention,
    "MultiHeadAttention": multi_head,
    "MatMulNBits": blocks,
}


def count_macs(proto: ModelProto, inputs: Mapping[str, Input]) -> int:
    """Multiply-accumulates of a run on these inputs, from the shapes that ONNX Runtime computes."""
    counted = [n for n in proto.graph.node if n.op_type in COUNTS]
    known = {t.name: tuple(t.dims) for t in proto.graph.initializer}
    copy = ModelProto()
    copy.CopyFrom(proto)
    named = {o.name for o in copy.graph.output}
    for name in dict.fromkeys(v for n in counted for v in (*n.input, *n.output)):
        if name and name not in known and name not in named and name not in inputs:
            copy.graph.output.append(onnx.ValueInfoProto(name=name))
    values = run(copy, {name: i.value for name, i in inputs.items()})
    known |= {name: v.shape for name, v in values.items()} | {name: i.value.shape for name, i in inputs.items()}
    total = 0
    for node in counted:
        ins, outs = ([known.get(v, ()) for v in side] for side in (node.input, node.output))
        total += COUNTS[node.op_type](attributes(node), ins, outs)
    return total


def run(proto: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    present = {i.name for i in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in feeds.items() if k in present}), strict=True))


def graphs(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs(inner)


def strip(proto: ModelProto) -> ModelProto:
    """Without the data of large float and byte constants, and without what exporters say about themselves."""
    bare = ModelProto()
    bare.CopyFrom(proto)
    del bare.metadata_props[:]
    for graph in graphs(bare.graph):
        graph.doc_string = ""
        del graph.value_info[:]
        del graph.metadata_props[:]
        for value in (*graph.input, *graph.output):
            value.doc_string = ""
            del value.metadata_props[:]
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        tensors = [
            *graph.initializer,
            *(a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.HasField("t")),
        ]
        for tensor in tensors:
            del tensor.metadata_props[:]
            strippable = tensor in graph.initializer and tensor.data_type in (
                TensorProto.FLOAT,
                TensorProto.FLOAT16,
                TensorProto.INT8,
                TensorProto.UINT8,
            )
            if not strippable or size(tensor.dims) <= STRIPPED:
                continue
            values = numpy_helper.to_array(tensor)
            if len(numpy.unique(values)) <= 8:  # a causal mask, say, is part of the graph
                continue
            for name in ("raw_data", "float_data", "int32_data"):
                tensor.ClearField(name)
            tensor.raw_data = b""
            tensor.doc_string = "stripped"
    for function in bare.functions:
        function.doc_string = ""
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]
    return bare


def described(item: Input) -> dict[str, Any]:
    return {"shape": list(item.value.shape), "fill": item.fill}


def write(model: Model, folder: Path = ZOO, stripped: bool = True) -> None:
    """Writes `NAME.onnx` and `NAME.json`, one structure a line."""
    bare = (strip(model.proto) if stripped else model.proto).SerializeToString()
    (folder / f"{model.name}.onnx").write_bytes(bare)
    present = {i.name for i in model.proto.graph.input}
    inputs = {name: described(item) for name, item in model.inputs.items() if name in present}
    lines = [
        f'  "source": {json.dumps(model.source)}',
        f'  "inputs": {json.dumps(inputs)}',
        f'  "macs": {model.macs}',
        '  "structures": {\n'
        + ",\n".join(
            f'    {json.dumps(name)}: {{ "byHand": {cell.macs}, "masks": {json.dumps(cell.masks, separators=(",", ":"))} }}'
            for name, cell in model.cells.items()
        )
        + "\n  }",
    ]
    (folder / f"{model.name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    parts = ", ".join(f"{name} {cell.macs / model.macs:.3f}" for name, cell in model.cells.items())
    print(
        f"{model.name}: {len(bare) / 1024:.0f} KB, {len(model.proto.graph.node)} nodes, {model.macs} MACs; {parts}", flush=True
    )

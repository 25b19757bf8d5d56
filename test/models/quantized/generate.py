"""Makes the quantized models of this folder: a small convolutional network, quantized by ONNX Runtime's quantizer in its formats.

`bert_optimised_dynamic` is `zoo/bert-optimised` before its numbers were taken out, through `quantize_dynamic` with weights of uint8
(`extra_options={"DefaultTensorType": 1}`): attention as QAttention, tables of integers behind Gather.

    python generate.py        # with onnx and onnxruntime
"""
import os
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(0)
weights, nodes = {}, []


def normal(*shape):
    return (rng.standard_normal(shape) * 0.3).astype(np.float32)


def conv(x, y, inputs, outputs, kernel, pad, group=1):
    weights[y + ".weight"] = normal(outputs, inputs // group, kernel, kernel)
    weights[y + ".bias"] = normal(outputs)
    nodes.append(
        helper.make_node(
            "Conv", [x, y + ".weight", y + ".bias"], [y], name=y, pads=[pad] * 4, kernel_shape=[kernel] * 2, group=group
        )
    )


def relu(x, y):
    nodes.append(helper.make_node("Relu", [x], [y], name=y))


conv("x", "conv1", 3, 16, 3, 1)
relu("conv1", "r1")
conv("r1", "conv2", 16, 16, 1, 0)
relu("conv2", "r2")
conv("r2", "conv3", 16, 16, 3, 1)
nodes.append(helper.make_node("Add", ["conv3", "r1"], ["add"], name="add"))
relu("add", "r3")
nodes.append(helper.make_node("MaxPool", ["r3"], ["mp"], name="mp", kernel_shape=[2, 2], strides=[2, 2]))
conv("mp", "conv4", 16, 24, 1, 0)
relu("conv4", "r4")
nodes.append(helper.make_node("Concat", ["mp", "r4"], ["cat"], name="cat", axis=1))
conv("cat", "conv5", 40, 32, 1, 0)
relu("conv5", "r5")
nodes.append(helper.make_node("GlobalAveragePool", ["r5"], ["gap"], name="gap"))
nodes.append(helper.make_node("Flatten", ["gap"], ["fl"], name="fl"))
weights["fc.weight"], weights["fc.bias"] = normal(10, 32), normal(10)
nodes.append(helper.make_node("Gemm", ["fl", "fc.weight", "fc.bias"], ["y"], name="fc", transB=1))
graph = helper.make_graph(
    nodes,
    "cnn",
    [helper.make_tensor_value_info("x", 1, [1, 3, 8, 8])],
    [helper.make_tensor_value_info("y", 1, [1, 10])],
    [numpy_helper.from_array(value, name) for name, value in weights.items()],
)


class Images(CalibrationDataReader):
    def __init__(self):
        self.images = iter([{"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(8)])

    def get_next(self):
        return next(self.images, None)


with tempfile.TemporaryDirectory() as folder:
    model = os.path.join(folder, "cnn.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    for name, form, by_channel, activation, weight in [
        ("qdq_by_channel", QuantFormat.QDQ, True, QuantType.QUInt8, QuantType.QInt8),
        ("qdq_by_tensor", QuantFormat.QDQ, False, QuantType.QUInt8, QuantType.QUInt8),
        ("qoperator_by_channel", QuantFormat.QOperator, True, QuantType.QUInt8, QuantType.QInt8),
        ("qoperator_by_tensor", QuantFormat.QOperator, False, QuantType.QUInt8, QuantType.QUInt8),
    ]:
        quantize_static(
            model,
            os.path.join(here, name + ".onnx"),
            Images(),
            quant_format=form,
            per_channel=by_channel,
            activation_type=activation,
            weight_type=weight,
        )
    quantize_dynamic(model, os.path.join(here, "dynamic.onnx"))

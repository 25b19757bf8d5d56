"""A multilayer perceptron of scikit-learn by skl2onnx."""

from __future__ import annotations

import copy
import warnings

import numpy
import skl2onnx
import sklearn
from onnx import ModelProto
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPClassifier

from onnx_files import TINY, Cell, Input, Model, count_macs, masks_between, write

WIDTHS = (48, 32)
INPUTS = 20


def trained(widths: tuple[int, ...]) -> MLPClassifier:
    generator = numpy.random.default_rng(0)
    model = MLPClassifier(widths, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(generator.normal(size=(200, INPUTS)), generator.integers(0, 4, 200))


def export(model: MLPClassifier) -> ModelProto:
    options = {id(model): {"zipmap": False}}
    return skl2onnx.convert_sklearn(model, initial_types=[("x", FloatTensorType([None, INPUTS]))], options=options)


def masked(model: MLPClassifier) -> MLPClassifier:
    """A quarter of the units of both hidden layers."""
    made = copy.deepcopy(model)
    for layer, width in enumerate(WIDTHS):
        gone = [i for i in range(width) if i % 4 == 1]
        made.coefs_[layer][:, gone] *= TINY
        made.intercepts_[layer][gone] *= TINY
        made.coefs_[layer + 1][gone] *= TINY
    return made


if __name__ == "__main__":
    dense = trained(WIDTHS)
    proto = export(dense)
    inputs = {"x": Input(numpy.zeros((3, INPUTS), numpy.float32))}
    source = f"MLPClassifier of scikit-learn {sklearn.__version__} by skl2onnx {skl2onnx.__version__}"
    model = Model("sklearn-mlp", source, proto, inputs, macs=count_macs(proto, inputs))
    small = count_macs(export(trained((36, 24))), inputs)
    model.cells["hidden"] = Cell(masks_between(proto, export(masked(dense))), small)
    write(model)

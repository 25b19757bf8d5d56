"""Keras models by tf2onnx: a convolutional network and an LSTM. Masked by zeroing weights, by hand with fewer units."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy
import tensorflow
import tf2onnx
from onnx import ModelProto

from onnx_files import TINY, Cell, Input, Model, count_macs, masks_between, write

SOURCE = f"Keras {keras.__version__} by tf2onnx {tf2onnx.__version__}"
# Of a layer: its weight's number, an axis, and indices along it.
Cuts = Sequence[tuple[str, int, int, Sequence[int]]]


@dataclass(frozen=True)
class Structure:
    cuts: Cuts
    # The arguments of `build` that leave it out.
    smaller: Mapping[str, int]


def export(model: keras.Model, shape: Sequence[int | None]) -> ModelProto:
    tf2onnx.utils.INTERNAL_NAME = 1  # names are numbered over all exports of a process
    signature = [tensorflow.TensorSpec(shape, tensorflow.float32, name="x")]
    proto, _ = tf2onnx.convert.from_function(tensorflow.function(lambda x: model(x)), signature, opset=17)
    return proto


def randomised(build: Callable[..., keras.Model], **sizes: int) -> keras.Model:
    """Small random weights; means of normalisations about 0, variances about 1."""
    generator = numpy.random.default_rng(0)
    model = build(**sizes)
    for variable in model.weights:
        values = (
            generator.normal(size=variable.shape) * (numpy.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 40) ** -0.5
        )
        if "variance" in variable.name or "gamma" in variable.name:
            values = generator.uniform(0.6, 1.4, variable.shape)
        variable.assign(values.astype("float32"))
    return model


def masked(build: Callable[..., keras.Model], model: keras.Model, cuts: Cuts) -> keras.Model:
    """The same model again, of the same names."""
    copy = build()
    copy.set_weights(model.get_weights())
    for layer, number, axis, indices in cuts:
        variable = copy.get_layer(layer).weights[number]
        values = variable.numpy()
        values[(slice(None),) * axis + (list(indices),)] *= TINY
        variable.assign(values)
    return copy


def make(
    name: str, build: Callable[..., keras.Model], shape: Sequence[int | None], structures: Mapping[str, Structure]
) -> None:
    model = randomised(build)
    proto = export(model, shape)
    example = numpy.zeros([d or 2 for d in shape], numpy.float32)
    inputs = {proto.graph.input[0].name: Input(example)}
    made = Model(name, SOURCE, proto, inputs, macs=count_macs(proto, inputs))
    for key, structure in structures.items():
        masks = masks_between(proto, export(masked(build, model, structure.cuts), shape))
        made.cells[key] = Cell(masks, count_macs(export(build(**structure.smaller), shape), inputs))
    write(made)


def network(first: int = 16, second: int = 32, dense: int = 40) -> keras.Model:
    layers = keras.layers
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(first, 3, padding="same", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.Conv2D(second, 1, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(dense, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def tagger(first: int = 32, second: int = 24) -> keras.Model:
    layers = keras.layers
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.Input((9, 16)),
            layers.LSTM(first, return_sequences=True, name="first"),
            layers.LSTM(second, name="second"),
            layers.Dense(7, activation="softmax", name="head"),
        ]
    )


FIRST, SECOND, DENSE = ([i for i in range(n) if i % 4 == 1] for n in (16, 32, 40))
PLACES = [p * 32 + c for p in range(64) for c in SECOND]


def units(layer: str, width: int, gone: Sequence[int]) -> Cuts:
    """Of an LSTM: kernel, recurrent kernel and bias of all gates."""
    gates = [g * width + u for g in range(4) for u in gone]
    return [(layer, 0, 1, gates), (layer, 1, 1, gates), (layer, 1, 0, gone), (layer, 2, 0, gates)]


UNITS, LAST = ([i for i in range(n) if i % 4 == 2] for n in (32, 24))

MODELS = {
    "keras-cnn": (
        network,
        (None, 16, 16, 3),
        {
            "filters": Structure(
                [
                    *(("first", 0, 3, FIRST), ("first", 1, 0, FIRST), ("norm", 0, 0, FIRST), ("norm", 1, 0, FIRST)),
                    *(("depthwise", 0, 2, FIRST), ("depthwise", 1, 0, FIRST), ("second", 0, 2, FIRST)),
                ],
                {"first": 12},
            ),
            "features": Structure(
                [("second", 0, 3, SECOND), ("second", 1, 0, SECOND), ("dense", 0, 0, PLACES)], {"second": 24}
            ),
            "dense": Structure([("dense", 0, 1, DENSE), ("dense", 1, 0, DENSE), ("head", 0, 0, DENSE)], {"dense": 30}),
        },
    ),
    "keras-lstm": (
        tagger,
        (None, 9, 16),
        {
            "hidden": Structure(
                [*units("first", 32, UNITS), ("second", 0, 0, UNITS), *units("second", 24, LAST), ("head", 0, 0, LAST)],
                {"first": 24, "second": 18},
            )
        },
    ),
}

if __name__ == "__main__":
    for name, (build, shape, structures) in MODELS.items():
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            make(name, build, shape, structures)

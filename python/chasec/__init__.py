"""chasec from PyTorch: sparse models to small, fast ONNX models, and sparse training.

    compiled = chasec.compile(model, example_inputs)        # masks from pruning, parametrizations, a dict, or the zeros
    print(compiled)                                         # multiply-accumulates, parameters and bytes before and after
    logits, = compiled.run(images)                          # in ONNX Runtime

    small = chasec.quantize(compiled, batches, output="int8")   # 8-bit integers, by ONNX Runtime's quantizer (lossy)

    training = chasec.SparseTraining(model, optimizer=optimizer, policy="chase", steps=10_000, example_inputs=images)
    loss.backward()
    event = training.step()                                 # in place of optimizer.step()

The work is done by the command line of chasec, an npm package (``npm install chasec``); the environment variable ``CHASEC``
names another one.
"""

from ._compile import CompileResult, Figures, compile
from ._errors import (
    ChasecError,
    ChasecNotFound,
    CommandError,
    ExportError,
    MaskError,
    MissingPackage,
    QuantizationError,
    TrainingError,
    VerificationError,
)
from ._event import LayerUpdate, Place, RemovedChannels, UpdateEvent
from ._quantize import QuantizeResult, quantize
from ._training import SparseTraining

__all__ = [
    "ChasecError",
    "ChasecNotFound",
    "CommandError",
    "CompileResult",
    "ExportError",
    "Figures",
    "LayerUpdate",
    "MaskError",
    "MissingPackage",
    "Place",
    "QuantizationError",
    "QuantizeResult",
    "RemovedChannels",
    "SparseTraining",
    "TrainingError",
    "UpdateEvent",
    "VerificationError",
    "compile",
    "quantize",
]

"""Packages in 8-bit integers, by ONNX Runtime's static quantizer."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ._cli import Json, call
from ._compile import CompileResult, _require, _session
from ._errors import CommandError, QuantizationError
from ._export import flatten

Method = Literal["minmax", "entropy", "percentile"]


@dataclass(frozen=True)
class QuantizeResult:
    """A package in 8-bit integers, and what that cost.

    ``agreement`` is the share of rows of the first output of which the largest element is where it was, ``error`` the root
    mean square of all differences of the outputs relative to that of the outputs; both on ``data``, or on the calibration
    data without it. Accuracies are None without labels. Bytes are those of the models in the two packages.
    """

    package: Path
    model: Path
    bytes_before: int
    bytes_after: int
    agreement: float
    error: float
    accuracy_before: float | None
    accuracy_after: float | None
    report: Json = field(repr=False)

    @cached_property
    def session(self) -> Any:
        """The package in ONNX Runtime, an `onnxruntime.InferenceSession` on the CPU."""
        return _session(self.model)

    def run(self, *inputs: Any, **named: Any) -> list[Tensor]:
        """The outputs for tensors in the order of the model's inputs, or by their names."""
        return _outputs(self.session, {**_named(self.session, inputs), **named})

    def __str__(self) -> str:
        return f"{self.package}: {_told(self)}"


def quantize(
    package: CompileResult | str | Path,
    calibration: Iterable[Any],
    *,
    output: str | Path,
    data: Iterable[tuple[Any, Any]] | None = None,
    max_drop: float | None = None,
    activations: Literal["uint8", "int8"] = "uint8",
    method: Method = "minmax",
    per_channel: bool = True,
    reduce_range: bool = False,
    keep: Sequence[str] = (),
) -> QuantizeResult:
    """Quantizes a package, or any ONNX model in float32, to 8-bit integers: weights and activations, static (QDQ).

    Prune first: what is gone need not be quantized, and ranges are those of the channels that stay. Weights are symmetric
    int8, with a scale for each output channel; activations have ranges that `calibration` shows. This is lossy; how much is
    measured. The result is compiled to a package, which is exact: it computes what the quantized model does.

    Arguments:
        package: what `compile` gave, the folder of a package, or an ONNX file.
        calibration: a hundred or more samples of what the model will see, in batches: tensors, tuples of them in the order
            of the inputs, or dicts by name, preprocessed as for the model.
        output: folder of the package; an earlier package there is replaced.
        data: batches with labels, ``(inputs, labels)``, which accuracy is measured on; other ones than those for calibration.
        max_drop: by how much accuracy may fall (0.01: one in a hundred), or without labels how many rows may get another
            largest output. What falls further raises QuantizationError, and nothing is published.
        activations: "uint8" is what ONNX Runtime computes residual networks in on x86 (with "int8" it leaves what reads a sum
            in float32 there); "int8" is for ARM and for other runtimes.
        method: how ranges are found: "minmax", "entropy" or "percentile". The latter two keep all results in memory.
        reduce_range: weights of 7 bits, for CPUs without VNNI where accuracy falls otherwise.
        keep: nodes by name that stay in float32, as first and last layers sometimes have to.

    Raises QuantizationError, CommandError, MissingPackage, ChasecNotFound.
    """
    _require("onnxruntime", "to quantize")
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    shapes: Any = importlib.import_module("onnxruntime.quantization.shape_inference")
    source = _model_of(package)
    batches = list(calibration)
    if not batches:
        raise QuantizationError("calibration has no batch")
    float_session = _session(source)
    with tempfile.TemporaryDirectory(prefix="chasec-") as work:
        prepared, quantized = Path(work) / "prepared.onnx", Path(work) / "quantized.onnx"
        shapes.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        _check_names(prepared, keep)
        try:
            quantization.quantize_static(
                str(prepared),
                str(quantized),
                _reader(quantization, float_session, batches),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=per_channel,
                reduce_range=reduce_range,
                activation_type=quantization.QuantType.QUInt8 if activations == "uint8" else quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=list(keep),
                calibrate_method={
                    "minmax": quantization.CalibrationMethod.MinMax,
                    "entropy": quantization.CalibrationMethod.Entropy,
                    "percentile": quantization.CalibrationMethod.Percentile,
                }[method],
                extra_options={"WeightSymmetric": True},
            )
        except (ValueError, RuntimeError) as error:
            raise QuantizationError(f"ONNX Runtime does not quantize {source}: {error}") from error
        measured = _compare(float_session, _session(quantized), batches, data)
        lost = measured.drop
        if max_drop is not None and not lost <= max_drop:
            what = "agreement" if measured.accuracy_before is None else "accuracy"
            raise QuantizationError(f"{what} falls by {lost:.3g}, above max_drop {max_drop:.3g}; nothing was published")
        result = QuantizeResult(
            package=Path(output),
            model=Path(output) / "model.onnx",
            bytes_before=_size(source),
            bytes_after=_size(quantized),
            agreement=measured.agreement,
            error=measured.error,
            accuracy_before=measured.accuracy_before,
            accuracy_after=measured.accuracy_after,
            report={},
        )
        code, printed = call(["compile", str(quantized), "-o", str(output), "--note", f"In 8-bit integers: {_told(result)}."])
    if code != 0:
        raise QuantizationError("the package computes something else than the quantized model; nothing was published")
    bytes_after = sum(file["bytes"] for file in printed["package"]["files"] if file["name"].startswith("model.onnx"))
    return QuantizeResult(**{**vars(result), "bytes_after": bytes_after, "report": printed})


def _model_of(package: CompileResult | str | Path) -> Path:
    path = package.model if isinstance(package, CompileResult) else Path(package)
    model = path / "model.onnx" if path.is_dir() else path
    if not model.is_file():
        raise CommandError("ReadError", str(package), "a package or an ONNX file", "none", "")
    return model


def _size(model: Path) -> int:
    data = model.with_name(f"{model.name}_data")
    return model.stat().st_size + (data.stat().st_size if data.is_file() else 0)


def _check_names(model: Path, names: Sequence[str]) -> None:
    import onnx

    known = {node.name for node in onnx.load(str(model), load_external_data=False).graph.node}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise QuantizationError(f"no node of the model is called {', '.join(unknown)}")


def _named(session: Any, batch: Any) -> Mapping[str, Any]:
    if isinstance(batch, Mapping):
        return batch
    return dict(zip([one.name for one in session.get_inputs()], flatten(list(batch) if isinstance(batch, tuple) else [batch])))


def _feeds(session: Any, batch: Any) -> dict[str, Any]:
    return {name: torch.as_tensor(value).detach().cpu().numpy() for name, value in _named(session, batch).items()}


def _outputs(session: Any, batch: Any) -> list[Tensor]:
    return [torch.as_tensor(output) for output in session.run(None, _feeds(session, batch))]


def _reader(quantization: Any, session: Any, batches: Sequence[Any]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.rest, None)
            return None if batch is None else _feeds(session, batch)

    return Reader()


@dataclass(frozen=True)
class _Measured:
    agreement: float
    error: float
    accuracy_before: float | None
    accuracy_after: float | None

    @property
    def drop(self) -> float:
        if self.accuracy_before is None or self.accuracy_after is None:
            return 1 - self.agreement
        return self.accuracy_before - self.accuracy_after


def _compare(before: Any, after: Any, batches: Sequence[Any], data: Iterable[tuple[Any, Any]] | None) -> _Measured:
    rows = same = right_before = right_after = 0
    noise = signal = 0.0
    for batch, labels in _labelled(batches, data):
        old, new = _outputs(before, batch), _outputs(after, batch)
        for a, b in zip(old, new):
            if a.is_floating_point():
                noise += float((a.double() - b.double()).square().sum())
                signal += float(a.double().square().sum())
        if not old or old[0].dim() < 2:
            continue
        a, b = _classes(old[0]), _classes(new[0])
        rows += a.numel()
        same += int((a == b).sum())
        if labels is not None:
            wanted = torch.as_tensor(labels).flatten()
            right_before += int((a == wanted).sum())
            right_after += int((b == wanted).sum())
    error = (noise / signal) ** 0.5 if signal > 0 else 0.0
    agreement = same / rows if rows else 1.0
    if data is None or rows == 0:
        return _Measured(agreement, error, None, None)
    return _Measured(agreement, error, right_before / rows, right_after / rows)


def _classes(output: Tensor) -> Tensor:
    """Where each row has its largest element: classes are the second axis, as in losses of PyTorch."""
    return output.argmax(1).flatten()


def _labelled(batches: Sequence[Any], data: Iterable[tuple[Any, Any]] | None) -> Iterator[tuple[Any, Any]]:
    if data is not None:
        yield from data
    else:
        for batch in batches:
            yield batch, None


def _told(result: QuantizeResult) -> str:
    sizes = f"{result.bytes_before:,} -> {result.bytes_after:,} bytes"
    outputs = f"{result.agreement:.1%} of the rows keep their largest output, the error is {result.error:.2g} of the outputs"
    if result.accuracy_before is None or result.accuracy_after is None:
        return f"{sizes}; {outputs}"
    return f"{sizes}; accuracy {result.accuracy_before:.2%} -> {result.accuracy_after:.2%}; {outputs}"

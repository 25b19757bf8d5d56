"""PyTorch models to packages of chasec."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ._cli import Json, call
from ._errors import ExportError, MissingPackage, VerificationError
from ._export import Arguments, Exporter, ExportOptions, Inputs, export, flatten, input_names
from ._masks import Masks, masked_copy, unwrapped

Target = Literal["cpu", "cuda", "webgpu"]

# Relative to the largest value of an output.
_TOLERANCES = {torch.float16: 2e-2, torch.bfloat16: 2e-2, torch.float64: 1e-9}
_USUAL_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Figures:
    """Of the masked model as exported, and of the compiled one. ``bytes`` are those of the weights."""

    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    bytes_before: int
    bytes_after: int

    @property
    def ratio(self) -> float:
        """How many times fewer multiply-accumulates there are."""
        return self.macs_before / self.macs_after if self.macs_after else float("inf")

    def __str__(self) -> str:
        return (
            f"multiply-accumulates {self.macs_before:,} -> {self.macs_after:,} ({self.ratio:.2f}x fewer), "
            f"parameters {self.parameters_before:,} -> {self.parameters_after:,}, "
            f"bytes of weights {self.bytes_before:,} -> {self.bytes_after:,}"
        )


@dataclass(frozen=True)
class CompileResult:
    """A compiled model.

    ``package`` is the folder with ``model.onnx`` (at ``model``), ``report.html`` and ``chasec.json``. ``report`` is what the
    command line printed: layers with their widths, and why the rest stays. ``max_error`` is the largest relative difference
    from PyTorch on the example inputs; None without verification. A package without a folder given lives as long as this.
    """

    package: Path
    model: Path
    exported: Path | None
    figures: Figures
    report: Json = field(repr=False)
    max_error: float | None
    _kept: object = field(default=None, repr=False, compare=False)

    @cached_property
    def session(self) -> Any:
        """The package in ONNX Runtime, an `onnxruntime.InferenceSession` on the CPU. Raises MissingPackage."""
        return _session(self.model)

    def run(self, *inputs: Any, **named: Any) -> list[Tensor]:
        """The outputs for tensors in the order of the model's inputs, or by their names."""
        tensors = flatten(list(inputs))
        names = [one.name for one in self.session.get_inputs()]
        return _run(self.session, dict(zip(names, tensors)) | {name: flatten(value)[0] for name, value in named.items()})

    def __str__(self) -> str:
        told = "not verified" if self.max_error is None else f"largest relative difference {self.max_error:.2g}"
        return f"{self.package}: {self.figures}; {told}"


def compile(
    model: nn.Module,
    example_inputs: Inputs,
    masks: Masks = None,
    *,
    output: str | Path | None = None,
    exporter: Exporter = "auto",
    dynamic_batch: bool = False,
    dynamic_axes: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int | None = None,
    target: Target = "cpu",
    verify: bool = True,
    tolerance: float | None = None,
    shapes: Mapping[str, int | Sequence[int]] | None = None,
    keep_onnx: str | Path | None = None,
) -> CompileResult:
    """Compiles a masked model to a package: a smaller ONNX model that computes the same.

    What counts is the *masked* model in evaluation mode: pruning of `torch.nn.utils.prune` and parametrizations are applied as
    they stand, then `masks`. Its weights are exported with zeros where they are masked, and every zero is taken for a mask.
    That is exact whatever an exporter does to names and layouts, and a kept weight that happens to be 0 changes nothing.
    The model itself, its hooks, device and modes stay as they are; work is done on a copy on the CPU.

    Arguments:
        example_inputs: a tensor, several in a tuple, or keyword arguments in a dict; nested ones are flattened.
        masks: None or "zeros": only what the model carries and the zeros in its weights. A dict of zeros and ones by name in
            the state dict (or that of a buffer NAME_mask), by parameter, or by module (its weight); in the shape of the
            parameter, or one number for each output channel. Or a safetensors file of such a dict.
        output: folder of the package; an earlier package there is replaced. Without it a temporary one.
        exporter: "dynamo" (needs onnxscript), "torchscript", or "auto", which tries both.
        dynamic_batch: leaves the first axis of all inputs open. dynamic_axes is for "torchscript" only, dynamic_shapes for
            "dynamo".
        target: "cpu", "cuda" or "webgpu": decides which widths are rounded up (measured for "cpu" only).
        verify: compares the exported model and the package with PyTorch on the example inputs in ONNX Runtime, and lets the
            command line compare the two on inputs of its own.
        tolerance: largest difference relative to the largest value of an output; by default 1e-4, for halves 2e-2, for
            doubles 1e-9.
        shapes: sizes of open dimensions for counting and verification, as `--shape` of the command line: {"N": 4}.
        keep_onnx: where to keep the exported, masked model.

    Raises ExportError, MaskError, CommandError, VerificationError (nothing was published), MissingPackage, ChasecNotFound.
    """
    options = ExportOptions(exporter, dynamic_axes, dynamic_shapes, dynamic_batch, input_names, output_names, opset)
    _require("onnx", "to export models")
    if verify:
        _require("onnxruntime", "to verify; or give verify=False")
    plain = masked_copy(unwrapped(model), masks)
    arguments = Arguments.of(example_inputs)
    outputs = arguments.call(plain)
    work = tempfile.TemporaryDirectory(prefix="chasec-")
    exported = Path(keep_onnx) if keep_onnx is not None else Path(work.name) / "masked.onnx"
    export(plain, arguments, outputs, exported, options)
    example = _Example(plain, arguments, flatten(outputs), options, tolerance)
    if verify:
        example.compare(exported, f"the exported model {exported}")
    folder = Path(output) if output is not None else Path(work.name) / "package"
    words = ["compile", str(exported), "--masks", "zeros", "-o", str(folder), "--target", target]
    words += [] if verify else ["--no-verify"]
    words += [] if tolerance is None else ["--tolerance", repr(tolerance)]
    for name, size in (shapes or {}).items():
        words += ["--shape", f"{name}={size if isinstance(size, int) else ','.join(map(str, size))}"]
    code, printed = call(words)
    if code != 0:
        raise _refused(printed)
    report: Json = printed["report"]
    max_error = _checked(example, folder, printed) if verify else None
    return CompileResult(
        package=folder,
        model=folder / "model.onnx",
        exported=Path(keep_onnx) if keep_onnx is not None else None,
        figures=_figures(report),
        report=printed,
        max_error=max_error,
        _kept=work,
    )


def _require(package: str, purpose: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackage(f"{package} is needed {purpose}: pip install {package}") from error


def _session(model: Path) -> Any:
    runtime = _require("onnxruntime", "to run packages")
    return runtime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def _run(session: Any, feeds: Mapping[str, Tensor]) -> list[Tensor]:
    for name, tensor in feeds.items():
        if tensor.dtype == torch.bfloat16:
            raise ExportError(f"input {name} is bfloat16, which ONNX Runtime takes from no array; give verify=False")
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in feeds.items()}
    return [torch.as_tensor(output) for output in session.run(None, arrays)]


@dataclass(frozen=True)
class _Example:
    """What PyTorch computes for the example inputs."""

    model: nn.Module
    arguments: Arguments
    outputs: Sequence[Tensor]
    options: ExportOptions
    tolerance: float | None

    def compare(self, path: Path, what: str) -> float:
        """The largest relative difference of a model's outputs. Raises ExportError and VerificationError."""
        session = _session(path)
        tensors = self.arguments.tensors()
        named = dict(zip(input_names(self.model, self.arguments, self.options.input_names), tensors))
        wanted = [one.name for one in session.get_inputs()]
        if any(name not in named for name in wanted):
            if len(wanted) != len(tensors):
                raise ExportError(f"{what} has the inputs {wanted}, the example {list(named)}; give input_names")
            named = dict(zip(wanted, tensors))
        found = _run(session, {name: named[name] for name in wanted})
        if len(found) != len(self.outputs):
            raise ExportError(f"{what} has {len(found)} outputs, PyTorch {len(self.outputs)}")
        worst = 0.0
        for reference, output in zip(self.outputs, found):
            difference = _difference(reference, output)
            tolerance = self.tolerance or _TOLERANCES.get(reference.dtype, _USUAL_TOLERANCE)
            if not difference <= tolerance:
                told = f"{what} differs from PyTorch by {difference:.3g}, above the tolerance {tolerance:.3g}"
                raise VerificationError(f"{told}; nothing was published", difference, tolerance)
            worst = max(worst, difference)
        return worst


def _difference(reference: Tensor, output: Tensor) -> float:
    if reference.shape != output.shape:
        return float("inf")
    if not reference.is_floating_point():
        return 0.0 if torch.equal(reference, output.to(reference.dtype)) else float("inf")
    if reference.numel() == 0:
        return 0.0
    a, b = reference.detach().double(), output.double()
    finite = a.isfinite()
    if not torch.equal(a[~finite].nan_to_num(nan=0.5), b[~finite].nan_to_num(nan=0.5)):
        return float("inf")
    if not bool(finite.any()):
        return 0.0
    a, b = a[finite], b[finite]
    gap = float((a - b).abs().max())
    return 0.0 if gap == 0 else gap / max(float(a.abs().max()), torch.finfo(torch.float32).tiny)


def _checked(example: _Example, folder: Path, printed: Json) -> float:
    """The difference of a package from PyTorch. What differs is taken away again."""
    try:
        return example.compare(folder / "model.onnx", "the package")
    except Exception:
        for file in printed["package"]["files"]:
            (folder / file["name"]).unlink(missing_ok=True)
        raise


def _refused(printed: Json) -> VerificationError:
    worst = ((printed.get("verification") or {}).get("worst") or {}).get("output") or {}
    difference, tolerance = float(worst.get("relative", "inf")), float(worst.get("tolerance", "nan"))
    told = f"the compiled model differs from the masked one by {difference:.3g} at output {worst.get('name')}"
    return VerificationError(f"{told}; nothing was published", difference, tolerance)


def _figures(report: Json) -> Figures:
    names = (one.name.rpartition("_") for one in fields(Figures))
    return Figures(*(int(report[when][what]) for what, _, when in names))

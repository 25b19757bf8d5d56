"""Exporting plain models to ONNX, and the tensors that go in and come out of them."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ._errors import ExportError

Exporter = Literal["auto", "torchscript", "dynamo"]
Inputs = Tensor | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class ExportOptions:
    """What an exporter is told beyond the model. `structure`: keep every parameter as it is, fold nothing."""

    exporter: Exporter = "auto"
    dynamic_axes: Mapping[str, Any] | None = None
    dynamic_shapes: Any = None
    dynamic_batch: bool = False
    input_names: Sequence[str] | None = None
    output_names: Sequence[str] | None = None
    opset: int | None = None
    structure: bool = False


@dataclass(frozen=True)
class Arguments:
    """What a model is called with."""

    positional: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Inputs) -> Arguments:
        """A tensor, several in a tuple or list, or named ones, on the CPU."""
        if isinstance(inputs, Mapping):
            return cls((), {name: _mapped(value, lambda t: t.detach().cpu()) for name, value in inputs.items()})
        several = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        return cls(tuple(_mapped(value, lambda t: t.detach().cpu()) for value in several))

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Arguments:
        """The same structure with other tensors."""
        return Arguments(_mapped(self.positional, change), _mapped(self.named, change))

    def tensors(self) -> list[Tensor]:
        return flatten([self.positional, self.named])

    def call(self, model: nn.Module) -> Any:
        """What the model gives, which may write to its buffers but not to these tensors. Raises ExportError."""
        own = self.mapped(torch.clone)
        try:
            with torch.no_grad():
                return model(*own.positional, **own.named)
        except Exception as error:
            raise ExportError(f"the model does not take the example inputs: {type(error).__name__}: {error}") from error


def _mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(inner, change) for inner in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(inner, change) for inner in value)
    return value


def flatten(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts (so also in the outputs of transformers), in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for inner in value.values() for tensor in flatten(inner)]
    if isinstance(value, (tuple, list)):
        return [tensor for inner in value for tensor in flatten(inner)]
    return []


def input_names(model: nn.Module, arguments: Arguments, given: Sequence[str] | None) -> list[str]:
    """A name for every tensor that goes in: the given one, or that of the argument of `forward`."""
    count = len(arguments.tensors())
    if given is not None:
        if len(given) != count:
            raise ExportError(f"input_names has {len(given)} names for {count} tensors")
        return list(given)
    parameters = list(inspect.signature(model.forward).parameters.values())
    usual = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names: list[str] = []
    for i, value in enumerate(arguments.positional):
        names += _numbered(usual[i] if i < len(usual) else f"input_{i}", len(flatten(value)))
    for name, value in arguments.named.items():
        names += _numbered(name, len(flatten(value)))
    return names


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_{i}" for i in range(count)]


def export(model: nn.Module, arguments: Arguments, outputs: Any, path: Path, options: ExportOptions) -> None:
    """Writes an ONNX model that computes what `model` does for the example's shapes, or for dynamic ones.

    `outputs` is what the example gives. Raises ExportError with the reasons of every exporter that was tried.
    """
    tried: list[str] = []
    for exporter in _order(options):
        try:
            with _quiet(), _flat_outputs(model, outputs), torch.no_grad():
                _exporters[exporter](model, arguments, flatten(outputs), path, options)
            return
        except ExportError:
            raise
        except Exception as error:
            tried.append(f"{exporter}: {type(error).__name__}: {str(error).strip()[:2000]}")
    raise ExportError("PyTorch cannot export the model to ONNX. " + "\n".join(tried))


def _order(options: ExportOptions) -> list[Literal["torchscript", "dynamo"]]:
    if options.exporter != "auto":
        return [options.exporter]
    if options.dynamic_axes is not None:
        return ["torchscript"]
    has_dynamo = importlib.util.find_spec("onnxscript") is not None
    if options.dynamic_shapes is not None:
        return ["dynamo"]
    if options.structure:
        return ["torchscript", "dynamo"] if has_dynamo else ["torchscript"]
    return ["dynamo", "torchscript"] if has_dynamo else ["torchscript"]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the chatter of exporters; fused attention of PyTorch has no ONNX form, so it is off meanwhile."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@contextlib.contextmanager
def _flat_outputs(model: nn.Module, outputs: Any) -> Iterator[None]:
    """Lets the model give a plain tuple of tensors where it gives anything else."""
    if isinstance(outputs, Tensor) or (
        type(outputs) in (tuple, list) and all(isinstance(output, Tensor) for output in outputs)
    ):
        yield
        return
    inner = model.forward
    with _calling(model, lambda *args, **kwargs: tuple(flatten(inner(*args, **kwargs))), inspect.signature(inner)):
        yield


@contextlib.contextmanager
def _positional(model: nn.Module, arguments: Arguments) -> Iterator[tuple[Any, ...]]:
    """Lets the model take its keyword arguments after the others, and gives all of them."""
    if not arguments.named:
        yield arguments.positional
        return
    inner, count, names = model.forward, len(arguments.positional), list(arguments.named)
    usual = [f"input_{i}" for i in range(count)]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in [*usual, *names]]

    def forward(*args: Any) -> Any:
        return inner(*args[:count], **dict(zip(names, args[count:], strict=True)))

    with _calling(model, forward, inspect.Signature(parameters)):
        yield (*arguments.positional, *arguments.named.values())


@contextlib.contextmanager
def _calling(model: nn.Module, forward: Callable[..., Any], signature: inspect.Signature) -> Iterator[None]:
    """Has the model compute something else meanwhile; exporters read the names of arguments from the signature."""

    def method(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    own = vars(model).get("forward")
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [first, *signature.parameters.values()]
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    model.forward = types.MethodType(method, model)
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


def _torchscript(model: nn.Module, arguments: Arguments, outputs: Sequence[Tensor], path: Path, options: ExportOptions) -> None:
    names = input_names(model, arguments, options.input_names)
    results = list(options.output_names or _numbered("output", len(outputs)))
    axes = dict(options.dynamic_axes or {})
    if options.dynamic_batch:
        size = _batch_of(arguments)
        axes = {name: {0: "batch"} for name in names}
        axes |= {name: {0: "batch"} for name, t in zip(results, outputs) if t.dim() > 0 and t.shape[0] == size}
    # Evaluation mode is kept either way; as "training" the exporter leaves normalisations where they are.
    keep: dict[str, Any] = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    with _positional(model, arguments) as positional:
        torch.onnx.export(
            model,
            positional,
            str(path),
            input_names=names,
            output_names=results,
            dynamic_axes=axes or None,
            opset_version=options.opset,
            dynamo=False,
            **(keep if options.structure else {}),
        )


def _dynamo(model: nn.Module, arguments: Arguments, outputs: Sequence[Tensor], path: Path, options: ExportOptions) -> None:
    shapes = options.dynamic_shapes
    if options.dynamic_batch:
        size = _batch_of(arguments)
        if size == 1:
            # A size of 1 would be taken for one that never changes.
            arguments = arguments.mapped(lambda t: torch.cat([t, t]))
        batch = torch.export.Dim("batch", min=2)
        shapes = _shapes_of(model, arguments, batch)
    torch.onnx.export(
        model,
        arguments.positional,
        str(path),
        kwargs=arguments.named or None,
        input_names=input_names(model, arguments, options.input_names),
        output_names=list(options.output_names or _numbered("output", len(outputs))),
        dynamic_shapes=shapes,
        opset_version=options.opset,
        dynamo=True,
        external_data=_is_large(model),
        verbose=False,
        optimize=not options.structure,
    )


_exporters = {"torchscript": _torchscript, "dynamo": _dynamo}


def _is_large(model: nn.Module) -> bool:
    """Whether weights go to a file of their own: one of protobuf ends at 2 GiB."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) > 2**30


def _batch_of(arguments: Arguments) -> int:
    sizes = {tensor.shape[0] if tensor.dim() > 0 else None for tensor in arguments.tensors()}
    size = sizes.pop() if len(sizes) == 1 else None
    if size is None:
        raise ExportError("dynamic_batch wants inputs that agree in their first axis; give dynamic_shapes instead")
    return size


def _shapes_of(model: nn.Module, arguments: Arguments, batch: Any) -> Any:
    positional = _mapped(arguments.positional, lambda t: {0: batch})
    if not arguments.named:
        return positional
    names = list(inspect.signature(model.forward).parameters)
    return dict(zip(names, positional)) | _mapped(arguments.named, lambda t: {0: batch})

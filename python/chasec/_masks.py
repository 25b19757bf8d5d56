"""From a model with masks to one that computes the same with plain weights, zeros where they are masked."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from . import _tensors
from ._errors import ExportError, MaskError

# Keys are names, parameters or modules.
Masks = Mapping[Any, Tensor] | str | Path | None


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside of DistributedDataParallel, DataParallel and torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy on the CPU in evaluation mode; the model stays as it is.

    What `torch.nn.utils.prune` and `torch.nn.utils.parametrize` make of a parameter is a plain parameter of the copy, under
    its plain name. Raises ExportError where the model cannot be copied.
    """
    # A weight that was computed, as pruning leaves one, is no leaf, which deepcopy refuses.
    memo: dict[int, object] = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        plain: nn.Module = copy.deepcopy(model, memo)
    except Exception as error:
        raise ExportError(f"the model cannot be copied: {error}") from error
    plain.to("cpu").eval()
    with torch.no_grad():
        for module in list(plain.modules()):
            _make_pruning_permanent(module)
            _make_parametrizations_permanent(module)
    return plain


def _make_pruning_permanent(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]


def _make_parametrizations_permanent(module: nn.Module) -> None:
    if not parametrize.is_parametrized(module):
        return
    lists = module.parametrizations
    assert isinstance(lists, nn.ModuleDict)
    values = {name: getattr(module, name).detach().clone() for name in lists}
    # remove_parametrizations would take the property from the class, which the copy shares with the model.
    del module._modules["parametrizations"]
    module.__class__ = type(module).__bases__[0]
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value))


def masked_copy(model: nn.Module, masks: Masks) -> nn.Module:
    """A plain copy of the model, its weights 0 where they are masked.

    `masks` holds more masks than the model carries by itself: by name in the state dict (that of a buffer `NAME_mask` or
    parameter `NAME_orig` stands for NAME), by parameter, or by module (for its weight); or it is a safetensors file of
    these. A mask is in the shape of its parameter, has one number for each output channel, or is broadcast from axes of
    size 1; it holds zeros and ones. Raises MaskError for any other.
    """
    plain = plain_copy(model)
    if masks is None or masks == "zeros":
        return plain
    given: Mapping[Any, Tensor] = _tensors.load(Path(masks)) if isinstance(masks, (str, Path)) else masks
    parameters = dict(plain.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for key, mask in given.items():
            name = _name_of(model, key, parameters)
            weight = parameters[name]
            module = plain.get_submodule(name.rpartition(".")[0])
            weight.masked_fill_(_fitted(name, mask, weight, _output_axis(module)) == 0, 0)
    return plain


def _name_of(model: nn.Module, key: str | Tensor | nn.Module, parameters: Mapping[str, nn.Parameter]) -> str:
    name = key if isinstance(key, str) else _name_of_object(model, key)
    plain = ".".join(part for part in name.split(".") if part not in ("_orig_mod",))
    candidates = [plain, plain.removeprefix("module.")]
    for one in list(candidates):
        candidates += [one.removesuffix(end) for end in ("_mask", "_orig") if one.endswith(end)]
        if ".parametrizations." in f".{one}":
            candidates.append(".".join(one.replace("parametrizations.", "").split(".")[:-1]))
    for candidate in candidates:
        if candidate in parameters:
            return candidate
    close = difflib.get_close_matches(candidates[-1], parameters, 1)
    raise MaskError(f"mask of {name}: the model has no such parameter" + (f"; did you mean {close[0]}?" if close else ""))


def _name_of_object(model: nn.Module, key: Tensor | nn.Module) -> str:
    if isinstance(key, nn.Module):
        for name, module in model.named_modules():
            if module is key:
                return f"{name}.weight" if name else "weight"
        raise MaskError(f"a mask is of a module {type(key).__name__} that is not in the model")
    for name, parameter in model.named_parameters():
        if parameter is key:
            return name
    raise MaskError(f"a mask is of a tensor {list(key.shape)} that is no parameter of the model")


def _output_axis(module: nn.Module) -> int | None:
    """The axis of a module's weight that counts its output channels; None where no axis does."""
    if not isinstance(module, nn.modules.conv._ConvTransposeNd):
        return 0
    return 1 if module.groups == 1 else None


def _fitted(name: str, mask: Tensor, weight: Tensor, axis: int | None) -> Tensor:
    if not isinstance(mask, Tensor):
        mask = torch.as_tensor(mask)
    mask = mask.detach().to("cpu")
    if bool(((mask != 0) & (mask != 1)).any()):
        raise MaskError(f"mask of {name}: expected zeros and ones only")
    shape, wanted = list(mask.shape), list(weight.shape)
    if shape == wanted:
        return mask
    rows = None if axis is None or axis >= len(wanted) else wanted[axis]
    if axis is not None and shape == [rows]:
        return mask.reshape([-1 if a == axis else 1 for a in range(len(wanted))])
    if len(shape) == len(wanted) and all(m in (1, w) for m, w in zip(shape, wanted)):
        return mask
    whole = "" if rows is None else f", or [{rows}] for whole channels"
    raise MaskError(f"mask of {name}: expected the shape {wanted}{whole}, found {shape}")

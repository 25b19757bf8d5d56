"""Models of PyTorch for the zoo: structures as cuts of parameters, masked and taken out by hand, and both exporters.

A structure says which indices along which axes of which parameters it is made of. Masked, they are zero. By hand, they are
cut out of the parameters, sizes that modules remember are corrected, and the smaller model is exported by the same
exporter. Where the arithmetic allows it, both are run in PyTorch and have to agree, so that a cut that forgets something
is found when the zoo is made.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from onnx_files import TINY, Cell, Input, Masks, Model, boxes, constants, count_macs, masks_between, write

torch.set_num_threads(1)


@dataclass(frozen=True)
class Cut:
    """Indices along an axis of a parameter or buffer; a buffer is cut by hand and never masked."""

    name: str
    axis: int
    indices: tuple[int, ...]
    masked: bool = True


@dataclass(frozen=True)
class Structure:
    name: str
    cuts: Sequence[Cut]
    # Corrects what modules remember of their sizes, after the cuts.
    fix: Callable[[nn.Module], None] = lambda model: None
    # Whether the model with the structure cut out computes what the masked one does.
    same: bool = True
    # Where the library's modules cannot be cut so: multiply-accumulates that go, by formula.
    saves: int | None = None


@dataclass(frozen=True)
class Entry:
    name: str
    source: str
    build: Callable[[], nn.Module]
    inputs: Mapping[str, Tensor]
    structures: Callable[[nn.Module], Sequence[Structure]]
    fills: Mapping[str, str | int] = field(default_factory=dict)
    # Names of open axes, by input.
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    exporter: str = "torchscript"
    opset: int = 17
    options: Mapping[str, Any] = field(default_factory=dict)
    # Multiply-accumulates of the model by formula, where they are in the body of a loop.
    macs: int | None = None


def rows(prefix: str, indices: Iterable[int]) -> list[Cut]:
    """What a layer makes: rows of its weight and its bias; also the scale and shift of a normalisation."""
    where = tuple(indices)
    return [Cut(f"{prefix}.weight", 0, where), Cut(f"{prefix}.bias", 0, where)]


def columns(prefix: str, indices: Iterable[int]) -> list[Cut]:
    """What a layer reads."""
    return [Cut(f"{prefix}.weight", 1, tuple(indices))]


def batch_norm(prefix: str, indices: Iterable[int]) -> list[Cut]:
    where = tuple(indices)
    return rows(prefix, where) + [Cut(f"{prefix}.{name}", 0, where, masked=False) for name in ("running_mean", "running_var")]


def shifted(indices: Iterable[int], offset: int) -> tuple[int, ...]:
    return tuple(i + offset for i in indices)


def heads(which: Iterable[int], width: int) -> tuple[int, ...]:
    """The indices of whole heads of a width."""
    return tuple(h * width + i for h in which for i in range(width))


def places(count: int, width: int, which: Sequence[Iterable[int]]) -> tuple[int, ...]:
    """Places within heads; with one list for all heads, or one for each."""
    return tuple(h * width + i for h in range(count) for i in sorted(which[h % len(which)]))


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Random parameters of magnitudes that keep activations sane: no scale 1, no shift 0, no two layers alike."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            leaf = name.rpartition(".")[2]
            if parameter.dim() < 2 and leaf in ("weight", "gamma", "gamma1", "gamma2", "layer_scale"):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.8 + 0.6)
            else:
                fan_in = parameter.numel() // parameter.shape[0] if parameter.dim() > 1 else 44
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan_in**-0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.2)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) * 0.8 + 0.6)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))


def masked_by(model: nn.Module, cuts: Iterable[Cut], factor: float) -> nn.Module:
    """A copy whose cut elements are multiplied by `factor`."""
    masked = copy.deepcopy(model)
    known = tensors(masked)
    done: dict[int, Tensor] = {}
    with torch.no_grad():
        for cut in cuts:
            tensor = known.get(cut.name)
            if tensor is None and cut.name.endswith(".bias"):
                continue
            if tensor is None:
                raise KeyError(cut.name)
            if not cut.masked:
                continue
            hidden = done.setdefault(tensor.data_ptr(), torch.zeros_like(tensor, dtype=torch.bool))
            hidden.index_fill_(cut.axis, torch.tensor(cut.indices, dtype=torch.long), True)
        for tensor in known.values():
            hidden_of = done.pop(tensor.data_ptr(), None)
            if hidden_of is not None:
                tensor[hidden_of] *= factor
    return masked


def without(model: nn.Module, structure: Structure) -> nn.Module:
    """A copy with the structure cut out."""
    cut_out = copy.deepcopy(model)
    known = tensors(cut_out)
    where: dict[tuple[int, int], set[int]] = {}
    for cut in structure.cuts:
        if cut.name in known:
            where.setdefault((id(known[cut.name]), cut.axis), set()).update(cut.indices)
    by_id = {id(t): t for t in known.values()}
    for (key, axis), indices in where.items():
        tensor = by_id[key]
        kept = torch.tensor([i for i in range(tensor.shape[axis]) if i not in indices], dtype=torch.long)
        tensor.data = tensor.data.index_select(axis, kept)
    for module in cut_out.modules():
        correct(module)
    structure.fix(cut_out)
    return cut_out


def correct(module: nn.Module) -> None:
    """Sizes that a module of PyTorch remembers, as its parameters have them."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
        module.normalized_shape = tuple(module.weight.shape)
    elif type(module).__name__ == "Conv1D":  # of GPT-2
        module.nx, module.nf = module.weight.shape
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.GroupNorm):
        # Groups keep their width: whole groups go.
        module.num_groups = module.num_groups * module.weight.shape[0] // module.num_channels
        module.num_channels = module.weight.shape[0]
    elif isinstance(module, nn.modules.conv._ConvNd) and not module.transposed:
        if module.groups > 1:
            # Groups keep their widths: whole groups go.
            module.groups = module.groups * module.weight.shape[0] // module.out_channels
        module.out_channels = module.weight.shape[0]
        module.in_channels = module.weight.shape[1] * module.groups
    elif isinstance(module, nn.RNNBase):
        module.hidden_size = module.weight_hh_l0.shape[1]
        module.input_size = module.weight_ih_l0.shape[1]


class Nothing(nn.Module):
    """Zeros in place of a layer, of a size that no input decides: what a dead block leaves behind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros([*(int(d) for d in x.shape[:-1]), self.width])


def replace(path: str, module: Callable[[nn.Module], nn.Module]) -> Callable[[nn.Module], None]:
    """Puts another module in the place of one."""

    def fix(model: nn.Module) -> None:
        parent, _, name = path.rpartition(".")
        model.get_submodule(parent).register_module(name, module(model.get_submodule(path)))

    return fix


def outputs(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for v in value if v is not None for t in outputs(v)] if isinstance(value, list | tuple) else []


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' warnings and prints."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(disabled)


def export(model: nn.Module, entry: Entry) -> ModelProto:
    settings: dict[str, Any] = {"input_names": list(entry.inputs)}
    if entry.exporter == "dynamo":
        settings |= {"dynamo": True, "external_data": False, "verbose": False, **entry.options}
        if entry.dynamic:
            open_axes = {name: dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for name, axes in entry.dynamic.items()}
            settings["dynamic_shapes"] = tuple(open_axes.get(name, {}) for name in entry.inputs)
    else:
        settings |= {"dynamo": False, "opset_version": entry.opset, "dynamic_axes": dict(entry.dynamic)}
    with tempfile.TemporaryDirectory() as folder, quiet(), torch.no_grad():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(model, tuple(entry.inputs.values()), str(path), **settings)
        return onnx.load(path)


def make(entry: Entry, change: Callable[[ModelProto], ModelProto] = lambda proto: proto) -> Model:
    """Exports the model and its structures, checks them in PyTorch, and gives what is to be written."""
    torch.manual_seed(0)
    model = entry.build().eval()
    randomise(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    dense = change(export(model, entry))
    inputs = {name: Input(t.numpy(), entry.fills.get(name, "normal")) for name, t in entry.inputs.items()}
    made = Model(entry.name, entry.source, dense, inputs, macs=entry.macs or count_macs(dense, inputs))
    # Axes and exporters do not change what is multiplied.
    fixed = dataclasses.replace(entry, dynamic={}, exporter="torchscript")
    numbered = change(export(with_numbers(model), entry))
    structures = entry.structures(model)
    for structure in structures:
        masks = traced(numbered, dense, model, structure.cuts)
        if masks is None:
            masks = masks_between(dense, change(export(masked_by(model, structure.cuts, TINY), entry)))
        if structure.saves is None:
            small = without(model, structure)
            if structure.same:
                expect_same(entry, structure, masked_by(model, structure.cuts, 0), small)
            macs = count_macs(change(export(small, fixed)), inputs)
        else:
            macs = made.macs - structure.saves
        made.cells[structure.name] = Cell(masks, macs)
    return made


# Numbers of elements start here, so that no constant of an exporter is taken for one.
FIRST = 2**20


def with_numbers(model: nn.Module) -> nn.Module:
    """A copy in which every element of a parameter is its number."""
    numbered = copy.deepcopy(model)
    at = FIRST
    with torch.no_grad():
        for parameter in numbered.parameters():
            parameter.copy_(torch.arange(at, at + parameter.numel()).reshape(parameter.shape))
            at += parameter.numel()
    if at >= 2**24:
        raise ValueError("too many parameters to number them")
    return numbered


def traced(numbered: ModelProto, dense: ModelProto, model: nn.Module, cuts: Sequence[Cut]) -> Masks | None:
    """The masks where the exporter moved elements about and did nothing else to those that are cut; else nothing."""
    marked = masked_by(with_numbers(model), cuts, 0)
    whole = torch.cat([p.flatten() for p in with_numbers(model).parameters()]).numpy()
    gone = whole[torch.cat([p.flatten() for p in marked.parameters()]).numpy() == 0]
    seen: list[Any] = []
    found: Masks = {}
    names = constants(dense).keys()
    for name, values in constants(numbered).items():
        if values.dtype != numpy.float32 or values.ndim == 0:
            continue
        hidden = numpy.isin(values, gone)
        if hidden.any():
            if name not in names:
                return None
            found[name] = boxes(hidden)
            seen.append(values[hidden])
    if len(gone) > 0 and len(numpy.unique(numpy.concatenate(seen)) if seen else seen) < len(gone):
        return None
    return found


def expect_same(entry: Entry, structure: Structure, masked: nn.Module, small: nn.Module) -> None:
    with torch.no_grad():
        pairs = zip(*(outputs(m(*entry.inputs.values())) for m in (masked, small)), strict=True)
    worst = max(float((a - b).abs().max() / a.abs().max().clamp_min(1e-6)) for a, b in pairs if a.is_floating_point())
    if not worst < 1e-3:
        raise ValueError(f"{entry.name}, {structure.name}: masked and cut out differ by {worst:.1e}")


def write_all(entries: Iterable[Entry], only: Sequence[str]) -> None:
    for entry in entries:
        if only and entry.name not in only:
            continue
        try:
            write(make(entry))
        except Exception as error:
            print(f"{entry.name}: {type(error).__name__}: {str(error)[-600:]}", file=sys.stderr, flush=True)

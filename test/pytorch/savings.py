"""The files that people have their masks in."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from masks import Masks

Saving = Callable[[nn.Module, Masks, Path], Path]


def state_dict_names(_: nn.Module, masks: Masks, folder: Path) -> Path:
    """Named like the state dict, as safetensors."""
    return safetensors({name: mask.bool() for name, mask in masks.items()}, folder / "masks.safetensors")


def npz(_: nn.Module, masks: Masks, folder: Path) -> Path:
    """Named like the state dict, as npz."""
    path = folder / "masks.npz"
    numpy.savez(path, **{name: mask.numpy().astype(numpy.uint8) for name, mask in masks.items()})
    return path


def pruned(model: nn.Module, masks: Masks, folder: Path) -> Path:
    """The state dict of a model that torch.nn.utils.prune works on: NAME_orig and NAME_mask beside everything else."""
    model = copy.deepcopy(model)
    modules = dict(model.named_modules(remove_duplicate=False))
    hooked: set[tuple[int, str]] = set()
    for name, mask in masks.items():
        module_name, _, parameter = name.rpartition(".")
        module = modules[module_name]
        if (id(module), parameter) not in hooked:
            prune.custom_from_mask(module, parameter, mask.clone())
            hooked.add((id(module), parameter))
    return torch_file(model.state_dict(), folder / "pruned.pt")


def data_parallel(_: nn.Module, masks: Masks, folder: Path) -> Path:
    """Masks that were made inside DistributedDataParallel."""
    return torch_file({f"module.{name}": mask.to(torch.uint8) for name, mask in masks.items()}, folder / "ddp.pt")


def compiled(_: nn.Module, masks: Masks, folder: Path) -> Path:
    """Masks that were made on what torch.compile returns."""
    return safetensors({f"_orig_mod.{name}": mask for name, mask in masks.items()}, folder / "compiled.safetensors")


def checkpoint(model: nn.Module, masks: Masks, folder: Path) -> Path:
    """A training checkpoint with the dense weights and, beside them, the masks."""
    contents = {
        "epoch": 3,
        "state_dict": model.state_dict(),
        "masks": {name: mask.bool() for name, mask in masks.items()},
        "best": 0.5,
    }
    return torch_file(contents, folder / "checkpoint.pt")


SAVINGS: dict[str, Saving] = {
    "state-dict": state_dict_names,
    "prune": pruned,
    "ddp": data_parallel,
    "compile": compiled,
    "checkpoint": checkpoint,
    "npz": npz,
}


def safetensors(masks: Masks, path: Path) -> Path:
    save_file({name: mask.clone().contiguous() for name, mask in masks.items()}, path)
    return path


def torch_file(contents: object, path: Path) -> Path:
    torch.save(contents, path)
    return path

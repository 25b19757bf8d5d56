"""Both of PyTorch's ONNX exporters, with static or open axes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import Entry

EXPORTERS = ("torchscript", "dynamo")


def export(model: nn.Module, entry: Entry, path: Path, exporter: str, dynamic: bool = False, **options: Any) -> None:
    """Writes the model as ONNX. With ``dynamic``, the batch and a text's length are open."""
    inputs = entry.inputs(2)
    axes = {0: "batch", 1: "length"} if entry.text else {0: "batch"}
    settings: dict[str, Any] = {"input_names": list(inputs), "output_names": ["output"]}
    if exporter == "dynamo":
        settings |= {"dynamo": True, "external_data": False, "verbose": False}
        if dynamic:
            settings["dynamic_shapes"] = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes} for _ in inputs)
    else:
        settings |= {"dynamo": False, "opset_version": 17}
        if dynamic:
            settings["dynamic_axes"] = {name: opened(name, axes) for name in inputs} | {"output": {0: "batch"}}
    with quiet():
        torch.onnx.export(model, tuple(inputs.values()), str(path), **{**settings, **options})


def opened(name: str, axes: dict[int, str]) -> dict[int, str]:
    """Names of the open axes of an input; a decoder has a length of its own."""
    return {axis: f"decoder_{open}" if axis and name.startswith("decoder") else open for axis, open in axes.items()}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' warnings and prints."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)

"""Safetensors files with what PyTorch has on board: an 8-byte length, a header in JSON, the bytes of the tensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ._errors import MaskError

_DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes tensors of any device and layout; a file that is there is replaced as a whole."""
    header: dict[str, object] = {}
    parts: list[Tensor] = []
    at = 0
    # The widest elements first, so that every tensor is aligned to its own.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        whole = tensor.detach().to("cpu").contiguous()
        end = at + whole.numel() * whole.element_size()
        header[name] = {"dtype": _CODES[whole.dtype], "shape": list(whole.shape), "data_offsets": [at, end]}
        parts.append(whole)
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for part in parts:
            if part.numel() > 0:
                file.write(_bytes(part))
    os.replace(fresh, path)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises MaskError where it is no safetensors file."""
    data = bytearray(path.read_bytes())
    out: dict[str, Tensor] = {}
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(bytes(data[8:start])).items():
            if name == "__metadata__":
                continue
            dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
            begin, end = entry["data_offsets"]
            if end == begin:
                out[name] = torch.empty(shape, dtype=dtype)
                continue
            flat = torch.frombuffer(data, dtype=torch.uint8, offset=start + begin, count=end - begin)
            # The copy is aligned, as not every file is.
            out[name] = flat.clone().view(dtype).reshape(shape)
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise MaskError(f"{path} is no safetensors file with tensors that PyTorch has a type for: {error}") from error
    return out

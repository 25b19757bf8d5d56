"""Writes foreign.safetensors, and the masks that it stands for, with compressed-tensors 0.9.4 and PyTorch.

python3 make.py, beside which `tqdm` and `transformers` need not be installed.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock

import torch
from safetensors.torch import save_file


class Absent(MetaPathFinder, Loader):
    """Stands in for packages that compressed-tensors imports for what is not needed here."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in ("tqdm", "transformers") else None

    def create_module(self, spec):
        return MagicMock(__path__=[], __spec__=spec)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Absent())
from compressed_tensors.compressors.sparse_compressors.sparse_24_bitmask import (  # noqa: E402
    Sparse24BitMaskTensor,
)
from compressed_tensors.compressors.sparse_compressors.sparse_bitmask import (  # noqa: E402
    BitmaskTensor,
)

here = Path(__file__).parent
generator = torch.Generator().manual_seed(7)


def weight(*shape, density):
    values = torch.randn(*shape, generator=generator)
    return values * (torch.rand(*shape, generator=generator) < density)


packed, masks = {}, {}

unstructured = weight(5, 13, density=0.4)
packed |= BitmaskTensor.from_dense(unstructured).dict("layers.0.q_proj.weight")
masks["layers.0.q_proj.weight"] = unstructured != 0

dense = torch.randn(3, 12, generator=generator)
pattern = Sparse24BitMaskTensor.from_dense(dense, "2:4")
packed |= pattern.dict("layers.0.k_proj.weight")
masks["layers.0.k_proj.weight"] = pattern.decompress() != 0

blocks = weight(3, 2, density=0.5).repeat_interleave(2, 0).repeat_interleave(4, 1)
for name, (size, sparse) in {
    "layers.1.blocks": ((2, 4), blocks.to_sparse_bsr((2, 4))),
    "layers.1.rows": (None, unstructured.to_sparse_csr()),
}.items():
    packed[f"{name}.crow_indices"] = sparse.crow_indices()
    packed[f"{name}.col_indices"] = sparse.col_indices()
    packed[f"{name}.values"] = sparse.values().contiguous()
    packed[f"{name}.shape"] = torch.tensor(sparse.shape)
    if size is not None:
        packed[f"{name}.blocksize"] = torch.tensor(size)
masks["layers.1.blocks.weight"] = blocks != 0
masks["layers.1.rows.weight"] = unstructured != 0

save_file({name: tensor.contiguous() for name, tensor in packed.items()}, here / "foreign.safetensors")
save_file({name: mask.contiguous() for name, mask in masks.items()}, here / "expected.safetensors")

"""Models that ONNX Runtime's optimizer for transformers has fused already: operators of `com.microsoft`.

Fusion depends on nothing but the graph, so that masks are found as ever, by the numbers in fused weights. What is left by hand
is what the same structure leaves of the model that was optimised.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from onnx_files import write
from quantised_models import SOURCE
from torch_models import Entry, make
from transformers_models import BertClassifier, bert_structures, gpt2, gpt2_structures, ids


def optimised(kind: str) -> Callable[[ModelProto], ModelProto]:
    def change(proto: ModelProto) -> ModelProto:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            onnx.save(proto, path)
            options = FusionOptions(kind)
            model = optimizer.optimize_model(
                str(path), kind, num_heads=4, hidden_size=48, optimization_options=options, opt_level=0
            )
            return model.model

    return change


def text(name: str, build: Any, structures: Any) -> Entry:
    return Entry(
        name,
        f"transformers, optimised by {SOURCE}",
        build,
        {"input_ids": ids(2, 10), "attention_mask": torch.ones(2, 10, dtype=torch.int64)},
        lambda m: structures(m, 2, 10),
        fills={"input_ids": 96, "attention_mask": "ones"},
        opset=14,
    )


ENTRIES = [
    ("bert", text("bert-optimised", BertClassifier, bert_structures)),
    ("gpt2", text("gpt2-optimised", gpt2, gpt2_structures)),
]

if __name__ == "__main__":
    for kind, entry in ENTRIES:
        if len(sys.argv) < 2 or entry.name in sys.argv[1:]:
            write(make(entry, optimised(kind)))

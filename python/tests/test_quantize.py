"""Packages become packages in 8-bit integers, and what that costs is told."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from models import Cnn, images
from torch import Tensor
from torch.nn.utils import prune

import chasec

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def compiled(folder: Path, width: int = 32) -> tuple[torch.nn.Module, chasec.CompileResult]:
    model = Cnn(width).eval()
    prune.ln_structured(model.conv1, "weight", amount=0.5, n=1, dim=0)
    with torch.no_grad():
        # All classes are met.
        model.fc.bias -= model(torch.randn(256, 2, 6, 6)).mean(0)
    return model, chasec.compile(model, images(), dynamic_batch=True, output=folder / "pruned")


def computed_in_floats(model: Path, optimised: Path) -> set[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(str(optimised)).graph.node} & {"Conv", "Add", "Gemm", "MatMul"}


def test_a_pruned_package_becomes_a_smaller_one_that_computes_nearly_the_same(tmp_path: Path) -> None:
    model, package = compiled(tmp_path)
    batches = [torch.randn(16, 2, 6, 6) for _ in range(8)]
    result = chasec.quantize(package, batches, output=tmp_path / "int8")
    assert result.bytes_before == package.model.stat().st_size
    assert result.bytes_after == result.model.stat().st_size
    weights = onnx.load(str(result.model)).graph.initializer
    kept = {tuple(one.dims) for one in weights if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 4}
    assert (32, 32, 3, 3) in kept and (32, 64, 3, 3) not in kept
    # ONNX Runtime computes all of it in integers, what two layers read included.
    assert computed_in_floats(result.model, tmp_path / "optimised.onnx") == set()
    # Per channel: as many scales as filters.
    assert any(tuple(one.dims) == (32,) and one.data_type == onnx.TensorProto.FLOAT for one in weights)
    assert 0 < result.error < 0.1
    assert result.accuracy_before is None
    (found,) = result.run(batches[0])
    wanted: Tensor = model(batches[0]).detach()
    assert float((found - wanted).norm() / wanted.norm()) < 0.1
    manifest = json.loads((result.package / "chasec.json").read_text())
    assert manifest["note"].startswith("In 8-bit integers: ") and manifest["verification"]["equal"]
    assert "8-bit integers" in (result.package / "report.html").read_text()
    assert str(result).startswith(f"{result.package}: {result.bytes_before:,} -> {result.bytes_after:,} bytes")


def test_accuracy_is_measured_on_data_with_labels_and_may_fall_so_far(tmp_path: Path) -> None:
    model, package = compiled(tmp_path)
    batches = [torch.randn(16, 2, 6, 6) for _ in range(4)]
    data = [(batch, model(batch).argmax(1)) for batch in batches]
    result = chasec.quantize(package.package, batches, output=tmp_path / "int8", data=data)
    assert result.accuracy_before == 1.0
    assert result.accuracy_after == result.agreement
    assert "accuracy 100.00% -> " in str(result)
    # In ranges of a thousandth of the size everything is saturated.
    tiny = [0.001 * batch for batch in batches]
    with pytest.raises(chasec.QuantizationError, match="accuracy falls by .* nothing was published"):
        chasec.quantize(package, tiny, output=tmp_path / "none", data=data, max_drop=0.02)
    with pytest.raises(chasec.QuantizationError, match="agreement falls by"):
        chasec.quantize(package, batches, output=tmp_path / "none", max_drop=-1)
    assert not (tmp_path / "none").exists()


def test_nodes_stay_in_float32_by_name(tmp_path: Path) -> None:
    _, package = compiled(tmp_path)
    batches = [torch.randn(4, 2, 6, 6)]
    names = [node.name for node in onnx.load(str(package.model)).graph.node if node.op_type == "Conv"]
    result = chasec.quantize(package, batches, output=tmp_path / "int8", keep=names[:1])
    floats = [one for one in onnx.load(str(result.model)).graph.initializer if len(one.dims) == 4 and one.data_type == 1]
    assert len(floats) == 1
    with pytest.raises(chasec.QuantizationError, match="no node of the model is called nothing"):
        chasec.quantize(package, batches, output=tmp_path / "none", keep=["nothing"])


def test_what_is_no_package_or_no_data_is_refused(tmp_path: Path) -> None:
    _, package = compiled(tmp_path)
    with pytest.raises(chasec.CommandError, match="a package or an ONNX file"):
        chasec.quantize(tmp_path / "missing", [torch.zeros(1, 2, 6, 6)], output=tmp_path / "none")
    with pytest.raises(chasec.QuantizationError, match="calibration has no batch"):
        chasec.quantize(package, [], output=tmp_path / "none")

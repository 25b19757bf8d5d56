"""Writes `schemas.json`: the operators that the installed onnx and onnxruntime know. `python schemas.py > schemas.json`."""

import json

import onnx
import onnx.defs
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

standard: dict[str, set[str]] = {}
for schema in onnx.defs.get_all_schemas_with_history():
    standard.setdefault(schema.domain or "ai.onnx", set()).add(schema.name)
microsoft = {schema.name for schema in runtime.get_all_operator_schema() if schema.domain == "com.microsoft"}
domains = {name: sorted(names) for name, names in sorted({**standard, "com.microsoft": microsoft}.items())}
versions = {"onnx": onnx.__version__, "opset": onnx.defs.onnx_opset_version(), "onnxruntime": onnxruntime.__version__}
print(json.dumps({**versions, "domains": domains}, indent=1))

"""One simplification by a tool in Python: python simplify.py TOOL MODEL OUT. Its usage goes into the file of BENCH_USAGE."""

import json
import os
import resource
import sys

tool, model, out = sys.argv[1:]

import onnx

if tool == "onnxslim":
    import onnxslim

    onnx.save(onnxslim.slim(model), out)
elif tool == "onnxscript":
    import onnxscript.optimizer

    onnx.save(onnxscript.optimizer.optimize(onnx.load(model)), out)
elif tool == "onnxoptimizer":
    import onnxoptimizer

    onnx.save(onnxoptimizer.optimize(onnx.load(model)), out)
else:
    raise SystemExit(f"no such tool: {tool}")

usage = resource.getrusage(resource.RUSAGE_SELF)
with open(os.environ["BENCH_USAGE"], "w") as file:
    json.dump({"cpuMilliseconds": 1000 * (usage.ru_utime + usage.ru_stime), "peakBytes": 1024 * usage.ru_maxrss}, file)

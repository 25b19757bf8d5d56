"""A compiled package behind Ray Serve: an HTTP endpoint that puts requests together into batches.

    pip install "ray[serve]" onnxruntime
    chasec compile model.onnx --masks masks.safetensors -o out
    serve run --app-dir examples ray_serve:app package=out

    curl localhost:8000 -d '{"inputs": {"x": [[0.1, 0.2]]}}'

Every input is a list without the batch axis; so is every output of the answer, `{"outputs": {"y": [...]}}`.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

_numpy = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


@serve.deployment
class Package:
    """A package of chasec; the model needs a first axis of any size for batches of more than one."""

    def __init__(self, package: str) -> None:
        self.session = onnxruntime.InferenceSession(str(Path(package) / "model.onnx"), providers=["CPUExecutionProvider"])
        self.types = {one.name: _numpy[one.type] for one in self.session.get_inputs()}
        self.outputs = [one.name for one in self.session.get_outputs()]

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def infer(self, requests: list[dict[str, np.ndarray]]) -> list[dict[str, list]]:
        feeds = {name: np.stack([one[name] for one in requests]) for name in self.types}
        results = self.session.run(self.outputs, feeds)
        return [{name: y[i].tolist() for name, y in zip(self.outputs, results)} for i in range(len(requests))]

    async def __call__(self, request: Request) -> JSONResponse:
        given = (await request.json()).get("inputs", {})
        missing = [name for name in self.types if name not in given]
        if missing:
            return JSONResponse({"error": f"inputs {', '.join(missing)} are missing"}, status_code=400)
        feeds = {name: np.asarray(given[name], dtype) for name, dtype in self.types.items()}
        return JSONResponse({"outputs": await self.infer(feeds)})


def app(args: dict[str, str]) -> serve.Application:
    """For `serve run`: `package` is the folder that `chasec compile` wrote."""
    return Package.bind(args["package"])

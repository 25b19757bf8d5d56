"""Records slicegpt.json: small networks and what is left of them when their stream is sliced, by the formulas of SliceGPT
(arXiv 2401.15024), in numpy and with matrices that are really smaller. Run: python3 test/passes/oracles/slicegpt.py"""
import json
from pathlib import Path

import numpy as np

SAMPLES, TOKENS, FEATURES, WIDTH, HIDDEN, OUTPUTS, KEPT = 7, 6, 5, 8, 12, 4, 5
EPSILON = 1e-3


def drawn(rng, centres):
    def normal(*shape):
        return rng.normal(0, 0.6, shape).astype(np.float32)

    blocks = [
        {
            "scale": 1 + 0.3 * normal(WIDTH),
            "bias": normal(WIDTH) if centres else np.zeros(WIDTH, np.float32),
            "up": normal(WIDTH, HIDDEN),
            "upBias": normal(HIDDEN),
            "down": normal(HIDDEN, WIDTH),
            "downBias": normal(WIDTH),
        }
        for _ in range(2)
    ]
    end = {
        "scale": 1 + 0.3 * normal(WIDTH),
        "bias": normal(WIDTH) if centres else np.zeros(WIDTH, np.float32),
        "head": normal(WIDTH, OUTPUTS),
    }
    return {"embedding": normal(FEATURES, WIDTH), "positions": normal(TOKENS, WIDTH), "blocks": blocks, **end}


def dense(net, x, centres):
    """The outputs, and what each normalisation reads."""
    stream = x @ net["embedding"] + net["positions"]
    seen = []

    def norm(part):
        seen.append(stream)
        centred = stream - stream.mean(-1, keepdims=True) if centres else stream
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * part["scale"] + part["bias"]

    for block in net["blocks"]:
        stream = stream + np.maximum(norm(block) @ block["up"] + block["upBias"], 0) @ block["down"] + block["downBias"]
    return norm(net) @ net["head"], seen


def sliced(net, x, centres, calibration, kept):
    centring = np.eye(WIDTH) - 1 / WIDTH if centres else np.eye(WIDTH)
    bases = []
    for signal in dense(net, calibration, centres)[1]:
        rows = (signal @ centring).reshape(-1, WIDTH)
        _, vectors = np.linalg.eigh(rows.T @ rows)
        bases.append(vectors[:, ::-1][:, :kept])
    into = [centring @ basis for basis in bases]

    def norm(stream):
        # The divisor stays the width of the dense network.
        return stream / np.sqrt((stream**2).sum(-1, keepdims=True) / WIDTH + EPSILON)

    stream = x @ (net["embedding"] @ into[0]) + net["positions"] @ into[0]
    for at, block in enumerate(net["blocks"]):
        up = bases[at].T @ np.diag(block["scale"]) @ block["up"]
        hidden = np.maximum(norm(stream) @ up + block["bias"] @ block["up"] + block["upBias"], 0)
        shortcut = bases[at].T @ into[at + 1]
        stream = stream @ shortcut + hidden @ (block["down"] @ into[at + 1]) + block["downBias"] @ into[at + 1]
    return norm(stream) @ (bases[-1].T @ np.diag(net["scale"]) @ net["head"]) + net["bias"] @ net["head"]


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return [float(f"{x:.9g}") for x in np.ravel(value)]


def main():
    rng = np.random.default_rng(5)
    cases = []
    for centres in (False, True):
        net = drawn(rng, centres)
        inputs = rng.normal(0, 1, (SAMPLES, TOKENS, FEATURES)).astype(np.float32)
        calibration, test = inputs[:-2], inputs[-2:]
        doubles = {k: v if isinstance(v, list) else v.astype(np.float64) for k, v in net.items()}
        doubles["blocks"] = [{k: v.astype(np.float64) for k, v in block.items()} for block in net["blocks"]]
        whole = dense(doubles, test.astype(np.float64), centres)[0]
        parts = {
            str(kept): plain(sliced(doubles, test.astype(np.float64), centres, calibration.astype(np.float64), kept))
            for kept in (WIDTH, KEPT)
        }
        assert np.allclose(parts[str(WIDTH)], np.ravel(whole), atol=1e-9)
        cases.append({"centres": centres, "net": plain(net), "inputs": plain(inputs), "dense": plain(whole), "sliced": parts})
    sizes = {"samples": SAMPLES, "tokens": TOKENS, "features": FEATURES, "width": WIDTH, "hidden": HIDDEN, "outputs": OUTPUTS}
    record = {"made by": "slicegpt.py", **sizes, "epsilon": EPSILON, "cases": cases}
    Path(__file__).with_name("slicegpt.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()

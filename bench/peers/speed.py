"""Networks with half of their multiply-accumulates gone, as Torch-Pruning takes them out, for `npm run bench -- peer-speed`.

    python speed.py FOLDER [NAME ...]

For each network, with random seeded weights: Torch-Pruning ranks channels by random importance over the whole network and
prunes as many as leave half of the multiply-accumulates. `NAME-masked.onnx` is the network of full size in which these
channels are zero, weights, biases and shifts; `NAME-torch-pruning.onnx` what Torch-Pruning makes of it, so that the same
channels are kept; `-onnxsim` and `-onnxslim` what these make of the masked one and of the pruned one. `NAME.json` has versions.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxsim
import onnxslim
import torch
import torch_pruning as tp
import torchvision
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test/models/zoo/export"))
from torch_models import Entry, export, quiet, randomise  # noqa: E402

torch.backends.mha.set_fastpath_enabled(False)
LEFT = 0.5
CLOSE = 0.005


@dataclass(frozen=True)
class Network:
    build: Callable[[], nn.Module]
    # The layers that lose channels; all but the last where there are none.
    roots: Callable[[nn.Module], Sequence[nn.Module]] | None = None


def neurons(model: nn.Module) -> list[nn.Module]:
    """Those of a ViT's MLPs: what a LayerNorm reads does not go without changing what it computes."""
    return [m for name, m in model.named_modules() if name.endswith("mlp.0")]


models = torchvision.models
NETWORKS = {
    "resnet18": Network(models.resnet18),
    "resnet50": Network(models.resnet50),
    "vgg19-bn": Network(models.vgg19_bn),
    "mobilenet-v2": Network(models.mobilenet_v2),
    "mobilenet-v3": Network(models.mobilenet_v3_large),
    "densenet121": Network(models.densenet121),
    "efficientnet-b0": Network(models.efficientnet_b0),
    "vit-b-16": Network(models.vit_b_16, neurons),
}


class Drawn(tp.importance.Importance):
    """A number for each channel, the same for each search."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)

    def __call__(self, group: tp.Group) -> torch.Tensor:
        return torch.rand(len(group[0].idxs), generator=self.generator)


def pruned(model: nn.Module, x: torch.Tensor, network: Network, share: float) -> tuple[nn.Module, nn.Module]:
    """Without that share of the channels, and of full size with these channels zero."""
    small, masked = copy.deepcopy(model), copy.deepcopy(model)
    last = [m for m in small.modules() if isinstance(m, nn.Linear)][-1]
    roots = network.roots and set(map(id, network.roots(small)))
    layers = [m for m in small.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    ignored = [m for m in layers if m is last or (roots is not None and id(m) not in roots)]
    names = {id(m): name for name, m in small.named_modules()}
    pruner = tp.pruner.BasePruner(
        small, x, importance=Drawn(), pruning_ratio=share, global_pruning=True, max_pruning_ratio=0.9, ignored_layers=ignored
    )
    with torch.no_grad():
        for group in pruner.step(interactive=True):
            for dependency, indices in group:
                module = masked.get_submodule(names.get(id(dependency.target.module), ""))
                makes = dependency.handler in (tp.prune_conv_out_channels, tp.prune_linear_out_channels)
                if makes or dependency.handler in (tp.prune_batchnorm_out_channels, tp.prune_depthwise_conv_out_channels):
                    module.weight[indices] = 0
                    if module.bias is not None:
                        module.bias[indices] = 0
            group.prune()
    return small.eval(), masked.eval()


def halved(model: nn.Module, x: torch.Tensor, network: Network) -> tuple[nn.Module, nn.Module]:
    """The least share of the channels that leaves no more than half of the multiply-accumulates."""
    whole, _ = tp.utils.count_ops_and_params(model, x)
    low, high = 0.0, 0.95
    found = pruned(model, x, network, high)
    for _ in range(12):
        share = (low + high) / 2
        tried = pruned(model, x, network, share)
        left = tp.utils.count_ops_and_params(tried[0], x)[0] / whole
        if left > LEFT:
            low = share
            continue
        high, found = share, tried
        if left > LEFT - CLOSE:
            break
    return found


def make(name: str, folder: Path) -> None:
    network = NETWORKS[name]
    torch.manual_seed(0)
    model = network.build().eval()
    randomise(model)
    x = torch.randn(1, 3, 224, 224)
    small, masked = halved(model, x, network)
    entry = Entry(name, "", network.build, {"x": x}, lambda _: [], dynamic={"x": {0: "N"}})
    for kind, one in (("masked", masked), ("torch-pruning", small)):
        proto = export(one, entry)
        onnx.save(proto, folder / f"{name}-{kind}.onnx")
        with quiet():
            onnx.save(onnxsim.simplify(proto)[0], folder / f"{name}-{kind}-onnxsim.onnx")
            onnx.save(onnxslim.slim(proto), folder / f"{name}-{kind}-onnxslim.onnx")
    with torch.no_grad():
        difference = float((small(x) - masked(x)).abs().max() / masked(x).abs().max())
    tools = ("torch", "torchvision", "torch-pruning", "onnxsim", "onnxslim")
    told = {"versions": {tool: version(tool) for tool in tools}, "difference": difference}
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
    print(f"{name}: {difference:.1e} between the masked and the pruned network", flush=True)


if __name__ == "__main__":
    where, *names = sys.argv[1:]
    Path(where).mkdir(parents=True, exist_ok=True)
    for one in names or NETWORKS:
        make(one, Path(where))

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
from collections.abc import Callable, Iterator, Sequence
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


def groups_of(model: nn.Module, x: torch.Tensor, network: Network, share: float) -> Iterator[tp.Group]:
    """What goes with that share of the channels, in the numbering of the model as it is when a group is asked for."""
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    last = [m for m in layers if isinstance(m, nn.Linear)][-1]
    roots = network.roots and set(map(id, network.roots(model)))
    ignored = [m for m in layers if m is last or (roots is not None and id(m) not in roots)]
    pruner = tp.pruner.BasePruner(
        model, x, importance=Drawn(), pruning_ratio=share, global_pruning=True, max_pruning_ratio=0.9, ignored_layers=ignored
    )
    yield from pruner.step(interactive=True)


MAKERS = (
    tp.prune_conv_out_channels,
    tp.prune_depthwise_conv_out_channels,
    tp.prune_linear_out_channels,
    tp.prune_batchnorm_out_channels,
)


def pruned(model: nn.Module, x: torch.Tensor, network: Network, share: float) -> nn.Module:
    small = copy.deepcopy(model)
    for group in groups_of(small, x, network, share):
        group.prune()
    return small.eval()


def masked(model: nn.Module, x: torch.Tensor, network: Network, share: float) -> nn.Module:
    """Of full size, with the channels zero that `pruned` takes out."""
    full = copy.deepcopy(model)
    for group in groups_of(full, x, network, share):
        for dependency, indices in group:
            if dependency.handler not in MAKERS:
                continue
            module = dependency.target.module
            module.weight.data[indices] = 0
            if module.bias is not None:
                module.bias.data[indices] = 0
    return full.eval()


def halving(model: nn.Module, x: torch.Tensor, network: Network) -> float:
    """The least share of the channels that leaves no more than half of the multiply-accumulates."""
    whole, _ = tp.utils.count_ops_and_params(model, x)
    low, high = 0.0, 0.95
    for _ in range(12):
        share = (low + high) / 2
        left = tp.utils.count_ops_and_params(pruned(model, x, network, share), x)[0] / whole
        if left > LEFT:
            low = share
        else:
            high = share
            if left > LEFT - CLOSE:
                break
    return high


def make(name: str, folder: Path) -> None:
    network = NETWORKS[name]
    torch.manual_seed(0)
    model = network.build().eval()
    randomise(model)
    x = torch.randn(1, 3, 224, 224)
    share = halving(model, x, network)
    small, full = pruned(model, x, network, share), masked(model, x, network, share)
    entry = Entry(name, "", network.build, {"x": x}, lambda _: [], dynamic={"x": {0: "N"}})
    for kind, one in (("masked", full), ("torch-pruning", small)):
        proto = export(one, entry)
        onnx.save(proto, folder / f"{name}-{kind}.onnx")
        with quiet():
            onnx.save(onnxsim.simplify(proto)[0], folder / f"{name}-{kind}-onnxsim.onnx")
            onnx.save(onnxslim.slim(proto), folder / f"{name}-{kind}-onnxslim.onnx")
    with torch.no_grad():
        difference = float((small(x) - full(x)).abs().max() / full(x).abs().max())
    tools = ("torch", "torchvision", "torch-pruning", "onnxsim", "onnxslim")
    told = {"versions": {tool: version(tool) for tool in tools}, "difference": difference}
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
    print(f"{name}: {difference:.1e} between the masked and the pruned network", flush=True)


if __name__ == "__main__":
    where, *names = sys.argv[1:]
    Path(where).mkdir(parents=True, exist_ok=True)
    for one in names or NETWORKS:
        make(one, Path(where))

"""What Torch-Pruning and onnxsim make of the models that `npm run bench -- peers` compiles.

    python peers.py FOLDER [NAME ...]

For each model: random seeded weights, 40 % of its structure masked in two ways. `whole` masks weights, biases and shifts, so
that what is masked is zero everywhere; `weights` masks the weights alone, as `torch.nn.utils.prune` does, so that biases
and shifts leave constants behind. The masked model is exported (`NAME-whole.onnx`) and given to onnxsim; Torch-Pruning gets
the masked PyTorch model and the indices that are masked, and what it makes of it is exported. `NAME.json` says what went wrong.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnxsim
import torch
import torch_pruning
import torchvision
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test/models/zoo/export"))
from attention import Part  # noqa: E402
from recurrent_models import HIDDEN, VOCABULARY, Tagger, unit_cuts  # noqa: E402
from torch_models import Cut, Entry, export, masked_by, quiet, randomise, rows  # noqa: E402

torch.backends.mha.set_fastpath_enabled(False)
SHARE = 0.4


@dataclass(frozen=True)
class Group:
    """Channels that go together: what they are a structure of, the layer that Torch-Pruning is told, the cuts of all layers."""

    kind: str
    root: str
    indices: Sequence[int]
    cuts: Sequence[Cut]


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    input: Tensor
    groups: Callable[[nn.Module], Sequence[Group]]
    fill: str | int = "normal"
    # The share of heads, where there are some: onnxsim prunes them by another function.
    heads: float | None = None


def drawn(width: int, place: str) -> list[int]:
    return sorted(random.Random(place).sample(range(width), round(SHARE * width)))


def filters(model: nn.Module, kind: str, convs: Sequence[str], norms: Sequence[str]) -> Group:
    """The same filters of these convolutions, and their normalisations."""
    gone = drawn(model.get_submodule(convs[0]).out_channels, convs[0])
    return Group(kind, convs[0], gone, [c for name in (*convs, *norms) for c in rows(name, gone)])


def resnet18(model: nn.Module) -> list[Group]:
    found: list[Group] = []
    for stage in (1, 2, 3, 4):
        stem = ["conv1"] if stage == 1 else [f"layer{stage}.0.downsample.0"]
        norm = ["bn1"] if stage == 1 else [f"layer{stage}.0.downsample.1"]
        blocks = [f"layer{stage}.{i}" for i in (0, 1)]
        found += [filters(model, "filters", [f"{b}.conv1"], [f"{b}.bn1"]) for b in blocks]
        found.append(
            filters(model, "residual", [*(f"{b}.conv2" for b in blocks), *stem], [*(f"{b}.bn2" for b in blocks), *norm])
        )
    return found


def mobilenet(model: nn.Module) -> list[Group]:
    blocks = [(f"features.{i}.conv", block.conv) for i, block in enumerate(model.features) if hasattr(block, "conv")]
    return [
        filters(model, "expanded channels", [f"{p}.0.0", f"{p}.1.0"], [f"{p}.0.1", f"{p}.1.1"])
        for p, layers in blocks
        if len(layers) == 4
    ]


def densenet(model: nn.Module) -> list[Group]:
    """Bottlenecks, and what layers add to the channels of a block, with its place in the normalisations that read it."""
    found: list[Group] = []
    first = 64
    for block, count in enumerate((6, 12, 24, 16), 1):
        paths = [f"features.denseblock{block}.denselayer{i}" for i in range(1, count + 1)]
        after = "features.norm5" if block == 4 else f"features.transition{block}.norm"
        for i, path in enumerate(paths):
            found.append(filters(model, "bottlenecks", [f"{path}.conv1"], [f"{path}.norm2"]))
            grown = filters(model, "grown channels", [f"{path}.conv2"], [])
            places = [first + 32 * i + c for c in grown.indices]
            shifts = [c for reader in (*(f"{p}.norm1" for p in paths[i + 1 :]), after) for c in rows(reader, places)]
            found.append(replace(grown, cuts=[*grown.cuts, *shifts]))
        first = (first + 32 * count) // 2
    return found


def shufflenet(model: nn.Module) -> list[Group]:
    units = [name for name, m in model.named_modules() if type(m).__name__ == "InvertedResidual"]
    return [
        filters(model, "filters", [f"{p}.branch2.0", f"{p}.branch2.3"], [f"{p}.branch2.1", f"{p}.branch2.4"]) for p in units
    ]


def vit() -> nn.Module:
    """ViT-S/16 at 64 x 64 pixels."""
    return torchvision.models.VisionTransformer(64, 16, 12, 6, 384, 1536)


def vit_groups(_: nn.Module) -> list[Group]:
    found: list[Group] = []
    for i in range(12):
        path = f"encoder.layers.encoder_layer_{i}"
        neurons = drawn(1536, path)
        found.append(Group("neurons", f"{path}.mlp.0", neurons, rows(f"{path}.mlp.0", neurons)))
        heads = random.Random(path).sample(range(6), 3 if i % 5 in (1, 3) else 2)
        places = sorted(64 * h + j for h in heads for j in range(64))
        parts = [Part(f"{path}.self_attention.in_proj", 384 * j, names=("_weight", "_bias")) for j in range(3)]
        found.append(Group("heads", f"{path}.self_attention", places, [c for p in parts for c in p.makes(places)]))
    return found


def tagger_groups(_: nn.Module) -> list[Group]:
    gone = drawn(HIDDEN, "units")
    return [Group("units", "rnn", gone, unit_cuts("rnn", 0, False, gone, 4))]


def image(size: int) -> Tensor:
    return torch.randn(1, 3, size, size)


CASES = {
    "resnet18": Case(torchvision.models.resnet18, image(224), resnet18),
    "mobilenet-v2": Case(torchvision.models.mobilenet_v2, image(224), mobilenet),
    "densenet121": Case(torchvision.models.densenet121, image(224), densenet),
    "shufflenet-v2": Case(torchvision.models.shufflenet_v2_x1_0, image(224), shufflenet),
    "vit-s-16": Case(vit, image(64), vit_groups, heads=SHARE),
    "lstm-tagger": Case(lambda: Tagger(nn.LSTM, 1, 1), torch.randint(0, VOCABULARY, (2, 9)), tagger_groups, fill=VOCABULARY),
}


def told(error: BaseException) -> str:
    """An error in a line, with the place that it came from where it says nothing."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:200] or f"in {last.name}: {last.line}"
    return f"{type(error).__name__}: {text}"


def prune(model: nn.Module, x: Tensor, groups: Sequence[Group]) -> nn.Module:
    """A copy without the groups, which still runs."""
    pruned = copy.deepcopy(model)
    for parameter in pruned.parameters():
        parameter.requires_grad_(True)
    graph = torch_pruning.DependencyGraph().build_dependency(pruned, x)
    for group in groups:
        root = pruned.get_submodule(group.root)
        found = graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, list(group.indices))
        if not graph.check_pruning_group(found):
            raise ValueError(f"check_pruning_group refuses {group.root}")
        found.prune()
    with torch.no_grad():
        pruned(x)
    return pruned.eval()


def torch_pruning_of(model: nn.Module, x: Tensor, groups: Sequence[Group]) -> tuple[nn.Module | None, dict[str, str]]:
    """Without all groups, or where that fails without the kinds of groups that go by themselves; and what fails."""
    errors: dict[str, str] = {}
    for kind in dict.fromkeys(g.kind for g in groups):
        try:
            prune(model, x, [next(g for g in groups if g.kind == kind)])
        except Exception as error:
            errors[kind] = told(error)
    left = [g for g in groups if g.kind not in errors]
    if not left:
        return None, errors
    try:
        return prune(model, x, left), errors
    except Exception as error:
        return None, errors | {"all": told(error)}


def onnxsim_pruning(proto: onnx.ModelProto, heads: float | None) -> onnx.ModelProto:
    """Its own pruning, which ranks channels by their norm: those that are masked come first."""
    pruned = onnxsim.apply_structured_pruning(proto, SHARE)
    return pruned if heads is None else onnxsim.apply_attention_head_pruning(pruned, heads)


@dataclass
class Result:
    inputs: Mapping[str, Any]
    versions: Mapping[str, str]
    # For each way of masking and each tool, what it could not do.
    errors: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


def make(name: str, folder: Path) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = case.build().eval()
    randomise(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    entry = Entry(name, "", case.build, {"x": case.input}, lambda _: [])
    groups = case.groups(model)
    tools = ("torch", "torchvision", "torch-pruning", "onnxsim", "onnx")
    result = Result({"x": {"shape": list(case.input.shape), "fill": case.fill}}, {t: version(t) for t in tools})
    sizes = {n: p.dim() for n, p in model.named_parameters()}
    for way in ("whole", "weights"):
        cuts = [c for g in groups for c in g.cuts if way == "whole" or sizes.get(c.name, 0) > 1]
        masked = masked_by(model, cuts, 0)
        proto = export(masked, entry)
        onnx.save(proto, folder / f"{name}-{way}.onnx")
        errors: dict[str, dict[str, str]] = {"torch-pruning": {}, "onnxsim": {}, "onnxsim-pruning": {}}
        pruned, errors["torch-pruning"] = torch_pruning_of(masked, case.input, groups)
        if pruned is not None:
            onnx.save(export(pruned, entry), folder / f"{name}-{way}-torch-pruning.onnx")
        simplified = proto
        try:
            with quiet():
                simplified, _ = onnxsim.simplify(proto)
            onnx.save(simplified, folder / f"{name}-{way}-onnxsim.onnx")
        except Exception as error:
            errors["onnxsim"]["simplify"] = told(error)
        try:
            onnx.save(onnxsim_pruning(simplified, case.heads), folder / f"{name}-{way}-onnxsim-pruning.onnx")
        except Exception as error:
            errors["onnxsim-pruning"]["pruning"] = told(error)
        result.errors[way] = errors
        print(f"{name}, {way}: {errors}", flush=True)
    (folder / f"{name}.json").write_text(json.dumps(vars(result), indent=1))


if __name__ == "__main__":
    where, *names = sys.argv[1:]
    Path(where).mkdir(parents=True, exist_ok=True)
    for one in names or CASES:
        make(one, Path(where))

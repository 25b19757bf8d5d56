"""How the released programs of ECoFLaP and LPViT divide a sparsity among made-up layers, for ratios.json.

    python3 test/masks/oracles/ratios.py ECOFLAP LPVIT > test/masks/oracles/ratios.json && npx prettier --write test/masks/oracles/ratios.json

with checkouts of github.com/ylsung/ECoFLaP (59dac0a) and github.com/Akimoto-Cris/LPViT (0759ff4). Their functions run as they are but for
their number type, which is float64 here, and their device, which is the CPU; what they import besides PyTorch and NumPy is replaced by
nothing. What is called `corrected` ran with the replacements below, each of which is said in the file of the method.
"""

import ast
import importlib
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn


def numbers(count, seed):
    """Multiples of 2^-24 between -1/2 and 1/2, from a linear congruential generator that the test has too."""
    out, state = [], seed
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append((state >> 8) / 2**24 - 0.5)
    return out


def weight(rows, columns, seed):
    """A weight with rows of different sizes."""
    scale = torch.tensor([2.0 ** (row % 5 - 2) for row in range(rows)])[:, None]
    return torch.tensor(numbers(rows * columns, seed)).reshape(rows, columns) * scale


class Normals:
    """xoshiro128** by splitmix32 and Marsaglia's polar method, as src/ir/random.ts has them."""

    def __init__(self, seed, stream):
        def splitmix(seed):
            state = seed % 2**32
            while True:
                state = (state + 0x9E3779B9) % 2**32
                x = state
                x = (x ^ (x >> 16)) * 0x21F0AAAD % 2**32
                x = (x ^ (x >> 15)) * 0x735A2D97 % 2**32
                yield x ^ (x >> 15)

        start = next(splitmix(seed))
        for letter in stream:
            start = (start ^ ord(letter)) * 0x01000193 % 2**32
        words = splitmix(start)
        self.state = [next(words) for _ in range(4)]

    def word(self):
        a, b, c, d = self.state
        rotate = lambda x, by: (x << by | x >> (32 - by)) % 2**32
        result = rotate(b * 5 % 2**32, 7) * 9 % 2**32
        t = b << 9 & 0xFFFFFFFF
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= t
        self.state = [a, b, c, rotate(d, 11)]
        return result

    def normal(self):
        while True:
            u, v = (2 * (self.word() / 2**32) - 1 for _ in range(2))
            square = u * u + v * v
            if 0 < square < 1:
                return u * (-2 * np.log(square) / square) ** 0.5


class Net(nn.Module):
    """Two layers on the first 12 numbers of what it is given."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 8, bias=False)
        self.second = nn.Linear(8, 5, bias=False)
        self.first.weight.data = weight(8, 12, 1)
        self.second.weight.data = weight(5, 8, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x.flatten(1)[:, :12])))


def batches():
    return [torch.tensor(numbers(3 * 12, 20 + i)).reshape(3, 12) * 4 for i in range(2)]


# ECoFLaP


def ecoflap(folder, corrected):
    """The class LayerSparsity of a checkout."""
    path = Path(folder) / "LAVIS/lavis/compression/pruners/layer_single_base_pruner.py"
    source = path.read_text().replace("torch.FloatTensor", "torch.DoubleTensor")
    if corrected:
        wrong = "parameters_to_keep_per_group[index] += parameters_can_remove"
        assert source.count(wrong) == 1
        source = source.replace(wrong, wrong.replace("+=", "-="))
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "LayerSparsity"]
    scope = {"torch": torch, "np": np, "nn": nn, "print_time": lambda f: f, "print": lambda *args: None}
    exec(compile(tree, str(path), "exec"), scope)
    return scope["LayerSparsity"]


def shares(folder):
    cases = []
    for at, (sizes, scores, sparsity, most) in enumerate([
        ([100, 100, 100, 100], [1, 2, 3, 4], 0.5, 0.6),
        ([100, 400, 1000, 50], [8, 1, 1, 4], 0.5, 0.625),
        ([64, 64, 64], [1, 1, 6], 0.25, 0.75),
        ([7, 11, 13, 17, 19], [0.3, 0.1, 0.7, 0.2, 0.9], 0.6, 0.875),
        ([1000, 3, 5], [1e-9, 1, 1e9], 0.5, 1.0),
        ([500, 500], [0, 1], 0.5, 0.75),
        ([1 << 20, 1 << 18, 12345], [0.125, 3, 7], 0.75, 0.8125),
        ([32] * 9, [x + 0.75 for x in numbers(9, 5)], 0.5, 0.625),
        ([24, 48, 96, 192], [4, 3, 2, 1], 0.375, 0.5),
    ]):
        names = [str(i) for i in range(len(sizes))]
        kept = int(sum(sizes) * (1 - sparsity))
        def run(corrected):
            one = ecoflap(folder, corrected)(None, None, None, 0, sparsity, most)
            # The default type of the scores is what the loop computes in.
            found = one.compute_the_sparsity_per_group(
                kept, dict(zip(names, map(float, scores))), dict(zip(names, sizes)), max_sparsity_per_layer=most)
            return [round((1 - ratio) * size) for ratio, size in zip(found.values(), sizes)]
        cases.append({"sizes": sizes, "scores": scores, "most": most, "kept": kept,
                      "released": run(False), "corrected": run(True)})
    return cases


def zeroth_order(folder):
    """What their loop finds with the directions that ours takes: each is asked for three times, to go forth, back and home."""
    net = Net()
    streams = {tuple(p.shape): Normals(1, name) for name, p in net.named_parameters()}
    drawn = {}

    def normal(mean, std, size, device, dtype):
        key = tuple(size)
        count, z = drawn.get(key, (0, None))
        if count % 3 == 0:
            z = torch.tensor([streams[key].normal() for _ in range(size.numel())]).reshape(size)
        drawn[key] = (count + 1, z)
        return z

    module = ecoflap(folder, False)
    mapping = {name: name for name, _ in net.named_parameters()}
    one = module(net, batches(), lambda model, x, cuda: ((model(x) ** 2).mean(), len(x)), 6, 0.5, 0.6,
                 score_method="MEZO-GradOnly_sum", noise_eps=1e-3, layer_to_group_mapping=mapping)
    scope = one.compute_importance_scores_mezo.__func__.__globals__
    fake = types.SimpleNamespace(**{name: getattr(torch, name) for name in ["DoubleTensor", "no_grad"]})
    fake.normal, fake.manual_seed = normal, lambda seed: None
    scope["torch"] = fake
    found = one.compute_importance_scores_mezo(mapping)
    return {name: value.item() for name, value in found.items()}


# LPViT


def lpvit(folder, corrected):
    """tools/algo.py, tools/common.py and tools/pruners.py of a checkout."""
    files = {}

    def savemat(path, values):
        files[path] = {name: np.atleast_2d(value) for name, value in values.items()}

    io = types.ModuleType("scipy.io")
    io.savemat, io.loadmat = savemat, lambda path: files[path]
    scipy = types.ModuleType("scipy")
    scipy.io = io
    vit = types.ModuleType("timm.models.vision_transformer")
    for name in ["PatchEmbed", "Block", "Attention", "Mlp"]:
        setattr(vit, name, type(name, (), {}))
    tqdm = types.ModuleType("tqdm")
    tqdm.tqdm = lambda total: types.SimpleNamespace(update=lambda n: None)
    modules = {"scipy": scipy, "scipy.io": io, "tqdm": tqdm, "timm.models.vision_transformer": vit}
    for name in ["timm", "timm.models"]:
        modules[name] = types.ModuleType(name)
    modules["timm"].models = modules["timm.models"]
    modules["timm.models"].vision_transformer = vit
    for name in [name for name in sys.modules if name == "tools" or name.startswith("tools.")]:
        del sys.modules[name]
    sys.modules.update(modules)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "tools").mkdir()
        (Path(place) / "tools/__init__.py").touch()
        for part in ["utils", "algo", "common", "pruners"]:
            source = (Path(folder) / "tools" / f"{part}.py").read_text().replace('device="cuda"', 'device="cpu"')
            if corrected and part == "pruners":
                for wrong, right in [
                    ("(delta_delta_weight + 2 * delta_weight)", "(2 * delta_weight - delta_delta_weight)"),
                    ("ret[nonzero_idx] += damp_lamda", "ret[nonzero_idx] += damp_lamda * flat_delta_w[nonzero_idx][..., None]"),
                    ("num_survived_w_blocks = amount * ", "num_survived_w_blocks = (1 - amount) * "),
                ]:
                    assert source.count(wrong) == 1
                    source = source.replace(wrong, right)
            (Path(place) / "tools" / f"{part}.py").write_text(source)
        sys.path.insert(0, place)
        importlib.invalidate_caches()
        pruners = importlib.import_module("tools.pruners")
        sys.path.remove(place)
        return types.SimpleNamespace(algo=sys.modules["tools.algo"], common=sys.modules["tools.common"], pruners=pruners)


def curves(folder, corrected, block, power):
    tools = lpvit(folder, corrected)
    net = Net()
    with tempfile.TemporaryDirectory() as place:
        args = types.SimpleNamespace(
            model="net", format_blocksize="x", maxdeadzones=100, blocksize=block, prune_mode="blockwise_approx" if block != -1 else "unstructured",
            ranking="taylor", lambda_power=float(power), second_order=True, smooth_curve=True, smooth=0.5, change_curve_scale=False)
        # Inputs of 12 and 8 channels have no power by their count of 16; the test has its own for that.
        found = tools.pruners.gen_rd_curves_block_approx(net, [({"data": x, "label": None},) for x in batches()], args, prefix=place, suffix="x")
    distances, amounts, gradients = found[0], found[-2], found[-1]
    slopes = [tools.algo.derivative_approx(a[0], d[0], h=4) for a, d in zip(amounts, distances)]
    points = {}
    for exponent in [-30, -12, -8, -4, 0, 4]:
        phi = tools.algo.pareto_condition([net.first, net.second], distances, amounts, 2.0**exponent, min_sp=0.05, h=4)
        points[str(exponent)] = [float(p[0]) for p in phi]
    chosen = {}
    for target in [0.25, 0.5, 0.75]:
        min_sp = min(0.05, (1 - target) / 2)
        slope = tools.common.find_slope(
            net, target, distances, amounts, layers=[net.first, net.second], prune_mode=args.prune_mode, blocksize=block, rank="taylor",
            grad=gradients, min_sp=min_sp, h=4)
        phi = tools.algo.pareto_condition([net.first, net.second], distances, amounts, 2**slope, min_sp=min_sp, h=4)
        kept = [int((tools.algo.pruning(layer.weight, p[0], blocksize=block, mode=args.prune_mode, rank="taylor", grad=g) != 0).sum())
                for layer, p, g in zip([net.first, net.second], phi, gradients)]
        chosen[str(target)] = {"slope": float(slope), "amounts": [float(p[0]) for p in phi], "kept": kept}
    masks = {
        str(amount): ["".join("1" if x else "0" for x in (tools.algo.pruning(layer.weight, amount, blocksize=block, mode=args.prune_mode, rank="taylor", grad=g) != 0).flatten())
                      for layer, g in zip([net.first, net.second], gradients)]
        for amount in [0.25, 0.5, 0.875]
    }
    return {"block": None if block == -1 else "x".join(map(str, block)), "curves": [d[0].tolist() for d in distances],
            "slopes": [s.tolist() for s in slopes], "gradients": [g.flatten().tolist() for g in gradients],
            "points": points, "chosen": chosen, "masks": masks}


def powers(folder):
    """β and the slopes of power for curves that are given, by the released search for β."""
    tools = lpvit(folder, True)
    amounts = np.linspace(0, 1, 101)
    distances = [amounts**2, 3 * amounts**4, np.expm1(amounts)]
    layers = [(6, 32), (40, 96), (9, 15)]
    power = [np.array([a * blocks * float(int(channels / 16)) for a in amounts]) for blocks, channels in layers]
    beta = tools.pruners.RDPruner.recalc_lamda_power([[amounts]] * 3, [[d] for d in distances], [[p] for p in power])
    return {"layers": layers, "slopes": [-float(beta * blocks * int(channels / 16)) for blocks, channels in layers]}


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, (list, tuple)) else value


def main(ecoflap_folder, lpvit_folder):
    torch.set_default_dtype(torch.float64)
    torch.Tensor.cuda = lambda self: self
    stdout, sys.stdout = sys.stdout, sys.stderr
    found = {
        "shares": shares(ecoflap_folder),
        "importance": zeroth_order(ecoflap_folder),
        "lpvit": [{"isCorrected": corrected, **curves(lpvit_folder, corrected, block, False)}
                  for corrected, block in [(True, (2, 4)), (True, (3, 5)), (True, -1), (False, (2, 4))]],
        "powers": powers(lpvit_folder),
    }
    sys.stdout = stdout
    print(json.dumps(rounded(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])

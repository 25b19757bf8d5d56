"""Masks that the released programs of Wanda and DSnoT make of made-up layers, for published.json.

    python3 test/masks/oracles/published.py WANDA DSNOT > test/masks/oracles/published.json

with checkouts of github.com/locuslab/wanda (8e8fc87) and github.com/zyxxmu/DSnoT (4c029df). Their functions run as they are; what they
import besides PyTorch is replaced by nothing. Each layer is given one sample, so that their variance is that of all positions.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import torch
from torch import nn


def numbers(count, seed):
    """Multiples of 2^-24 between -1/2 and 1/2, from a linear congruential generator that the test has too."""
    out, state = [], seed
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append((state >> 8) / 2**24 - 0.5)
    return out


class Block(nn.Module):
    """A layer of a transformer as their loops call it, which hands its input on."""

    def __init__(self, rows, columns, seed):
        super().__init__()
        self.part = nn.Module()
        self.part.linear = nn.Linear(columns, rows, bias=False)
        self.part.linear.weight.data = torch.tensor(numbers(rows * columns, seed)).reshape(rows, columns)

    def forward(self, x, attention_mask=None, position_ids=None):
        self.part.linear(x)
        return (x,)


class Model(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.config = types.SimpleNamespace(use_cache=False)
        self.hf_device_map = {}
        self.seqlen = 1
        self.model = nn.Module()
        self.model.layers = nn.ModuleList([block])


def inputs(positions, columns, seed):
    """Channels of different sizes and means."""
    x = torch.tensor(numbers(positions * columns, seed)).reshape(positions, columns)
    size = torch.tensor([2.0 ** (c % 7 - 3) for c in range(columns)])
    mean = torch.tensor([(c % 5 - 2) / 8 for c in range(columns)])
    return (x + mean) * size


def load(folder):
    """lib/prune.py of a checkout, with nothing behind the modules that need models, data or a GPU."""
    for name in [name for name in sys.modules if name == "lib" or name.startswith("lib.")]:
        del sys.modules[name]
    fake = types.ModuleType("transformers")
    fake.Conv1D = type("Conv1D", (), {})
    sys.modules["transformers"] = fake
    package = types.ModuleType("lib")
    package.__path__ = [str(Path(folder) / "lib")]
    sys.modules["lib"] = package
    for name, members in {
        "data": ["get_loaders"],
        "sparsegpt": ["SparseGPT"],
        "ablate": ["AblateGPT"],
        "eval": ["eval_ppl"],
    }.items():
        module = types.ModuleType(f"lib.{name}")
        for member in members:
            setattr(module, member, lambda *args, **more: (None, None))
        sys.modules[f"lib.{name}"] = module
    spec = importlib.util.spec_from_file_location("lib.prune", Path(folder) / "lib" / "prune.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lib.prune"] = module
    spec.loader.exec_module(module)
    return module


def main(wanda_folder, dsnot_folder):
    cases = []
    programs = {name: load(folder) for name, folder in [("wanda", wanda_folder), ("dsnot", dsnot_folder)]}
    for program, score, amount, rows, columns, seed in [
        ("wanda", "wanda", "0.5", 6, 64, 1),
        ("wanda", "wanda", "0.7", 5, 33, 2),
        ("wanda", "wanda", "2:4", 6, 64, 3),
        ("wanda", "wanda", "4:8", 6, 64, 4),
        ("wanda", "magnitude", "2:4", 6, 64, 5),
        ("dsnot", "wanda", "0.5", 4, 512, 6),
        ("dsnot", "wanda", "0.6", 4, 512, 7),
        ("dsnot", "magnitude", "0.5", 4, 512, 8),
        ("dsnot", "wanda", "2:4", 4, 512, 9),
        ("dsnot", "magnitude", "4:8", 4, 512, 10),
    ]:
        positions = 32
        module = programs[program]
        x = inputs(positions, columns, seed + 100)[None]
        mask = (torch.ones(1, 1), torch.ones(1, 1))
        module.get_loaders = lambda *args, **more: (None, None)
        module.prepare_calibration_input = lambda *args, **more: (x.clone(), x.clone(), *mask)
        block = Block(rows, columns, seed)
        pattern = [int(n) for n in amount.split(":")] if ":" in amount else None
        # They name how many of a group go, not how many stay; here it is half either way.
        count = {} if pattern is None else {"prune_n": pattern[1] - pattern[0], "prune_m": pattern[1]}
        args = types.SimpleNamespace(
            nsamples=1, seed=0, use_variant=False, sparsity_ratio=0 if pattern else float(amount),
            initial_method=score, skip_layer="no_skip", skip_sub_layer="no_skip", without_DSnoT=False,
            max_cycle_time=50, update_threshold=0.1, pow_of_var_regrowing=1, pow_of_var_pruning=1,
            without_same_sign=True, get_time_overhead=False,
        )
        function = {"wanda": {"wanda": "prune_wanda", "magnitude": "prune_magnitude"}[score], "dsnot": "prune_DSnoT"}[program]
        device = torch.device("cpu")
        stdout, sys.stdout = sys.stdout, sys.stderr
        getattr(module, function)(args, Model(block), None, device, **count)
        sys.stdout = stdout
        weight = block.part.linear.weight.data
        bits = ["".join("1" if w != 0 else "0" for w in row) for row in weight]
        cases.append({
            "refine": "dsnot" if program == "dsnot" else None, "score": score, "amount": amount, "rows": rows,
            "columns": columns, "positions": positions, "seed": seed, "kept": bits,
        })
    json.dump(cases, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])

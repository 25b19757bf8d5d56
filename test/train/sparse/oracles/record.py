"""Runs what the authors of training methods have released on numbers of ours, and writes down what came of it.

    python3 test/train/sparse/oracles/record.py METHOD [CODE...]

METHOD is a name below; CODE a checkout of the authors' repository (of each, where there are several), else it is cloned into a temporary folder. Writes
METHOD.json beside this file, which test/train/sparse/oracles.test.ts compares with what chasec does.

Numbers are whole multiples of 1/1024, all of other magnitudes, so that no tie has to be broken. Deviations that a method's file
states are kept out of the cases, here and in what is said of each.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import io
import json
import math
import random
import subprocess
import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import torch

SCALE = 1024


def distinct(shape: list[int], seed: int) -> torch.Tensor:
    """Numbers of both signs with as many magnitudes as there are numbers."""
    draw = random.Random(seed)
    size = torch.Size(shape).numel()
    numbers = [draw.choice((-1, 1)) * n for n in draw.sample(range(1, size + 1), size)]
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape) / SCALE


def bits(mask: torch.Tensor) -> str:
    return "".join(str(int(bit)) for bit in (mask != 0).flatten().tolist())


def whole(numbers: torch.Tensor) -> list[int]:
    scaled = (numbers.detach() * SCALE).flatten().tolist()
    assert all(n == int(n) for n in scaled)
    return [int(n) for n in scaled]


def stub(*names: str) -> None:
    """Modules that the code imports and these runs do not need."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            module = MagicMock(name=name)
            module.__path__, module.__spec__ = [], ModuleSpec(name, None)
            sys.modules[name] = module


def srigl(code: Path) -> list[dict]:
    """`RigLConstFanScheduler._rigl_step`; cases in which a neuron is trimmed, or a weight of 0 kept, are left out."""
    sys.path.insert(0, str(code / "src"))
    stub("wandb", "omegaconf", "hydra", "dotenv", "tqdm", "pycocotools", "pycocotools.coco", "pycocotools.cocoeval")
    from rigl_torch.rigl_constant_fan import RigLConstFanScheduler

    density, end, alpha, salient = 0.25, 100, 0.3, 0.3

    class Watched(RigLConstFanScheduler):
        def _get_drop_mask(self, score_drop, n_keep, neurons_to_ablate, n_fan_in):
            kept = (score_drop > 0) if neurons_to_ablate == [] else (score_drop > 0).clone()
            for neuron in neurons_to_ablate:
                kept[neuron] = False
            if int(kept.sum()) < n_keep:
                self.deviates = True
            top = torch.zeros(score_drop.numel(), dtype=torch.bool)
            top[torch.where(kept, score_drop, -1).flatten().topk(n_keep).indices] = True
            if int(top.reshape(score_drop.shape).flatten(1).sum(1).max()) > n_fan_in:
                self.deviates = True
            return super()._get_drop_mask(score_drop, n_keep, neurons_to_ablate, n_fan_in)

    cases = []
    for seed in range(40):
        shapes = [[6, 4, 2, 2], [12, 16], [4, 12]]
        weights = [distinct(shape, 10 * seed + l) for l, shape in enumerate(shapes)]
        gradients = [distinct(shape, 10 * seed + 5 + l) for l, shape in enumerate(shapes)]
        draw = random.Random(seed)
        masks = []
        for l, shape in enumerate(shapes):
            inputs = torch.Size(shape[1:]).numel()
            mask = torch.zeros(shape[0], inputs, dtype=torch.bool)
            for row in mask:
                row[draw.sample(range(inputs), int(inputs * density))] = True
            masks.append(mask.reshape(shape))
        if seed % 2 == 1:
            # A neuron with next to nothing worth keeping, whose numbers stay apart from all others.
            for tensors in (weights, gradients):
                tensors[1][3] = torch.sign(tensors[1][3]) * torch.arange(1, 17) / SCALE
                others = [r for r in range(12) if r != 3]
                tensors[1][others] += torch.sign(tensors[1][others]) * 32 / SCALE
        before = [w * m for w, m in zip(weights, masks)]
        step = draw.choice([10, 30, 50, 90])
        scheduler = Watched.__new__(Watched)
        parameters = [torch.nn.Parameter(w.clone()) for w in before]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        optimizer = SimpleNamespace(state={w: {"momentum_buffer": torch.ones_like(w)} for w in parameters})
        names = [f"layer{l}" for l in range(len(shapes))]
        scheduler.__dict__.update(
            W=parameters,
            S=[1 - density] * len(shapes),
            module_names=names,
            no_ablation_module_names=[names[-1]],
            backward_masks=[mask.clone() for mask in masks],
            backward_hook_objects=[SimpleNamespace(dense_grad=gradient) for gradient in gradients],
            static_ablated_filters=[0] * len(shapes),
            static_ablation=False,
            dynamic_ablation=True,
            use_sparse_const_fan_in_for_ablation=True,
            min_salient_weights_per_neuron=salient,
            initialize_grown_weights=0,
            optimizer=optimizer,
            alpha=alpha,
            step=step,
            T_end=end,
            _logger=MagicMock(),
            deviates=False,
        )
        scheduler._rigl_step()
        if scheduler.deviates:
            continue
        cases.append(
            {
                "method": {
                    "name": "srigl",
                    "density": density,
                    "distribution": "uniform",
                    "every": 10,
                    "fraction": alpha,
                    "salient": salient,
                    "until": 1,
                },
                "length": {"steps": end, "stepsPerEpoch": end},
                "step": step,
                "layers": [
                    {
                        "shape": shape,
                        "weights": whole(before[l]),
                        "gradients": whole(gradients[l]),
                        "mask": bits(masks[l]),
                        "maskAfter": bits(scheduler.backward_masks[l]),
                        "weightsAfter": whole(parameters[l]),
                        "momentaAfter": bits(optimizer.state[parameters[l]]["momentum_buffer"]),
                    }
                    for l, shape in enumerate(shapes)
                ],
            }
        )
    ablating = [case for case in cases if "0" * 16 in case["layers"][1]["maskAfter"]]
    return [case for case in cases if case not in ablating][:2] + ablating[:2]


def by_layer(module: ModuleType) -> list[dict]:
    """Cases of layer-wise exploration: updates under the soft bound, and exchanges."""
    shapes = [[5, 3, 2, 2], [6, 10], [10, 6]]
    size, density, margin, end = 60, 0.5, 0.2, 100
    total, target = size * len(shapes), 30 * len(shapes)
    cases = []
    # How many weights a layer has, where 30 is the density, and the step; at 80 the soft bound ends.
    for seed, (live, step) in enumerate([(36, 40), (30, 40), (30, 80), (30, 90)]):
        draw = random.Random(seed)
        masks = []
        for shape in shapes:
            places = set(draw.sample(range(size), live))
            masks.append(torch.tensor([float(i in places) for i in range(size)]).reshape(shape))
        weights = [distinct(shape, 10 * seed + l) * mask for l, (shape, mask) in enumerate(zip(shapes, masks))]
        gradients = [distinct(shape, 10 * seed + 5 + l) for l, shape in enumerate(shapes)]
        network = torch.nn.ParameterList([torch.nn.Parameter(weight.clone()) for weight in weights])
        for parameter, gradient in zip(network, gradients):
            parameter.grad = gradient.clone()
        state = {weight: {"momentum_buffer": torch.ones_like(weight)} for weight in network}
        names = [str(l) for l in range(len(shapes))]
        masking = module.Masking.__new__(module.Masking)
        # Each layer grows one weight fewer than asked for, so there it is asked for one more of each.
        more = len(shapes)
        masking.__dict__.update(
            module=network,
            modules=[network],
            masks={name: mask.clone() for name, mask in zip(names, masks)},
            temp_mask={name: mask.clone() for name, mask in zip(names, masks)},
            filter_masks={},
            filter_names={},
            pruning_rate={},
            optimizer=SimpleNamespace(state=state),
            death_mode="magnitude",
            growth_mode="gradients",
            total_params=total,
            baseline_nonzero=target,
            density_dict={name: density + (1 / size if step >= 80 else 0) for name in names},
            print_nonzero_counts=lambda: None,
        )
        if step < 80:
            masking.truncate_weights_prune(0)
            decay = module.CosineDecay(density + margin, 80, density)
            for _ in range(step):
                decay.step()
            # A little above whole numbers, which fractions of them may fall short of.
            masking.truncate_weights_grow(decay.get_dr() + (more + 1e-6) / total)
        else:
            decay = module.CosineDecay(0.5, end, 0.005)
            for _ in range(step):
                decay.step()
            masking.truncate_weights(decay.get_dr())
        cases.append(
            {
                "method": {
                    "name": "chase",
                    "density": density,
                    "distribution": "uniform",
                    "channels": 0,
                    "exploration": "layer",
                    "margin": margin,
                    "every": 10,
                    "softUntil": 0.8,
                },
                "length": {"steps": end, "stepsPerEpoch": 10},
                "step": step,
                "layers": [
                    {
                        "shape": shape,
                        "weights": whole(weights[l]),
                        "gradients": whole(gradients[l]),
                        "mask": bits(masks[l]),
                        "maskAfter": bits(masking.masks[str(l)]),
                        "weightsAfter": whole(network[l]),
                        "momentaAfter": bits(state[network[l]]["momentum_buffer"]),
                    }
                    for l, shape in enumerate(shapes)
                ],
            }
        )
    return cases


def chase(code: Path) -> list[dict]:
    """
    `Masking.step` of Cifar/sparselearning/core_dst_chase.py over whole runs in which numbers of ours stand in for training:
    global exploration under the soft bound and by exchange, channels in between. Its global thresholds take one weight fewer than
    asked for, so it is asked for one more. Which of the channels at or below their threshold go is drawn there: of the draws one is
    taken by which the lowest scores go, as many as the schedule says. Left out are runs where a fraction of the weights is not
    rounded alike, and those in which the first exchange finds more than the density: it exchanges a fraction of these, chasec
    takes them back first. Then single updates layer by layer, of layers that keep as many weights each, where fractions are whole or
    rounded alike; there each layer grows one weight fewer than asked for, and is asked for one more.
    """
    sys.path.insert(0, str(code / "Cifar"))
    module = importlib.import_module("sparselearning.core_dst_chase")
    torch.Tensor.cuda = lambda self: self  # no GPU is needed
    density, margin, channels, floor, epochs, epoch = 0.4, 0.1345, 0.5, 0.9, 153, 10
    shapes = [[6, 2, 2, 2], [8, 6, 2, 1], [6, 8, 1, 1], [4, 12]]
    sizes = [torch.Size(shape).numel() for shape in shapes]
    total = sum(sizes)
    target, soft = round(density * total), 120 * epoch

    class Unlike(Exception):
        """What is left out."""

    class VGG(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.ModuleList([torch.nn.Conv2d(s[1], s[0], s[2:], bias=False) for s in shapes[:3]])
            self.classifier = torch.nn.Linear(12, 4, bias=False)
            self.layer2split, self.next_layers = [0, 1], {0: [1, None], 1: [2, None]}

    class Watched(module.Masking):
        def del_layer(self) -> None:
            names = [self.get_mask_name(key) for key in self.module.layer2split]
            before = {name: self.filter_names[name].bool().clone() for name in names}
            scores = {}
            for key, name in zip(self.module.layer2split, names):
                magnitudes, mask = self.get_module(key).weight.detach().abs().flatten(1), self.masks[name].flatten(1)
                count = mask.sum(1) if self.args.mask_wise else torch.full((len(mask),), mask.shape[1])
                scores[name] = magnitudes.double().sum(1) / count
            wanted = round(self.layer_rate * self.baseline_filter_num)
            # What they are of shares tensors.
            held = ["filter_names", "passive_names", "filter_masks", "masks"]
            saved = copy.deepcopy({name: getattr(self, name) for name in held})
            weights = [weight.detach().clone() for weight in self.module.parameters()]
            momenta = [state["momentum_buffer"].clone() for state in self.optimizer.state.values()]
            for seed in range(200):
                random.seed(seed)
                super().del_layer()
                if self.baseline_filter_num - self.filter_num() == wanted and self.in_order(before, scores):
                    return
                self.__dict__.update(copy.deepcopy(saved))
                for weight, value in zip(self.module.parameters(), weights):
                    weight.data = value.clone()
                for state, value in zip(self.optimizer.state.values(), momenta):
                    state["momentum_buffer"] = value.clone()
            raise Unlike

        def in_order(self, before: dict, scores: dict) -> bool:
            gone, left, at_floor = [-math.inf], [math.inf], [math.inf]
            for key, (name, there) in zip(self.module.layer2split, before.items()):
                kept = self.filter_names[name].bool()
                went, stays = scores[name][there & ~kept].tolist(), scores[name][kept].tolist()
                if max(went, default=-math.inf) >= min(stays):
                    return False
                gone.extend(went)
                (left if len(stays) > self.minimum_layer[key] else at_floor).extend(stays)
            fits = max(gone) < min(left)
            self.bound |= fits and max(gone) > min(at_floor)
            return fits

        def truncate_weights_grow(self, rate: float) -> None:
            if (rate * total - 1) % 1 > 0.49:
                raise Unlike
            super().truncate_weights_grow(rate)

        def truncate_weights(self, rate: float) -> None:
            live = sum(int(mask.sum()) for mask in self.masks.values())
            if live > target or math.ceil(rate * live) - 1 != math.floor(rate * live + 0.5):
                raise Unlike
            super().truncate_weights(rate)

    def run(seed: int, score: str) -> tuple[dict, bool]:
        network = VGG()
        parameters = list(network.parameters())
        args = SimpleNamespace(
            redistribution="none",
            PF_rate=0,
            fix=False,
            update_frequency=200,
            layer_interval=400,
            start_layer_rate=channels,
            stop_gmp_epochs=120,
            stop_dst_epochs=epochs - 120,
            epochs=epochs,
            minumum_ratio=floor,
            density=density,
            sparse=True,
            decay_schedule="cosine",
            gpm_filter_pune=True,
            filter_dst=True,
            mest=True,
            mest_dst=True,
            dst=False,
            growth="global_gradients",
            mask_wise=score == "mmm",
            mag_wise=score == "umm",
            kernal_wise=False,
            connection_wise=False,
        )
        state = {weight: {"momentum_buffer": torch.ones_like(weight)} for weight in parameters}
        training: list[torch.Tensor] = []

        def move() -> None:
            for weight, values in zip(parameters, training):
                weight.data = values.clone()
                state[weight]["momentum_buffer"] = torch.ones_like(weight)

        torch.manual_seed(seed)
        more = 1 / total
        decay = module.CosineDecay(density + margin + more, soft, density + more)
        masking = Watched(
            SimpleNamespace(step=move, state=state),
            death_rate=margin,
            death_rate_decay=decay,
            death_mode="global_magnitude",
            growth_mode="global_gradients",
            args=args,
            train_loader=range(epoch),
        )
        masking.bound = False
        masking.add_module(network, density, sparse_init="fixed_ERK")
        names = [name for name, _ in network.named_parameters()]
        draw = random.Random(seed)
        places = set(draw.sample(range(total), target))
        flat = torch.tensor([float(i in places) for i in range(total)])
        masks = [part.reshape(shape) for part, shape in zip(flat.split(sizes), shapes)]
        for name, mask in zip(names, masks):
            masking.masks[name] = mask.clone()
        steps = []
        for step in range(1, epochs * epoch):
            due = step % 200 == 0 or (step % 400 == 300 and step < soft)
            if due:
                flats = [distinct([total], 10_000 * seed + 2 * step + k).split(sizes) for k in range(2)]
                moved, gradients = [[part.reshape(shape) for part, shape in zip(flat, shapes)] for flat in flats]
                before = [values * masking.masks[name] for name, values in zip(names, moved)]
                training[:] = before
                for weight, gradient in zip(parameters, gradients):
                    weight.grad = gradient.clone()
            else:
                training[:] = [weight.data for weight in parameters]
            masking.baseline_nonzero = target - 1 if step < soft else target + 1
            masking.step()
            if due:
                steps.append(
                    {
                        "step": step,
                        "weights": [whole(values) for values in before],
                        "gradients": [whole(values) for values in gradients] if step % 200 == 0 else [],
                        "masksAfter": [bits(masking.masks[name]) for name in names],
                        "weightsAfter": [whole(weight) for weight in parameters],
                        "momentaAfter": [bits(state[weight]["momentum_buffer"]) for weight in parameters],
                        "left": [int(kept.sum()) for kept in masking.filter_names.values()],
                    }
                )
        case = {
            "method": {
                "name": "chase",
                "density": density,
                "channels": channels,
                "exploration": "global",
                "score": score,
                "floor": floor,
                "margin": margin,
                "every": 200,
                "channelsEvery": 400,
                "softUntil": soft / epoch / epochs,
                "channelsUntil": soft / epoch / epochs,
            },
            "length": {"steps": epochs * epoch, "stepsPerEpoch": epoch},
            "layers": [{"shape": shape, "mask": bits(mask)} for shape, mask in zip(shapes, masks)],
            "explored": steps,
        }
        return case, masking.bound

    cases = []
    # Without and with a stream that its floor keeps from losing more.
    for score, at_floor in (("umm", False), ("umm", True), ("mmm", True)):
        for seed in range(2000):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    case, bound = run(seed, score)
            except Unlike:
                continue
            if bound == at_floor:
                cases.append(case)
                break
    assert len(cases) == 3
    with contextlib.redirect_stdout(io.StringIO()):
        cases.extend(by_layer(module))
    return cases


def mest(code: Path) -> list[dict]:
    """
    `SparseTraining.update_mask` of prune_utils/retrain.py, of irregular sparsity, at epochs with each of the three bounds; with a
    gradient as well, which is masked there. What is dropped is compared, and how much grows; where is drawn. Densities are those
    at which no fraction of a weight is rounded. Masks are updated before the first step there, not here.
    """
    sys.path.insert(0, str(code))
    stub("yaml")
    retrain = importlib.import_module("prune_utils.retrain")
    torch.Tensor.cuda = lambda self: self  # no GPU is needed
    density, margin, epoch = 0.25, 0.1, 10
    shapes = [[8, 5, 2, 1], [10, 12]]
    cases = []
    for seed, (at, live, gradient) in enumerate([(5, 0.35, 0), (90, 0.35, 0), (120, 0.3, 0), (45, 0.35, 0.3)]):
        modules = [torch.nn.Conv2d(5, 8, (2, 1), bias=False), torch.nn.Linear(12, 10, bias=False)]
        network = torch.nn.ModuleList(modules)
        draw = random.Random(seed)
        weights, gradients, masks = [], [], []
        for l, (shape, module) in enumerate(zip(shapes, modules)):
            size = torch.Size(shape).numel()
            places = set(draw.sample(range(size), round(live * size)))
            mask = torch.tensor([float(i in places) for i in range(size)]).reshape(shape)
            masks.append(mask)
            weights.append(distinct(shape, 10 * seed + l) * mask)
            gradients.append(distinct(shape, 10 * seed + 5 + l))
            module.weight.data = weights[-1].clone()
            module.weight.grad = gradients[-1] * mask
            ranked = (weights[-1].abs() + gradient * module.weight.grad.abs()).flatten().double().sort(descending=True).values
            kept = round(density * size)
            assert ranked[kept - 1] - ranked[kept] > 1e-5 * ranked[kept]
        names = [f"{l}.weight" for l in range(len(shapes))]
        left = {}

        owner = retrain.SparseTraining.__new__(retrain.SparseTraining)
        prune = retrain.weight_pruning

        def watched(args: object, configs: object, name: str, *more: object) -> tuple:
            mask, weight = prune(args, configs, name, *more)
            left[name] = mask.clone()
            return mask, weight

        owner.__dict__.update(
            args=SimpleNamespace(sp_global_magnitude=False, sp_admm_sparsity_type="irregular", sp_lmd=gradient),
            model=network,
            configs={},
            prune_ratios={name: 1 - density for name in names},
            masks={name: mask.clone() for name, mask in zip(names, masks)},
            sp_mask_update_freq=5,
            mask_update_decay_epoch="90-120",
            upper_bound="0.65-0.7-0.75",
            lower_bound="0.75-0.75-0.75",
            update_init_method="zero",
            seq_gap_layer_indices=None,
        )
        np.random.seed(seed)
        retrain.weight_pruning = watched
        owner.update_mask(at, 0)
        retrain.weight_pruning = prune
        cases.append(
            {
                "method": {
                    "name": "mest",
                    "density": density,
                    "margin": margin,
                    "every": {"epochs": 5},
                    **({"gradient": gradient} if gradient > 0 else {}),
                    "until": 120 / 160,
                },
                "length": {"steps": 160 * epoch, "stepsPerEpoch": epoch},
                "step": at * epoch,
                "drawn": [
                    {
                        "shape": shape,
                        "weights": whole(weights[l]),
                        "gradients": whole(gradients[l]),
                        "mask": bits(masks[l]),
                        "left": bits(left[names[l]]),
                        "kept": int(owner.masks[names[l]].sum()),
                    }
                    for l, shape in enumerate(shapes)
                ],
            }
        )
    return cases


def itop(code: Path, method: str, draws: bool) -> list[dict]:
    """Cases of `Masking.step` with magnitude death and growth by gradient, or drawn."""
    sys.path.insert(0, str(code))
    module = importlib.import_module("sparselearning.core")
    torch.Tensor.cuda = lambda self: self  # no GPU is needed
    shapes = [[6, 4, 3, 3], [10, 12], [5, 10]]
    sizes = [torch.Size(shape).numel() for shape in shapes]
    every, end = 10, 100
    # SET exchanges as much all along.
    last = 0.5 if draws else 0.005
    cases = []
    for seed in range(500):
        if len(cases) == 4:
            break
        draw = random.Random(seed)
        masks = []
        for shape, size in zip(shapes, sizes):
            places = set(draw.sample(range(size), draw.randrange(size // 4, size // 2)))
            masks.append(torch.tensor([float(i in places) for i in range(size)]).reshape(shape))
        weights = [distinct(shape, 10 * seed + l) * mask for l, (shape, mask) in enumerate(zip(shapes, masks))]
        gradients = [distinct(shape, 10 * seed + 5 + l) for l, shape in enumerate(shapes)]
        network = torch.nn.ParameterList([torch.nn.Parameter(weight.clone()) for weight in weights])
        state = {weight: {"momentum_buffer": torch.ones_like(weight)} for weight in network}
        left: dict[str, str] = {}

        class Watched(module.Masking):
            def random_growth(self, name: str, mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
                left[name] = bits(mask)
                return super().random_growth(name, mask, weight)

        masking = Watched(
            SimpleNamespace(step=lambda: None, state=state),
            death_rate=0.5,
            death_rate_decay=module.CosineDecay(0.5, end, last),
            death_mode="magnitude",
            growth_mode="random" if draws else "gradient",
            args=SimpleNamespace(fix=False, update_frequency=every),
        )
        torch.manual_seed(seed)
        step = every * draw.randrange(1, 9)
        with contextlib.redirect_stdout(io.StringIO()):
            masking.add_module(network, 0.5, sparse_init="uniform")
            masking.masks = {str(l): mask.clone() for l, mask in enumerate(masks)}
            for parameter, weight, gradient in zip(network, weights, gradients):
                parameter.data, parameter.grad = weight.clone(), gradient.clone()
                state[parameter]["momentum_buffer"] = torch.ones_like(weight)
            # The decay goes on, until the update that is looked at.
            masking.prune_every_k_steps = step
            for _ in range(step):
                masking.step()
        counts = [int(mask.sum()) for mask in masks]
        # Counts are rounded up there.
        if any(math.ceil(masking.death_rate * n) != math.floor(masking.death_rate * n + 0.5) for n in counts):
            continue
        regrown = 0
        for l, (weight, mask) in enumerate(zip(weights, masks)):
            gone = weight.abs()[mask > 0].sort().values[: masking.num_remove[str(l)]].max()
            regrown += int(((masking.masks[str(l)] > 0) & (mask > 0) & (weight.abs() <= gone)).sum())
        # One in which what was dropped grows again at once.
        if not draws and regrown == 0:
            continue
        before = [
            {"shape": s, "weights": whole(w), "gradients": whole(g), "mask": bits(m)}
            for s, w, g, m in zip(shapes, weights, gradients, masks)
        ]
        more = {"criterion": "magnitude"} if draws else {}
        case = {
            "method": {"name": method, "density": 0.5, "distribution": "uniform", "every": every, "fraction": 0.5, **more},
            "length": {"steps": end, "stepsPerEpoch": 10},
            "step": step,
        }
        if draws:
            case["drawn"] = [{**layer, "left": left[str(l)], "kept": counts[l]} for l, layer in enumerate(before)]
        else:
            case["layers"] = [
                {
                    **layer,
                    "maskAfter": bits(masking.masks[str(l)]),
                    "weightsAfter": whole(network[l]),
                    "momentaAfter": bits(state[network[l]]["momentum_buffer"]),
                }
                for l, layer in enumerate(before)
            ]
        cases.append(case)
    assert len(cases) == 4
    return cases


def rigl_itop(code: Path) -> list[dict]:
    """
    `Masking.step` of sparselearning/core.py with magnitude death and growth by gradient, up to the update looked at; cases in
    which what a layer drops grows again at once, and keeps its number and its momentum. Counts are rounded up there: cases in which
    that matters are left out.
    """
    return itop(code, "rigl-itop", False)


def set_itop(code: Path) -> list[dict]:
    """
    `Masking.step` of sparselearning/core.py with magnitude death and random growth, told a fraction that stays. What is dropped is
    compared, and that each layer has as many weights afterwards: there as many grow on average, here always. Counts are
    rounded up there: cases in which that matters are left out.
    """
    return itop(code, "set", True)


def granet(code: Path) -> list[dict]:
    """
    `Masking.pruning` and `Masking.truncate_weights`. The released threshold keeps one weight fewer than it is to, so chasec is
    given the density that came of it; a layer exchanges one weight more where the fraction is not whole and below a half, and
    such cases are left out.
    """
    sys.path.insert(0, str(code / "CIFAR"))
    stub("matplotlib", "matplotlib.pyplot")
    from sparselearning.core import Masking

    cases = []
    for seed in range(60):
        shapes = [[6, 4, 3, 3], [10, 12], [5, 10]]
        total = sum(torch.Size(shape).numel() for shape in shapes)
        flat = distinct([total], seed)
        draw = random.Random(seed)
        masks, before, at = [], [], 0
        gradients = [distinct(shape, 100 + 10 * seed + l) for l, shape in enumerate(shapes)]
        for shape in shapes:
            size = torch.Size(shape).numel()
            mask = torch.tensor([float(draw.random() < 0.7) for _ in range(size)]).reshape(shape)
            before.append(flat[at : at + size].reshape(shape) * mask)
            masks.append(mask)
            at += size
        # Gradients that rise as magnitudes fall bring back what went.
        for w, g in zip(before, gradients):
            g += torch.sign(g) * (w != 0) * (1 - w.abs())
        module = torch.nn.ParameterList([torch.nn.Parameter(w.clone()) for w in before])
        for parameter, gradient in zip(module, gradients):
            parameter.grad = gradient.clone()
        step = 30 + 20 * (seed % 3)
        rate = 0.005 + 0.495 * (1 + math.cos(math.pi * step / 100)) / 2
        masking = Masking.__new__(Masking)
        masking.__dict__.update(
            args=SimpleNamespace(init_density=0.8, final_density=0.2, final_prune_epoch=10, init_prune_epoch=0, multiplier=1),
            loader=range(10),
            prune_every_k_steps=10,
            prune_rate=rate,
            modules=[module],
            masks={str(l): mask.clone() for l, mask in enumerate(masks)},
            optimizer=SimpleNamespace(state={w: {"momentum_buffer": torch.ones_like(w)} for w in module}),
            pruning_rate={},
            name2variance={},
            name2zeros={},
            name2nonzeros={},
            total_variance=0,
            total_removed=0,
            total_zero=0,
            total_nonzero=0,
        )
        masking.pruning(step)
        kept = sum(int(mask.sum()) for mask in masking.masks.values())
        masking.truncate_weights(step)
        if any(math.ceil(rate * n) != math.floor(rate * n + 0.5) for n in masking.name2nonzeros.values()):
            continue
        cases.append(
            {
                "method": {
                    "name": "granet",
                    "density": kept / total,
                    "initialDensity": kept / total,
                    "distribution": "uniform",
                    "every": 10,
                    "fraction": 0.5,
                    "until": 1,
                },
                "length": {"steps": 100, "stepsPerEpoch": 10},
                "step": step,
                "layers": [
                    {
                        "shape": shape,
                        "weights": whole(before[l]),
                        "gradients": whole(gradients[l]),
                        "mask": bits(masks[l]),
                        "maskAfter": bits(masking.masks[str(l)]),
                        "weightsAfter": whole(module[l]),
                        "momentaAfter": bits(masking.optimizer.state[module[l]]["momentum_buffer"]),
                    }
                    for l, shape in enumerate(shapes)
                ],
            }
        )
    return cases[:3]


def sr_ste(code: Path) -> list[dict]:
    """
    `Sparse` and `Sparse_NHWC`, forward and backward; widths are multiples of m. Weights are trained on, so they stay; what the
    backward pass adds to the gradient of a masked weight is compared with 2e-4 of the weight here.
    """
    sys.path.insert(0, str(code / "devkit" / "sparse_ops"))
    stub("torch._six")
    from sparse_ops import Sparse, Sparse_NHWC

    cases = []
    for seed, (n, m) in enumerate([(2, 4), (1, 4), (2, 8)]):
        shapes = [[3, 8, 2, 2], [6, 16]]
        weights = [distinct(shape, 10 * seed + l) for l, shape in enumerate(shapes)]
        layers = []
        for weight in weights:
            parameter = torch.nn.Parameter(weight.clone())
            output = (Sparse_NHWC if weight.dim() == 4 else Sparse).apply(parameter, n, m)
            output.sum().backward()
            assert torch.allclose(parameter.grad - 1, 2e-4 * weight * (output == 0), rtol=0, atol=1e-7)
            size = weight.numel()
            layers.append(
                {
                    "shape": list(weight.shape),
                    "weights": whole(weight),
                    "gradients": [0] * size,
                    "mask": "1" * size,
                    "maskAfter": bits(output),
                    "weightsAfter": whole(weight),
                    "momentaAfter": "1" * size,
                }
            )
        method = {"name": "sr-ste", "n": n, "m": m}
        cases.append({"method": method, "length": {"steps": 10, "stepsPerEpoch": 10}, "step": 1, "layers": layers})
    return cases


def iss_p(code: Path) -> list[dict]:
    """
    `Pruner._iht` of ist_pruner.py at 1/2 in place of 0.95, which keeps numbers whole; layers in which the fraction is a whole
    number of weights. The optimiser's momentum is not looked at there, so it stays.
    """
    stub("matplotlib", "matplotlib.pyplot", "tqdm", "basicsr", "basicsr.utils", "basicsr.utils_ASSL", "basicsr.layer")
    package = code / "basicsr" / "pruner"
    pruner = MagicMock(name="pruner")
    pruner.__path__, pruner.__spec__ = [str(package)], ModuleSpec("pruner", None, is_package=True)
    sys.modules["pruner"] = pruner
    module = importlib.import_module("pruner.ist_pruner")
    torch.Tensor.cuda = lambda self: self  # no GPU is needed
    cases = []
    for seed, density in enumerate([0.25, 0.5, 0.125]):
        shapes = [[4, 4, 2, 2], [8, 10]]
        weights = [distinct(shape, 10 * seed + l) * 2 for l, shape in enumerate(shapes)]
        modules = [torch.nn.Conv2d(4, 4, 2, bias=False), torch.nn.Linear(10, 8, bias=False)]
        for one, weight in zip(modules, weights):
            one.weight.data.copy_(weight)
        network = torch.nn.ModuleList(modules)
        names = ["0", "1"]
        owner = module.Pruner.__new__(module.Pruner)
        owner.__dict__.update(
            args=SimpleNamespace(
                wg="weight",
                prune_criterion="l1-norm",
                compare_mode="local",
                pick_pruned="min",
                prune_method="IST",
                ist_ratio=0.5,
                mask_save_iters=10,
                param_save_iters=10,
            ),
            model=SimpleNamespace(net_g=network),
            layers={name: SimpleNamespace(shape=one.weight.shape, score=None) for name, one in zip(names, modules)},
            pr={name: 1 - density for name in names},
            pruned_wg={},
            kept_wg={},
            N2M_granularity=None,
            total_iter=1,
        )
        owner._iht()
        cases.append(
            {
                "method": {"name": "iss-p", "density": density, "factor": 0.5, "until": 0.5},
                "length": {"steps": 10, "stepsPerEpoch": 10},
                "step": 3,
                "layers": [
                    {
                        "shape": shape,
                        "weights": whole(weights[l]),
                        "gradients": [0] * weights[l].numel(),
                        "mask": "1" * weights[l].numel(),
                        "maskAfter": "1" * weights[l].numel(),
                        "weightsAfter": whole(modules[l].weight),
                        "momentaAfter": "1" * weights[l].numel(),
                    }
                    for l, shape in enumerate(shapes)
                ],
            }
        )
    return cases


def chts(code: Path) -> list[dict]:
    """
    `DSTScheduler._dst_step` of Transformer/dst_scheduler.py with chain removal, without chance: by `weight_magnitude` and
    `CH2_L3n`; cases in which links of equal scores lie on both sides of the threshold are left out.
    """
    sys.path.insert(0, str(code / "Transformer"))
    stub("CH_scores", "scipy", "scipy.sparse", "scipy.io", "torchvision", "networkx", "sparse_topology_initialization")
    from dst_scheduler import DSTScheduler

    alpha, density = 0.5, 0.25
    cases = []
    for seed in range(3000):
        draw = random.Random(seed)
        step = draw.randrange(10, 100, 10)
        shapes = [[18, 16], [12, 18]]
        weights = [distinct(shape, 10 * seed + l) for l, shape in enumerate(shapes)]
        masks = []
        for shape in shapes:
            size = torch.Size(shape).numel()
            mask = torch.zeros(size, dtype=torch.bool)
            mask[draw.sample(range(size), int(size * density))] = True
            masks.append(mask.reshape(shape))
        before = [w * m for w, m in zip(weights, masks)]
        parameters = [torch.nn.Parameter(w.clone()) for w in before]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        states = {w: {"exp_avg": torch.ones_like(w)} for w in parameters}
        scheduler = DSTScheduler.__new__(DSTScheduler)
        scheduler.__dict__.update(
            W=parameters,
            N=[w.numel() for w in parameters],
            S=[1 - density] * 2,
            dense_allocation=density,
            backward_masks=[mask.clone() for mask in masks],
            optimizer=SimpleNamespace(_optimizer=SimpleNamespace(state=states)),
            alpha=alpha,
            step=step,
            T_end=100,
            chain_list=[[0, 1]],
            qk_chain_list=[],
            args=SimpleNamespace(
                adaptive_zeta=True,
                chain_removal=True,
                EM_S=False,
                remove_method="weight_magnitude",
                regrow_method="CH2_L3n",
                tiedrank=False,
                early_stop=False,
                itop=False,
            ),
        )
        fraction = scheduler.cosine_annealing()
        counts = [int(mask.sum()) for mask in masks]
        if any(int(n * fraction) != math.floor(n * fraction + 0.5) for n in counts):
            continue
        scheduler._dst_step()
        if [int(mask.sum()) for mask in scheduler.backward_masks] != counts:
            continue
        method = {
            "name": "chts",
            "density": density,
            "every": 10,
            "fraction": alpha,
            "removal": "smallest",
            "growth": "best",
            "until": 1,
        }
        layers = [
            {
                "shape": shape,
                "weights": whole(before[l]),
                "gradients": [0] * before[l].numel(),
                "mask": bits(masks[l]),
                "maskAfter": bits(scheduler.backward_masks[l]),
                "weightsAfter": whole(parameters[l]),
                "momentaAfter": bits(states[parameters[l]]["exp_avg"]),
            }
            for l, shape in enumerate(shapes)
        ]
        cases.append({"method": method, "length": {"steps": 100, "stepsPerEpoch": 10}, "step": step, "layers": layers})
        if len(cases) == 4:
            break
    return cases


def floats(numbers: torch.Tensor) -> list[float]:
    return (numbers.detach().double() * SCALE).flatten().tolist()


def digits(numbers: torch.Tensor) -> list[float]:
    """Of as many digits as tell one float32 from another."""
    return [float(f"{number:.9g}") for number in floats(numbers)]


def hesso(code: Path) -> list[dict]:
    """`HESSO.step` step by step, learning rate 0; left out where channels that are gone, or the order of a group, change the choice."""
    # Without what the package itself imports, which is for tracing networks.
    package = ModuleType("only_train_once")
    package.__path__ = [str(code / "only_train_once")]
    sys.modules["only_train_once"] = package
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor
    from only_train_once.optimizer.hesso import HESSO
    from only_train_once.optimizer.importance_score import calculate_importance_score_dhspg
    from only_train_once.transform import TensorTransform

    start, total = 2, 16

    def lowest(optimizer: HESSO) -> set[tuple[int, int]]:
        """The channels that go, of those that are left: by the same scores, divided by the norms of these."""
        groups, scores, kept = optimizer.param_groups, {}, {}
        for group in groups:
            calculate_importance_score_dhspg(optimizer.importance_score_criteria, group)
            left = torch.ones(group["num_groups"], dtype=torch.bool)
            left[optimizer.pruned_idxes[group["id"]]] = False
            scores[group["id"]], kept[group["id"]] = group["importance_scores"], left
        overall = []
        for name, weight in optimizer.importance_score_criteria.items():
            square = sum(float((scores[g["id"]][name][kept[g["id"]]] ** 2).sum()) for g in groups)
            norm = math.sqrt(square + 1e-8) + 1e-8
            overall.append({g["id"]: weight * scores[g["id"]][name] / norm for g in groups})
        ranked = sorted(
            (float(sum(part[g["id"]][c] for part in overall)), g["id"], c)
            for g in groups
            for c in range(g["num_groups"])
            if kept[g["id"]][c]
        )
        return [(g, c) for _, g, c in ranked[: optimizer.active_num_redundant_groups[optimizer.curr_pruning_period]]]

    class Watched(HESSO):
        deviates = False

        def compute_importance_scores(self):
            self.expected = lowest(self)
            super().compute_importance_scores()

        def identify_redundant_groups(self):
            super().identify_redundant_groups()
            for group in self.param_groups:
                chosen = set(self.active_redundant_idxes[group["id"]])
                mine = [c for g, c in self.expected if g == group["id"]]
                if chosen != set(mine[: len(chosen)]):
                    self.deviates = True

    cases = []
    # Periods of four steps and of one, multiples in a single period alone.
    for periods, length, multiple, wanted in ((1, 4, 1, 2), (2, 4, 1, 2), (4, 1, 1, 1), (1, 3, 3, 2)):
        made = 0
        for seed in range(400):
            if made == wanted:
                break
            layers = []
            for of, shape in enumerate(([6, 2, 2, 1], [10, 3])):
                for k, size in enumerate((shape, shape[:1], shape[:1])):
                    layers.append({"shape": size, "of": of, "start": distinct(size, 97 * seed + 3 * of + k)})
            parameters = [torch.nn.Parameter(layer["start"].clone()) for layer in layers]
            groups = [
                {
                    "id": of,
                    "params": parameters[3 * of : 3 * of + 3],
                    "p_names": ["weight", "scale", "shift"],
                    "p_transform": [TensorTransform.BASIC] * 3,
                    "num_groups": count,
                    "is_prunable": True,
                    "is_auxiliary": False,
                    "auxiliary_ngs": [],
                }
                for of, count in enumerate((6, 10))
            ]
            optimizer = Watched(
                groups,
                lr=0.0,
                target_group_sparsity=0.5,
                start_pruning_step=start,
                pruning_steps=periods * length,
                pruning_periods=periods,
                group_divisible=multiple,
                device="cpu",
            )
            steps = []
            for step in range(start + 1, start + periods * length + 1):
                gradients = [distinct(layer["shape"], 7919 * seed + 31 * step + n) for n, layer in enumerate(layers)]
                for parameter, gradient in zip(parameters, gradients):
                    parameter.grad = gradient.clone()
                optimizer.num_steps = step - 1
                optimizer.step()
                steps.append(
                    {
                        "step": step,
                        "gradients": [whole(gradient) for gradient in gradients],
                        "after": [floats(parameter) for parameter in parameters],
                    }
                )
            if optimizer.deviates:
                continue
            made += 1
            run = 60
            method = {
                "name": "hesso",
                "channels": 0.5,
                "begin": start / run,
                "until": (start + periods * length) / run,
                "periods": periods,
                "multiple": multiple,
            }
            before = [
                {"shape": layer["shape"], "of": layer["of"], "weights": whole(layer["start"])} for layer in layers
            ]
            assert sum(group["num_groups"] for group in groups) == total
            cases.append(
                {"method": method, "length": {"steps": run, "stepsPerEpoch": run}, "layers": before, "steps": steps}
            )
        assert made == wanted, f"{made} of {wanted} cases of {periods} periods"
    return cases


def dhspg(code: Path) -> list[dict]:
    """
    `DHSPG.step` step by step from that on which partitions the groups, stochastic gradient descent with momentum and decay; what
    that alone makes of the weights is noted too. Fractions are such that no count is rounded differently.
    """
    package = ModuleType("only_train_once")
    package.__path__ = [str(code / "only_train_once")]
    sys.modules["only_train_once"] = package
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor
    from only_train_once.optimizer.dhspg import DHSPG, GROUP_TYPE

    class Watched(DHSPG):
        def compute_grad_variant(self):
            super().compute_grad_variant()
            self.moved = [
                p - group["lr"] * group["grad_variant"][j] for group in self.param_groups for j, p in enumerate(group["params"])
            ]

    start, run, seen, cases = 2, 60, set(), []
    for seed, (strength, tolerance, rate) in enumerate(((1e-3, 0.05, 0.125), (0.02, 0.05, 0.25), (0.02, 0.02, 0.25))):
        options = {"strength": strength, "amplify": 2, "ceiling": 10, "epsilon": 0.95, "tolerance": tolerance}
        layers = []
        for of, shape in enumerate(([5, 2, 1, 1], [7, 2])):
            for k, size in enumerate((shape, shape[:1], shape[:1])):
                layers.append({"shape": size, "of": of, "start": distinct(size, 97 * seed + 3 * of + k)})
        parameters = [torch.nn.Parameter(layer["start"].clone()) for layer in layers]
        groups = [
            {
                "cc_id": of,
                "params": parameters[3 * of : 3 * of + 3],
                "group_type": GROUP_TYPE[kind],
                "num_groups": count,
                "upper_group_sparsity": 1.0,
                "auxiliary_ccs": [],
            }
            for of, (kind, count) in enumerate((("conv", 5), ("linear", 7)))
        ]
        optimizer = Watched(
            groups,
            lr=rate,
            lmbda=strength,
            lmbda_amplify=options["amplify"],
            hat_lmbda_coeff=options["ceiling"],
            epsilon=options["epsilon"],
            first_momentum=0.5,
            weight_decay=1e-3,
            target_group_sparsity=0.4,
            tolerance_group_sparsity=tolerance,
            start_pruning_steps=start,
        )
        steps = []
        for group in optimizer.param_groups:
            group["num_steps"] = start
        for step in range(start + 1, start + 9):
            for n, (layer, parameter) in enumerate(zip(layers, parameters)):
                parameter.grad = distinct(layer["shape"], 7919 * seed + 31 * step + n) / 4
                # Some steps lead straight away from 0, by more and less.
                if step % 2 == 0:
                    parameter.grad -= parameter.detach() * torch.arange(len(parameter)).reshape([-1] + [1] * (parameter.dim() - 1)) / 4
            before = [parameter.detach().clone() for parameter in parameters]
            optimizer.step()
            for group, of in zip(optimizer.param_groups, (0, 1)):
                rows = [
                    torch.cat([one.detach().reshape(len(one), -1) for one in numbers[3 * of : 3 * of + 3]], 1)
                    for numbers in (before, optimizer.moved)
                ]
                x, v = rows[0], (rows[0] - rows[1]) / rate
                for c in group["magnitude_penalize"]:
                    product, norm = float(x[c] @ v[c]), float(torch.norm(x[c]))
                    if norm == 0:
                        seen.add("stays 0")
                    elif product >= 0:
                        seen.add("leads to 0")
                    else:
                        low, high = -product / norm, -float(v[c] @ v[c]) * norm / product
                        clipped = min(max(2 * low, strength), 10 * strength)
                        seen.add("middle" if clipped >= high else "least" if clipped == strength else "most" if clipped == 10 * strength else "amplified")
            seen.add("enough" if optimizer.reach_target_group_sparsity() else "not enough")
            steps.append(
                {
                    "step": step,
                    "rate": rate,
                    "moved": [digits(moved) for moved in optimizer.moved],
                    "after": [digits(parameter) for parameter in parameters],
                }
            )
        method = {"name": "dhspg", **options, "channels": 0.4, "begin": start / run, "until": 1, "every": run}
        before = [{"shape": layer["shape"], "of": layer["of"], "weights": whole(layer["start"])} for layer in layers]
        cases.append({"method": method, "length": {"steps": run, "stepsPerEpoch": run}, "layers": before, "steps": steps})
    wanted = {"stays 0", "leads to 0", "middle", "least", "most", "amplified", "enough", "not enough"}
    assert seen == wanted, wanted - seen
    return cases


def wgsef() -> list[dict]:
    """
    No code was released: the proximal operator by the definition of the function in the paper, the number in it found by halving;
    Fenchel's equality with the conjugate, half the sum of the k largest squares of norms over weights, certifies the result.
    """

    def proximal(x: np.ndarray, d: np.ndarray, strength: float, k: int) -> np.ndarray:
        norms, taxes = np.sqrt((x**2).sum(1)), strength * d

        def shares(c: float) -> np.ndarray:
            return np.clip(c * np.sqrt(d) * norms - taxes, 0, 1)

        low, high = 0.0, 1.0
        while shares(high).sum() < min(k, (norms > 0).sum()):
            high *= 2
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if shares(middle).sum() < k else (low, middle)
        u = shares(high)
        theta = x * (u / (u + taxes))[:, None]
        y = (x - theta) / strength
        value = sum(d[j] * (theta[j] @ theta[j]) / u[j] for j in range(len(d)) if u[j] > 0) / 2
        conjugate = np.sort((y**2).sum(1) / d)[::-1][:k].sum() / 2
        assert abs(value + conjugate - (theta * y).sum()) < 1e-12 * conjugate
        seen.update("none" if share == 0 else "all" if share == 1 else "part" for share in u)
        return theta

    run, seen, cases = 60, set(), []
    shapes = [[5, 4, 1, 1], [5], [5], [7, 2], [7], [7]]
    for seed, (strength, rate, channels) in enumerate(((4.0, 0.125, 0.5), (8.0, 0.25, 0.25), (8.0, 0.125, 0.5))):
        starts = [distinct(shape, 97 * seed + n) for n, shape in enumerate(shapes)]
        weights, steps = [start.clone() for start in starts], []
        d = np.array([(5 * 6 + 7 * 4) / 12 / size for size in [6] * 5 + [4] * 7])
        for step in range(1, 9):
            moved = [w - rate * distinct(shape, 7919 * seed + 31 * step + n) / 4 for n, (w, shape) in enumerate(zip(weights, shapes))]
            # As wide as the widest; zeros change no norm.
            x = np.zeros((12, 6))
            for first, parts in ((0, moved[:3]), (5, moved[3:])):
                rows = torch.cat([part.reshape(len(part), -1) for part in parts], 1).numpy()
                x[first : first + len(rows), : rows.shape[1]] = rows
            theta = proximal(x, d, rate * strength, 12 - round(12 * channels)).astype(np.float32)
            assert (theta[:5] != 0).any() and (theta[5:] != 0).any()
            weights = []
            for first, parts in ((0, moved[:3]), (5, moved[3:])):
                at = 0
                for part in parts:
                    width = part.numel() // len(part)
                    rows = theta[first : first + len(part), at : at + width]
                    weights.append(torch.from_numpy(rows.copy()).reshape(part.shape))
                    at += width
            after = {"moved": [digits(one) for one in moved], "after": [digits(one) for one in weights]}
            steps.append({"step": step, "rate": rate, **after})
        method = {"name": "wgsef", "strength": strength, "channels": channels, "begin": 0, "until": 1, "every": run}
        before = [{"shape": shape, "of": n // 3, "weights": whole(starts[n])} for n, shape in enumerate(shapes)]
        cases.append({"method": method, "length": {"steps": run, "stepsPerEpoch": run}, "layers": before, "steps": steps})
    assert seen == {"none", "part", "all"}, seen
    return cases


def mask_sparsity(code: Path) -> list[dict]:
    """`update_bn_by_names_dict` on scales and their gradients, some of them 0; masks as `setup_model` hands them on."""
    package = ModuleType("netslim")
    package.__path__ = [str(code / "netslim")]
    sys.modules["netslim"] = package
    # Of what it imports, only which layers there are to prune.
    sys.modules["netslim.prune"] = MagicMock()
    from netslim.sparse import update_bn_by_names_dict

    cases = []
    for seed, strength in enumerate((5e-4, 1e-2)):
        model = torch.nn.Sequential(torch.nn.BatchNorm2d(9), torch.nn.BatchNorm2d(16), torch.nn.BatchNorm2d(4))
        kept, scales = {}, []
        for n, norm in enumerate(model):
            size = norm.num_features
            norm.weight.data = distinct([size], 11 * seed + n)
            norm.weight.data[n] = 0
            norm.weight.grad = distinct([size], 101 * seed + n)
            kept[str(n)] = torch.tensor([(c * 7 + seed + n) % 3 > 0 for c in range(size)])
            scales.append(
                {"weights": whole(norm.weight), "gradients": whole(norm.weight.grad), "marked": bits(~kept[str(n)])}
            )
        update_bn_by_names_dict(model, list(kept), lr=0.1, s=strength, mask_dict={n: ~mask for n, mask in kept.items()})
        for scale, norm in zip(scales, model):
            scale["after"] = floats(norm.weight.grad)
        method = {"name": "mask-sparsity", "strength": strength, "scope": "all"}
        cases.append({"method": method, "length": {"steps": 30, "stepsPerEpoch": 10}, "step": 15, "scales": scales})
    return cases


def first_case(method: str, density: float, layers: list[dict]) -> dict:
    """What is done before the first step, all weights kept until then."""
    return {
        "method": {"name": method, "density": density},
        "length": {"steps": 10, "stepsPerEpoch": 10},
        "step": 0,
        "layers": layers,
    }


def snip(code: Path) -> list[dict]:
    """`Model.construct_model`, the masks of one batch, on multilayer perceptrons without biases."""
    import numpy as np
    import tensorflow

    tf = tensorflow.compat.v1
    tf.disable_v2_behavior()
    sys.modules["tensorflow"] = tf
    sys.modules["network"] = ModuleType("network")
    sys.path.insert(0, str(code / "snip"))
    cases = []
    for seed, density in enumerate((0.1, 0.25, 0.5)):
        tf.reset_default_graph()
        shapes = {"w1": [12, 10], "w2": [10, 8], "w3": [8, 4]}
        values = {name: distinct(shape, 10 * seed + l).numpy() * 4 for l, (name, shape) in enumerate(shapes.items())}

        def forward(weights, inputs, is_train, trainable=True):
            hidden = inputs
            for name in ("w1", "w2"):
                hidden = tf.nn.relu(tf.matmul(hidden, weights[name]))
            return tf.matmul(hidden, weights["w3"])

        network = SimpleNamespace(
            inputs={"input": tf.placeholder(tf.float32, [None, 12]), "label": tf.placeholder(tf.int32, [None])},
            weights_bp={name: tf.Variable(value, trainable=False) for name, value in values.items()},
            weights_ap={name: tf.Variable(value) for name, value in values.items()},
            forward_pass=forward,
        )
        sys.modules["network"].load_network = lambda *_: network
        module = importlib.import_module("model")
        seen = []
        plain = module.apply_mask
        module.apply_mask = lambda weights, mask: seen.append(mask) or plain(weights, mask)
        model = module.Model("", "", 4, 1 - density, "sgd", "constant", 0.1, [], [], "", "", "", "")
        model.construct_model()
        module.apply_mask = plain
        draw = np.random.RandomState(seed)
        feeds = {
            network.inputs["input"]: draw.randn(20, 12),
            network.inputs["label"]: draw.randint(0, 4, 20),
            model.compress: True,
        }
        logits = forward(network.weights_bp, network.inputs["input"], False)
        loss = tf.reduce_mean(module.compute_loss(network.inputs["label"], logits))
        wanted = tf.gradients(loss, [network.weights_bp[name] for name in shapes])
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            gradients = session.run(wanted, feeds)
            # The masks before are all ones, and for the gradients alone.
            masks = session.run(seen[-1], feeds)
        layers = []
        for (name, shape), gradient in zip(shapes.items(), gradients):
            weight, mask = torch.tensor(values[name]), torch.tensor(masks[name])
            layers.append(
                {
                    "shape": shape,
                    "weights": whole(weight),
                    "gradients": floats(torch.tensor(gradient)),
                    "mask": "1" * weight.numel(),
                    "maskAfter": bits(mask),
                    "weightsAfter": whole(weight * mask),
                    "momentaAfter": bits(mask),
                }
            )
        cases.append(first_case("snip", density, layers))
    return cases


def grasp(code: Path) -> list[dict]:
    """
    `GraSP` of pruner/GraSP.py, linear layers as they are: the network, the batch that it fetched, and the masks. The released
    threshold keeps one weight more than it is to, so chasec is given the density that came of it.
    """
    import copy

    sys.path.insert(0, str(code))
    sys.modules["pruner"] = ModuleType("pruner")
    sys.modules["pruner"].__path__ = [str(code / "pruner")]
    module = importlib.import_module("pruner.GraSP")
    cases = []
    for seed, ratio in enumerate((0.9, 0.75, 0.5)):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(4, 6, 1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(54, 3),
        )
        network[1].weight.data.uniform_(0.5, 1.5)
        for tensor in network.state_dict().values():
            tensor.copy_((tensor * SCALE).round() / SCALE)
        images = torch.randint(-SCALE, SCALE, [60, 2, 6, 6]) / SCALE
        labels = torch.arange(60) % 3
        found: dict = {}

        def copied(one):
            made = copy.deepcopy(one)
            if isinstance(one, torch.nn.Module):
                found["network"] = made
            return made

        def fetched(*arguments):
            found["batch"] = fetch(*arguments)
            return found["batch"]

        fetch, module.GraSP_fetch_data = module.GraSP_fetch_data, fetched
        module.copy = SimpleNamespace(deepcopy=copied)
        loader = [(images[i : i + 10], labels[i : i + 10]) for i in range(0, 60, 10)]
        masks = module.GraSP(network, ratio, loader, "cpu", num_classes=3, samples_per_class=4, reinit=False)
        module.GraSP_fetch_data = fetch
        kept = [masks[network[l]] for l in (0, 4, 7)]
        density = sum(int(mask.sum()) for mask in kept) / sum(mask.numel() for mask in kept)
        inputs, targets = found["batch"]
        cases.append(
            {
                "method": {"name": "grasp", "density": density},
                "length": {"steps": 10, "stepsPerEpoch": 10},
                "network": {
                    name: {"shape": list(tensor.shape), "values": whole(tensor)}
                    for name, tensor in network.state_dict().items()
                    if "num_batches" not in name
                },
                # The halves of which gradient and Hessian are sums.
                "batches": [
                    {"images": whole(part), "labels": classes.tolist()}
                    for part, classes in zip(inputs.split(len(inputs) // 2), targets.split(len(inputs) // 2))
                ],
                "layers": [
                    {
                        "name": f"{l}.weight",
                        "curvature": [float(f"{x:.6g}") for x in floats(found["network"][l].weight.grad)],
                        "maskAfter": bits(mask),
                    }
                    for l, mask in zip((0, 4, 7), kept)
                ],
            }
        )
    return cases


def criteria(code: Path) -> list[dict]:
    """
    `Masking.local_truncate_weights` with each pruner and growth by gradient; momenta are not looked at there. Counts are rounded
    up there: cases in which that matters are left out, and those in which weights of equal scores lie on both sides of the
    threshold. Of positive and negative weights there are as many, where the pruner takes as many of both.
    """
    sys.path.insert(0, str(code))
    stub("data_handling", "data_handling.utils", "wandb", "numpy")
    pruners = importlib.import_module("sparselearning.pruners")
    Masking = importlib.import_module("sparselearning.core").Masking
    # By our names: the pruner, and the score by which ties are looked for; without one, that of magnitudes, which are all different.
    ways = {
        "magnitude": (pruners.MagnitudePruner(), lambda w, g: w.abs()),
        "set": (pruners.SETPruner(), None),
        "mest": (pruners.MESTPruner(0.3), lambda w, g: w.abs() + 0.3 * g.abs()),
        "snip": (pruners.SNIPPruner(), lambda w, g: (w * g).abs()),
        "sensitivity": (pruners.SensitivityPruner(), lambda w, g: g.abs() / w.abs()),
        "reciprocal-sensitivity": (pruners.ReciprocalSensitivityPruner(), lambda w, g: w.abs() / g.abs()),
    }
    alpha, end = 0.5, 100
    cases = []
    for name, (pruner, score) in ways.items():
        made = 0
        for seed in range(500):
            if made == 2:
                break
            step = 10 + 20 * (seed % 4)
            rate = alpha * (1 + math.cos(math.pi * step / end)) / 2
            shapes = [[6, 4, 3, 3], [10, 12]]
            weights = [distinct(shape, 10 * seed + l) for l, shape in enumerate(shapes)]
            gradients = [distinct(shape, 10 * seed + 5 + l) for l, shape in enumerate(shapes)]
            draw = random.Random(seed)
            masks, counts, ties = [], [], False
            for weight, gradient in zip(weights, gradients):
                mask = torch.zeros(weight.numel())
                for sign in (1, -1):
                    places = (weight.flatten() * sign > 0).nonzero().flatten().tolist()
                    mask[draw.sample(places, weight.numel() // 5)] = 1
                masks.append(mask.reshape(weight.shape))
                counts.append(int(mask.sum()))
                if score is not None:
                    ranked = score(weight, gradient)[masks[-1] > 0].double().sort().values
                    dropped = math.ceil(rate * counts[-1])
                    ties |= bool(ranked[dropped] - ranked[dropped - 1] < 1e-5 * ranked[dropped])
            uneven = any(math.ceil(rate * n) != math.floor(rate * n + 0.5) or math.ceil(rate * n) % 2 for n in counts)
            if ties or uneven:
                continue
            made += 1
            before = [weight * mask for weight, mask in zip(weights, masks)]
            module = torch.nn.ParameterList([torch.nn.Parameter(w.clone()) for w in before])
            for parameter, gradient in zip(module, gradients):
                parameter.grad = gradient.clone()
            masking = Masking.__new__(Masking)
            masking.__dict__.update(
                modules=[module],
                module=module,
                masks={str(l): mask.clone() for l, mask in enumerate(masks)},
                pruner=pruner,
                growth_mode="gradient",
                name2prune_rate={str(l): rate for l in range(len(shapes))},
                name2nonzeros={},
                name2zeros={},
                num_remove={},
                normalize="none",
                norm_type="sum",
                adjust="none",
                jaccard=False,
                manual_stop=False,
                distributed=False,
                device="cpu",
                steps=step,
            )
            masking.local_truncate_weights()
            method = {"name": "rigl", "density": 0.4, "distribution": "uniform", "every": 10, "fraction": alpha}
            more = {"gradient": 0.3} if name == "mest" else {}
            cases.append(
                {
                    "method": {**method, "criterion": name, **more, "until": 1},
                    "length": {"steps": end, "stepsPerEpoch": 10},
                    "step": step,
                    "layers": [
                        {
                            "shape": shape,
                            "weights": whole(before[l]),
                            "gradients": whole(gradients[l]),
                            "mask": bits(masks[l]),
                            "maskAfter": bits(masking.masks[str(l)]),
                            "weightsAfter": whole(module[l]),
                        }
                        for l, shape in enumerate(shapes)
                    ],
                }
            )
        assert made == 2, name
    return cases


def lottery_jackpots(code: Path) -> list[dict]:
    """
    `PretrainConv`, its first masks by `generate_pr_cfg`, and steps of SGD with `final_pop_up` behind each; the loss is the sum of
    what a convolution of one pixel gives, times constants, so that its gradient by a kept weight is the same for all masks. Cases in
    which the fraction of a layer is cut to another number of weights are left out.
    """
    import ast

    sys.path.insert(0, str(code))
    stub("numpy")
    sys.modules["utils.options"] = SimpleNamespace(args=None)
    module = importlib.import_module("utils.conv_type")
    arguments = SimpleNamespace(layerwise="l1", arch="", prune_rate=0.0)
    names = {"args": arguments, "torch": torch, "logger": MagicMock()}
    for node in ast.parse((code / "cifar.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("generate_pr_cfg", "get_prune_rate"):
            exec(compile(ast.Module([node], []), "cifar.py", "exec"), names)
    rate, momentum, decay = 0.1, 0.9, 5e-4
    cases = []
    for seed in range(40):
        if len(cases) == 3:
            break
        density = (0.25, 0.5, 0.125)[len(cases)]
        shapes = [[12, 8, 1, 1], [10, 12, 1, 1]]
        draw = random.Random(seed)
        layers = [module.PretrainConv(shape[1], shape[0], 1, bias=False) for shape in shapes]
        flat = distinct([sum(torch.Size(shape).numel() for shape in shapes)], seed)
        for layer, values in zip(layers, flat.split([96, 120])):
            layer.weight.data = values.reshape(layer.weight.shape).clone()
            layer.weight.requires_grad = False
        weights = [layer.weight.clone() for layer in layers]
        arguments.prune_rate = 1 - density
        # What comes last in the list is for the layer that keeps all.
        *rates, _ = names["generate_pr_cfg"](torch.nn.ModuleList(layers))
        for layer, part in zip(layers, rates):
            layer.set_prune_rate(part)
        first = [layer.b_mask.clone() for layer in layers]
        counts = [int(part * layer.weight.numel()) for layer, part in zip(layers, rates)]
        whole_counts = [round(part * layer.weight.numel()) for layer, part in zip(layers, rates)]
        if counts != whole_counts or sum(counts) != round((1 - density) * flat.numel()):
            continue
        optimizer = torch.optim.SGD([layer.mask for layer in layers], rate, momentum, weight_decay=decay)
        steps = []
        for step in range(1, 7):
            optimizer.zero_grad()
            gradients = []
            for layer, shape in zip(layers, shapes):
                image = torch.tensor([draw.randrange(-31, 32) / 32 for _ in range(shape[1])])
                factors = torch.tensor([draw.randrange(-31, 32) / 32 for _ in range(shape[0])])
                (layer(image.reshape(1, -1, 1, 1)).flatten() * factors).sum().backward()
                gradients.append(whole(torch.outer(factors, image)))
            optimizer.step()
            for layer in layers:
                layer.final_pop_up(math.ceil((1 - step / 100) ** 4))
            steps.append({"step": step, "gradients": gradients, "masks": [bits(layer.b_mask) for layer in layers]})
        assert all(torch.equal(layer.weight, weight) for layer, weight in zip(layers, weights))
        cases.append(
            {
                "method": {"name": "lottery-jackpots", "density": density},
                "length": {"steps": 10, "stepsPerEpoch": 10},
                "rate": rate,
                "momentum": momentum,
                "weightDecay": decay,
                "layers": [
                    {"shape": shape, "weights": whole(weight), "mask": bits(mask)}
                    for shape, weight, mask in zip(shapes, weights, first)
                ],
                "scored": steps,
            }
        )
    assert len(cases) == 3
    return cases


def dynadiag(code: Path) -> list[dict]:
    """
    `TempSoftmaxDiagLinear`, two of them with a ReLU between, trained by cross entropy: alpha by Adam, the weights by SGD; the
    temperature as in `TemperatureScheduler` by cosines, but from step to step; then `freeze_topk`, and two steps more.
    """
    sys.path.insert(0, str(code / "MLP"))
    from linear_softmax import TempSoftmaxDiagLinear

    def six(numbers: torch.Tensor) -> list[float]:
        return [float(f"{x:.6g}") for x in floats(numbers)]

    def matrix(layer: TempSoftmaxDiagLinear, values: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(layer.out_features, layer.in_features)
        out[layer.rows_idx, layer.cols_idx] = values.detach()
        return out

    until, high, low, rate = 6, 5.0, 0.05, 0.2
    cases = []
    for seed, (widths, density) in enumerate((((10, 14, 5), 0.3), ((12, 9, 9), 0.2))):
        torch.manual_seed(seed)
        layers = [TempSoftmaxDiagLinear(a, b, torch.device("cpu"), 1 - density) for a, b in zip(widths, widths[1:])]
        for layer in layers:
            layer.V.data = (layer.V.data * 4 * SCALE).round() / SCALE
        before = [matrix(layer, layer.V) for layer in layers]
        weights = torch.optim.SGD([layer.V for layer in layers], 0.1, momentum=0.9)
        alphas = torch.optim.Adam([layer.alpha for layer in layers], rate, weight_decay=1e-4)
        steps, full = [], 0
        for step in range(1, until + 3):
            images = torch.randint(-SCALE, SCALE, [8, widths[0]]) / SCALE
            labels = torch.randint(0, widths[-1], [8])
            for layer in layers:
                layer.set_temperature(low + 0.5 * (high - low) * (1 + math.cos(math.pi * (step - 1) / until)))
            loss = torch.nn.functional.cross_entropy(layers[1](torch.relu(layers[0](images))), labels)
            for optimizer in (weights, alphas):
                optimizer.zero_grad()
            loss.backward()
            # The soft choice reaches its bound.
            full += int((layers[0].get_alpha_weights() == 1).sum()) if step <= until else 0
            weights.step()
            if step <= until:
                alphas.step()
            if step == until:
                for layer in layers:
                    layer.freeze_topk()
            chosen = [layer.get_alpha_weights() if layer.is_frozen else torch.ones(len(layer.alpha)) for layer in layers]
            steps.append(
                {
                    "images": whole(images),
                    "labels": labels.tolist(),
                    "alphas": [six(layer.alpha) for layer in layers],
                    "weights": [six(matrix(l, l.V * some.unsqueeze(1))) for l, some in zip(layers, chosen)],
                    "masks": [bits(matrix(l, torch.ones_like(l.V) * some.unsqueeze(1))) for l, some in zip(layers, chosen)],
                }
            )
        assert full > 0
        method = {"name": "dynadiag", "density": density, "until": until / 10, "rate": rate}
        layers_of = [{"shape": list(weight.shape), "weights": whole(weight)} for weight in before]
        cases.append(
            {"method": method, "length": {"steps": 10, "stepsPerEpoch": 10}, "layers": layers_of, "gated": steps}
        )
    return cases


# The function, the repository, and the commit that was run.
def s_ste(code: Path, kernels: Path) -> list[dict]:
    """
    `FP8SparseLinear` of v2/nanoGPT/sparse_ops.py: its scale, what it computes with at first and after the weights have moved, and
    that the gradient goes straight through. The kernel is `_soft_threshold` of huyz2023/2by4-pretrain (9e330125), called on
    columns of four; the products of eight bits are not looked at.
    """
    triton, language = ModuleType("triton"), ModuleType("triton.language")
    triton.jit, triton.language = lambda function: function, language
    for name in ("abs", "where", "minimum", "maximum"):
        setattr(language, name, getattr(torch, name))
    spec = importlib.util.spec_from_file_location("kernels", kernels / "sparse" / "utils.py")
    utils = importlib.util.module_from_spec(spec)
    before = {name: sys.modules.get(name) for name in ("triton", "triton.language")}
    sys.modules.update({"triton": triton, "triton.language": language})
    spec.loader.exec_module(utils)
    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module

    def soft_threshold24(dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = utils._soft_threshold(*dense.reshape(-1, 4).unbind(1))
        soft, kept = torch.stack(parts[:4], 1), torch.stack(parts[4:], 1)
        return torch.where(kept, soft, 0).reshape(dense.shape), kept.reshape(dense.shape)

    sparse = MagicMock(name="sparse")
    sparse.soft_threshold24_triton = soft_threshold24
    sys.modules["sparse"] = sparse
    torch.Tensor.cuda = lambda tensor: tensor
    sys.path.insert(0, str(code / "v2" / "nanoGPT"))
    from sparse_ops import FP8SparseLinear

    cases = []
    for seed, shapes in enumerate(([[6, 16], [3, 4]], [[5, 8], [8, 12]])):
        seen = []
        for l, (outputs, inputs) in enumerate(shapes):
            layer = FP8SparseLinear(inputs, outputs, bias=False)
            size, steps = [outputs, inputs], []
            for step in range(3):
                layer.weight.data = distinct(size, 100 * seed + 10 * l + step)
                if step == 0:
                    layer.init_scale()
                after, gradient = layer.get_sparse_weights(), distinct(size, step)
                layer.weight.grad = None
                after.backward(gradient)
                assert torch.equal(layer.weight.grad, gradient)
                assert int((after != 0).sum()) == after.numel() // 2
                steps.append({"weights": whole(layer.weight), "after": floats(after)})
            seen.append({"shape": size, "scale": float(layer.scale), "steps": steps})
        method = {"name": "s-ste", "n": 2, "m": 4}
        cases.append({"method": method, "length": {"steps": 10, "stepsPerEpoch": 10}, "seen": seen})
    return cases


def pixels_of(count: int, seed: int) -> tuple[list[int], torch.Tensor]:
    """Bytes of images of 3x6x6, and what networks are given for them: mean 1/2, deviation 1/4."""
    draw = random.Random(seed)
    pixels = [draw.randrange(256) for _ in range(count * 108)]
    return pixels, (torch.tensor(pixels, dtype=torch.float64) / 255 - 0.5).reshape(count, 3, 6, 6) / 0.25


def rounded(tensors: list[torch.Tensor]) -> list[list[float]]:
    return [[round(x, 4) for x in floats(tensor)] for tensor in tensors]


def layer_of(x: torch.Tensor, w: torch.Tensor, l: int) -> torch.Tensor:
    """A strided convolution of 3x3, a pointwise one, two linear layers."""
    return torch.nn.functional.conv2d(x, w, stride=2 - l, padding=1 - l) if l < 2 else x @ w.T


def bdwp() -> list[dict]:
    """
    No code was released. What the paper describes, in PyTorch and float64: steps of gradient descent of a small network, in which the
    forward pass has n of every m weights along what a layer reads, found after each step, and gradients of what it reads go
    back through n of every m along what it makes.
    """

    def pattern(weight: torch.Tensor, n: int, m: int, dim: int) -> torch.Tensor:
        kept = torch.zeros_like(weight)
        for group in range(0, weight.shape[dim], m):
            size = min(m, weight.shape[dim] - group)
            part = weight.narrow(dim, group, size)
            largest = part.abs().topk(min(n, size), dim=dim).indices
            kept.narrow(dim, group, size).scatter_(dim, largest, 1)
        return kept

    cases = []
    for seed, (n, m) in enumerate([(2, 8), (1, 4)]):
        shapes = [[8, 3, 3, 3], [12, 8, 1, 1], [9, 12], [5, 9]]
        rate, labels = 1.0, [0, 1, 2, 3, 4, 1]
        pixels, images = pixels_of(len(labels), seed)
        weights = [distinct(shape, 10 * seed + l).double() for l, shape in enumerate(shapes)]
        masks, after = [torch.ones_like(w) for w in weights], []
        before = [whole(w) for w in weights]
        for _ in range(3):
            leaves = [w.clone().requires_grad_() for w in weights]
            x = images
            for l, (w, mask) in enumerate(zip(leaves, masks)):
                x = x.mean((2, 3)) if l == 2 else x
                straight = w + (w * mask - w).detach()
                back = (w * pattern(w, n, m, 0)).detach()
                # The first term has the value and the gradient of the weights, the others the gradient of what is read.
                x = layer_of(x.detach(), straight, l) + (layer_of(x, back, l) - layer_of(x, back, l).detach())
                x = x.relu() if l < 3 else x
            torch.nn.functional.cross_entropy(x, torch.tensor(labels)).backward()
            weights = [w - rate * leaf.grad for w, leaf in zip(weights, leaves)]
            masks = [pattern(w, n, m, 1) for w in weights]
            after.append(rounded(weights))
        cases.append(
            {
                "method": {"name": "bdwp", "n": n, "m": m},
                "length": {"steps": 10, "stepsPerEpoch": 10},
                "rate": rate,
                "pixels": pixels,
                "labels": labels,
                "layers": [{"shape": shape, "weights": w} for shape, w in zip(shapes, before)],
                "trained": after,
            }
        )
    return cases


def demp() -> list[dict]:
    """
    The authors' repository holds more than a gigabyte of logs, so it is not run. Its formulas in PyTorch and float64, without noise:
    the sum of the absolute scales times a schedule (there, `optax.cosine_onecycle_schedule`) is added to the loss, and every
    second step units that are not above 0 for any image, in evaluation, leave: all that makes and reads them becomes and stays 0.
    """

    def one_cycle(step: int, end: int, peak: float) -> float:
        top = int(0.3 * end)
        first, last, x = (peak / 25, peak, step / top) if step < top else (peak, peak / 25e4, (step - top) / (end - top))
        return last + (first - last) * (math.cos(math.pi * x) + 1) / 2

    shapes = [[8, 3, 3, 3], [12, 8, 1, 1], [9, 12], [5, 9]]
    labels, length, cases = [0, 1, 2, 3, 4, 1], 10, []
    for seed in range(200):
        rate, peak = (0.5, 0.4) if seed % 2 == 0 else (0.25, 0.6)
        pixels, images = pixels_of(len(labels), 20 + seed)
        weights = [distinct(shape, 30 * seed + l).double() for l, shape in enumerate(shapes)]
        norms = []
        for l, width in enumerate((8, 12)):
            draw = random.Random(7 * seed + l)
            scale = torch.tensor([draw.randrange(128, 1024) / SCALE for _ in range(width)], dtype=torch.float64)
            # Some that are dead from the start, some that die, others that live.
            shift = torch.tensor([(-4, -0.5, -0.25, 0.25)[(c + seed) % 4] for c in range(width)], dtype=torch.float64)
            norms += [scale, shift]
        before = [whole(w) for w in weights], [whole(v) for v in norms]
        running = [(torch.zeros(width).double(), torch.ones(width).double()) for width in (8, 12)]
        gone = [torch.zeros(width, dtype=torch.bool) for width in (8, 12, 9)]

        def seen(numbers: list[torch.Tensor], training: bool) -> tuple[list[torch.Tensor], torch.Tensor]:
            """What is behind each of three activations, and the logits."""
            x, behind = images, []
            for l in range(4):
                x = layer_of(x, numbers[l], l)
                if l < 2:
                    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
                    if training:
                        old = running[l]
                        running[l] = tuple(0.9 * o + 0.1 * n.detach() for o, n in zip(old, (mean, variance)))
                    else:
                        mean, variance = running[l]
                    scale, shift = (v[:, None, None] for v in numbers[4 + 2 * l : 6 + 2 * l])
                    x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt() * scale + shift
                x = x.relu() if l < 3 else x
                x = x.mean((2, 3)) if l == 1 else x
                behind += [x] if l < 3 else []
            return behind, x

        def keep(numbers: list[torch.Tensor]) -> list[torch.Tensor]:
            """Without what belongs to units that are gone."""
            out = [number.clone() for number in numbers]
            for l, dead in enumerate(gone):
                out[l][dead] = 0
                out[l + 1][:, dead] = 0
                for vector in out[4 + 2 * l : 6 + 2 * l] if l < 2 else []:
                    vector[dead] = 0
            return out

        numbers, after, left = [*weights, *norms], [], []
        for step in range(1, 7):
            leaves = [number.clone().requires_grad_() for number in numbers]
            loss = torch.nn.functional.cross_entropy(seen(leaves, True)[1], torch.tensor(labels))
            force = one_cycle(step - 1, length, peak)
            (loss + force * (leaves[4].abs().sum() + leaves[6].abs().sum())).backward()
            numbers = keep([number - rate * leaf.grad for number, leaf in zip(numbers, leaves)])
            if step % 2 == 0:
                for l, x in enumerate(seen(numbers, False)[0]):
                    places = [axis for axis in range(x.dim()) if axis != 1]
                    gone[l] |= (x <= 0).all(places[0]) if len(places) == 1 else (x <= 0).amin(places)
                numbers = keep(numbers)
            after.append(rounded(numbers))
            left.append([int((~dead).sum()) for dead in gone])
        # Where channels leave at each of the three looks, and none of the groups is left without.
        if not 33 > sum(left[1]) > sum(left[3]) > sum(left[5]) or 0 in left[5]:
            continue
        cases.append(
            {
                "method": {"name": "demp", "strength": peak, "noise": 0, "every": 2},
                "length": {"steps": length, "stepsPerEpoch": length},
                "rate": rate,
                "pixels": pixels,
                "labels": labels,
                "layers": [{"shape": shape, "weights": w} for shape, w in zip(shapes, before[0])],
                "norms": [{"scale": before[1][i], "shift": before[1][i + 1]} for i in (0, 2)],
                "trained": after,
                "left": left,
            }
        )
        if len(cases) == 2:
            break
    return cases


# The function, the repository, and the commit that was run; others that it needs. Or the function and the paper alone.
methods = {
    "srigl": (srigl, "calgaryml/condensed-sparsity", "3052bb8bd708918576df4e6e66f273e37c960b24"),
    "sr-ste": (sr_ste, "NM-sparsity/NM-sparsity", "3cebd6be99052ef3e5e216299069d6ca066757d7"),
    "s-ste": (
        s_ste,
        "thu-ml/2by4-pretrain-acc-examples",
        "ff0df22d97137cde8dc7fe86c5e9f3c5837a1cf0",
        ("huyz2023/2by4-pretrain", "9e330125dea71e5a3dee235f4efb8869f9e4cdd0"),
    ),
    "bdwp": (bdwp, "https://arxiv.org/abs/2309.13015"),
    "demp": (demp, "https://arxiv.org/abs/2403.07688"),
    "iss-p": (iss_p, "Jiamian-Wang/Iterative-Soft-Shrinkage-SR", "6e11c433afe0a9907f164d172cc4d3a556557e5f"),
    "chts": (
        chts,
        "biomedical-cybernetics/Cannistraci-Hebb-training",
        "d1677b55a42c7b10be777ea9ab64dab4bdf35626",
    ),
    "hesso": (hesso, "tianyic/only_train_once", "5d0963dea273129c9558bb163605958cda18419d"),
    "dhspg": (dhspg, "tianyic/only_train_once", "ad35adc5425f052be63e6385826963ec62c2523f"),
    "wgsef": (wgsef, "https://arxiv.org/abs/2212.12921"),
    "mask-sparsity": (mask_sparsity, "CASIA-IVA-Lab/MaskSparsity", "2827de4b091d9c8eb58b8bc07975f8157d8dcf00"),
    "snip": (snip, "namhoonlee/snip-public", "f0284968bfa9b17d335587183b1c84cf628efe84"),
    "grasp": (grasp, "alecwangcq/GraSP", "f17d87ac537bfce476ac2424171a8b6eb56499db"),
    "criteria": (criteria, "alooow/fantastic_weights_paper", "565c21f51fe977efda7def26276b3b7e554c8f91"),
    "lottery-jackpots": (lottery_jackpots, "zyxxmu/lottery-jackpots", "1b802ea6f39f50020553bdb3a9bf89f058287156"),
    "dynadiag": (dynadiag, "horizon-research/DynaDiag", "27727cf10fdb23b76c55f01b06276c1bcfd64c09"),
    "chase": (chase, "luuyin/chase", "6190eb8fcb79d87b3972b123eb25933790328622"),
    "mest": (mest, "boone891214/MEST", "a4280265512564928c322fb078c33fe5b76ca87c"),
    "rigl-itop": (
        rigl_itop,
        "Shiweiliuiiiiiii/In-Time-Over-Parameterization",
        "1b6a89e6a467c8fc09f5c9571927ca5ad7c7ef00",
    ),
    "set": (
        set_itop,
        "Shiweiliuiiiiiii/In-Time-Over-Parameterization",
        "1b6a89e6a467c8fc09f5c9571927ca5ad7c7ef00",
    ),
    "granet": (granet, "VITA-Group/GraNet", "f338a2479758ba35660c3d64422ee9c83abb02a5"),
}


def cloned(repository: str, commit: str) -> Path:
    folder = tempfile.mkdtemp()
    for command in (
        ["init", "-q"],
        ["fetch", "-q", "--depth", "1", f"https://github.com/{repository}", commit],
        ["checkout", "-q", "FETCH_HEAD"],
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)
    return Path(folder)


if __name__ == "__main__":
    name = sys.argv[1]
    run, origin, *commits = methods[name]
    repositories = [(origin, commits[0]), *commits[1:]] if commits else []
    code = [Path(path) for path in sys.argv[2:]] or [cloned(*one) for one in repositories]
    header = {
        "from": f"https://github.com/{origin}/tree/{commits[0]}" if commits else origin,
        "command": f"python3 test/train/sparse/oracles/record.py {name}",
        "of": " ".join((run.__doc__ or "").split()),
        "scale": SCALE,
    }
    text = json.dumps({**header, "cases": run(*code)}, separators=(",", ":"))
    Path(__file__).with_name(f"{name}.json").write_text(text.replace('{"method"', '\n{"method"') + "\n")

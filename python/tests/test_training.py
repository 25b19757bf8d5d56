"""Sparse training in PyTorch keeps what it promises, with any optimizer, and goes on where it stopped."""

from __future__ import annotations

import copy
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from models import Cnn, Tagger, Transformer, images, tokens
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import chasec
from chasec import _tensors
from chasec._export import Arguments, ExportOptions, export

CHASE = {"name": "chase", "density": 0.4, "channels": 0.4, "scope": "all", "every": 2, "channelsEvery": 4, "floor": 0.3}

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.9, centered=True),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=1e-3),
}


def loss_of(model: nn.Module, x: Tensor, seed: int) -> Tensor:
    logits = model(x)
    logits = logits["logits"] if isinstance(logits, dict) else logits
    classes = logits.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (logits.numel() // classes,), generator=generator)
    return cross_entropy(logits.reshape(-1, classes), labels)


def assert_masked(model: nn.Module, training: chasec.SparseTraining) -> None:
    parameters = dict(model.named_parameters())
    for name, mask in training.masks().items():
        weight = parameters[name]
        assert mask.shape == weight.shape and mask.dtype == torch.bool
        held = [v for v in training.optimizer.state[weight].values() if torch.is_tensor(v) and v.shape == weight.shape]
        for value in (weight, *held):
            assert not bool(value[~mask].any())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_masked_weights_and_all_that_optimizers_hold_for_them_stay_zero(kind: str) -> None:
    model = Cnn()
    optimizer = OPTIMIZERS[kind](model.parameters())
    # The optimizer has moments already.
    loss_of(model, images(8), 0).backward()
    optimizer.step()
    total = sum(w.numel() for name, w in model.named_parameters() if w.dim() > 1)
    with chasec.SparseTraining(model, optimizer=optimizer, policy=CHASE, steps=24, example_inputs=images(), seed=1) as training:
        assert_masked(model, training)
        assert set(training.masks()) == {"stem.weight", "conv1.weight", "conv2.weight", "fc.weight"}
        for step in range(1, 25):
            optimizer.zero_grad()
            loss_of(model, images(8), step).backward()
            before = training.masks()
            event = training.step()
            assert_masked(model, training)
            after = training.masks()
            if event is None:
                assert all(torch.equal(before[name], after[name]) for name in after)
                continue
            assert event.step == step == training.steps_done
            assert event.total == total and event.density == event.live / total
            assert event.live == sum(int(mask.sum()) for mask in after.values()) == round(training.density * total)
            assert event.grown == sum(int((after[n] & ~before[n]).sum()) for n in after)
            assert event.pruned == sum(int((before[n] & ~after[n]).sum()) for n in after)
            for removed in event.removed:
                assert removed.made and removed.read
                for place in (*removed.made, *removed.read):
                    gone = after[place.parameter].index_select(place.axis, torch.tensor(place.indices))
                    assert not bool(gone.any())
                    assert place.module in dict(model.named_modules())
        assert abs(training.density - 0.4) < 2e-3
        assert sum(event.removed_channels for event in training.events) > 0
        assert sum(event.restarted for event in training.events) > 0
        result = training.compile(images(), dynamic_batch=True)
        assert result.figures.macs_after < result.figures.macs_before


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize("make, draw", [(Transformer, tokens), (Tagger, tokens)], ids=["transformer", "tagger"])
def test_weights_are_found_whatever_the_exporter_does_to_them(make: Any, draw: Any, exporter: Any) -> None:
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    linear = {
        name for name, weight in model.named_parameters() if weight.dim() == 2 and not name.startswith(("embedding", "lstm"))
    }
    arguments: dict[str, Any] = {"policy": CHASE, "steps": 12, "example_inputs": draw(), "exporter": exporter}
    with chasec.SparseTraining(model, optimizer=optimizer, **arguments) as training:
        assert set(training.masks()) == linear
        for step in range(1, 13):
            optimizer.zero_grad()
            loss_of(model, draw(), step).backward()
            training.step()
            assert_masked(model, training)
        assert sum(event.removed_channels for event in training.events) > 0
        assert training.compile(draw()).max_error is not None


def test_frozen_and_tied_weights_keep_all_of_theirs() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 16)
            self.frozen, self.left, self.trained = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
            self.head = nn.Linear(16, 20, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.relu(self.left(torch.relu(self.frozen(self.embedding(x)))))
            logits: Tensor = self.head(torch.relu(self.trained(hidden)))
            return logits

    model = Tied()
    model.frozen.weight.requires_grad_(False)
    optimizer = torch.optim.SGD([model.embedding.weight, *model.trained.parameters()], lr=0.1)
    with chasec.SparseTraining(
        model, optimizer=optimizer, policy={"name": "set", "every": 1}, steps=4, example_inputs=tokens()
    ) as training:
        assert set(training.masks()) == {"trained.weight"}


def train(training: chasec.SparseTraining, model: nn.Module, first: int, last: int) -> None:
    for step in range(first, last + 1):
        training.optimizer.zero_grad()
        generator = torch.Generator().manual_seed(step)
        loss_of(model, torch.randn(8, 2, 6, 6, generator=generator), step).backward()
        training.step()


@pytest.mark.parametrize(
    "policy",
    [CHASE, {"name": "n-of-m", "n": 1, "m": 2, "decay": "mask", "begin": 0.1, "until": 0.8}, {"name": "rigl", "every": 3}],
    ids=lambda policy: policy["name"],
)
@pytest.mark.parametrize("stop", [7, 8])
def test_a_training_that_was_stopped_ends_with_the_same_bits(policy: Any, stop: int) -> None:
    begun = Cnn()

    def make() -> tuple[nn.Module, chasec.SparseTraining]:
        model = copy.deepcopy(begun)
        optimizer = OPTIMIZERS["sgd"](model.parameters())
        arguments: dict[str, Any] = {"steps": 20, "steps_per_epoch": 5, "example_inputs": images(), "seed": 4}
        return model, chasec.SparseTraining(model, optimizer=optimizer, policy=policy, **arguments)

    whole, training = make()
    with training:
        train(training, whole, 1, 20)
        masks = training.masks()
    half, training = make()
    file = io.BytesIO()
    with training:
        train(training, half, 1, stop)
        saved = {"model": half.state_dict(), "optimizer": training.optimizer.state_dict(), "sparse": training.state_dict()}
        torch.save(saved, file)
    file.seek(0)
    saved = torch.load(file)
    rest, training = make()
    with training:
        rest.load_state_dict(saved["model"])
        training.optimizer.load_state_dict(saved["optimizer"])
        training.load_state_dict(saved["sparse"])
        assert training.steps_done == stop
        train(training, rest, stop + 1, 20)
        assert all(torch.equal(mask, masks[name]) for name, mask in training.masks().items())
    assert all(torch.equal(value, rest.state_dict()[name]) for name, value in whole.state_dict().items())


METHODS: list[dict[str, Any]] = [
    CHASE,
    {"name": "rigl", "density": 0.3, "every": 2, "until": 1},
    {"name": "set", "density": 0.3, "every": 2},
    {"name": "granet", "density": 0.3, "every": 2, "until": 1},
    {"name": "n-of-m", "n": 1, "m": 4, "decay": "mask", "begin": 0.1, "until": 0.8, "every": 2},
    # At a density of 0.3 two gradients come so near to each other that rounding decides.
    {"name": "srigl", "density": 0.25, "every": 2, "until": 1},
    {"name": "sr-ste", "n": 1, "m": 4, "maskedDecay": 0.02},
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["name"])
def test_masks_are_those_of_chasec_train_on_the_same_batches(method: Any, tmp_path: Path, root: Path) -> None:
    model = Cnn()
    recipe = {
        "method": method,
        "epochs": 6,
        "batch": 8,
        "learningRate": {"schedule": "cosine", "peak": 0.02, "warmup": 0},
        "augmentation": {"padding": 1, "flip": True},
        "seed": 3,
    }
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    model.eval()
    options = ExportOptions("torchscript", dynamic_batch=True, structure=True)
    export(model, Arguments.of(images()), model(images()), tmp_path / "model.onnx", options)
    model.train()
    record = ["node", "--import", "tsx", "test/python/record-training.ts"]
    files = [str(tmp_path / "model.onnx"), str(tmp_path / "recipe.json"), str(tmp_path)]
    subprocess.run([*record, *files], cwd=root, check=True)
    run = json.loads((tmp_path / "run.json").read_text())
    assert len(run["updates"]) >= 20
    batches, wanted = (_tensors.load(tmp_path / f"{name}.safetensors") for name in ("batches", "masks"))
    optimizer = torch.optim.SGD(model.parameters(), lr=1, momentum=0.9, weight_decay=5e-4)

    def assert_equal(step: int) -> None:
        masks = training.masks()
        assert {f"{step}/{name}" for name in masks} == {name for name in wanted if name.startswith(f"{step}/")}
        assert all(torch.equal(mask, wanted[f"{step}/{name}"]) for name, mask in masks.items()), f"step {step}"

    with chasec.SparseTraining(
        model,
        optimizer=optimizer,
        policy=method,
        steps=run["steps"],
        steps_per_epoch=run["stepsPerEpoch"],
        seed=recipe["seed"],
        example_inputs=images(),
    ) as training:
        assert_equal(0)
        for step in range(1, run["steps"] + 1):
            optimizer.param_groups[0]["lr"] = run["rates"][step - 1]
            optimizer.zero_grad()
            loss = cross_entropy(model(batches[f"images/{step}"]), batches[f"labels/{step}"])
            loss.backward()
            assert loss.item() == pytest.approx(run["losses"][step - 1], abs=1e-5)
            event = training.step()
            assert (event is not None) == (step in run["updates"])
            if event is not None:
                assert_equal(step)


def test_two_processes_decide_as_one(tmp_path: Path, root: Path) -> None:
    script = str(root / "python" / "tests" / "distributed.py")
    subprocess.run([sys.executable, script, str(tmp_path / "one")], check=True, env={**os.environ})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*command, str(tmp_path / "two")], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    one, first, second = (torch.load(tmp_path / name) for name in ("one-0.pt", "two-0.pt", "two-1.pt"))
    assert one["events"] == first["events"] == second["events"] and len(first["events"]) >= 10
    assert one["removed"] > 0
    for step, masks in enumerate(one["masks"]):
        for name, mask in masks.items():
            assert torch.equal(mask, first["masks"][step][name]) and torch.equal(mask, second["masks"][step][name])
    for name, value in first["held"].items():
        assert torch.equal(value, second["held"][name]), name
        torch.testing.assert_close(value, one["held"][name], rtol=1e-4, atol=1e-5)
    # What the first rank refuses is refused on both.
    for result in (first, second):
        assert result["errors"] == ["CommandError", "TrainingError"]


def test_half_precision_with_a_scaler_that_skips() -> None:
    model = Cnn()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    with chasec.SparseTraining(model, optimizer=optimizer, policy=CHASE, steps=8, example_inputs=images()) as training:
        skipped = 0
        while training.steps_done < 8:
            before = training.steps_done
            optimizer.zero_grad()
            scaler.scale(loss_of(model, images(8), before)).backward()
            if skipped < 3:
                model.fc.weight.grad[0] = float("inf")
            scaler.unscale_(optimizer)
            event = training.step(scaler=scaler)
            scaler.update()
            if training.steps_done == before:
                skipped += 1
                assert event is None
            assert_masked(model, training)
        assert skipped == 3 and len(training.events) == 4


def test_a_closure_and_a_compiled_model() -> None:
    model = Cnn()
    compiled: Any = torch.compile(model, backend="eager")
    optimizer = torch.optim.Adam(model.parameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(compiled, images(8), 1)
        loss.backward()
        return loss

    with chasec.SparseTraining(compiled, optimizer=optimizer, policy=CHASE, steps=9, example_inputs=images()) as training:
        assert [training.step(closure) is not None for _ in range(2)] == [False, True]
        assert_masked(model, training)


def test_the_first_step_of_snip_is_for_the_masks_alone() -> None:
    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    policy = {"name": "snip", "density": 0.3}
    with chasec.SparseTraining(model, optimizer=optimizer, policy=policy, steps=4, example_inputs=images()) as training:
        assert training.density == 1
        loss_of(model, images(8), 1).backward()
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        parameters = dict(model.named_parameters())
        saliency = {name: (before[name] * parameters[name].grad).abs() for name in training.masks()}
        event = training.step()
        assert event is not None and event.density == training.density and abs(training.density - 0.3) < 2e-3
        masks = training.masks()
        assert all(torch.equal(weight, before[name] * masks.get(name, 1)) for name, weight in parameters.items())
        least = min(float(saliency[name][mask].min()) for name, mask in masks.items() if bool(mask.any()))
        assert all(float(saliency[name][~mask].max()) <= least for name, mask in masks.items() if not bool(mask.all()))
        for step in range(2, 5):
            optimizer.zero_grad()
            loss_of(model, images(8), step).backward()
            assert training.step() is None
            assert all(torch.equal(mask, masks[name]) for name, mask in training.masks().items())
        assert_masked(model, training)


def test_what_cannot_be_trained() -> None:
    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    common: dict[str, Any] = {"optimizer": optimizer, "example_inputs": images()}
    with pytest.raises(chasec.CommandError, match=r"method.densty.*Did you mean density\?"):
        chasec.SparseTraining(model, policy={"name": "chase", "densty": 0.1}, steps=100, **common)
    with pytest.raises(chasec.CommandError, match="interval within the training"):
        chasec.SparseTraining(model, policy={"name": "rigl", "every": 1000}, steps=100, **common)
    with pytest.raises(chasec.CommandError, match="snip"):
        chasec.SparseTraining(model, policy={"name": "rigl", "distribution": "snip", "every": 5}, steps=100, **common)
    with pytest.raises(chasec.CommandError, match="differentiates the gradients"):
        chasec.SparseTraining(model, policy="grasp", steps=100, **common)
    with pytest.raises(chasec.CommandError, match="a layer whose weights are trained"):
        norms = [module.weight for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        chasec.SparseTraining(model, steps=100, **{**common, "optimizer": torch.optim.SGD(norms, lr=0.1)})
    with pytest.raises(chasec.TrainingError, match="no parameter of the model"):
        other = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
        chasec.SparseTraining(model, steps=100, **{**common, "optimizer": other})
    training = chasec.SparseTraining(model, policy=CHASE, steps=100, **common)
    other_training = chasec.SparseTraining(model, policy=CHASE, steps=101, **common)
    with pytest.raises(chasec.TrainingError, match="another training|training with"):
        training.load_state_dict(other_training.state_dict())
    other_training.close()
    loss_of(model, images(8), 1).backward()
    training.step()
    model.fc.weight.grad[0] = float("nan")
    with pytest.raises(chasec.TrainingError, match="fc.weight before step 2 is not finite"):
        training.step()
    training.close()
    training.close()
    with pytest.raises(chasec.TrainingError, match="closed"):
        training.step()


def test_a_child_that_dies_is_an_error() -> None:
    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with chasec.SparseTraining(model, optimizer=optimizer, policy=CHASE, steps=9, example_inputs=images()) as training:
        assert training._driver is not None
        os.kill(training._driver._process.pid, signal.SIGKILL)
        with pytest.raises(chasec.ChasecError, match="has ended: exit code -9"):
            training.state_dict()

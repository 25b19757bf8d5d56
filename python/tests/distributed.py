"""Trains by itself, or under torchrun with what each batch has in equal parts; writes PREFIX-RANK.pt."""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import chasec

STEPS = 24
POLICY = {"name": "chase", "density": 0.4, "channels": 0.4, "scope": "all", "every": 2, "channelsEvery": 4, "floor": 0.3}


def network() -> nn.Module:
    """Without batch normalisation, which would see other batches in two processes."""
    return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))


def data(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(16, 10, generator=generator), torch.randint(0, 4, (16,), generator=generator)


def errors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    found: list[str] = []
    common: dict[str, Any] = {"optimizer": optimizer, "steps": 10, "example_inputs": torch.randn(2, 10)}
    try:
        chasec.SparseTraining(model, policy={"name": "chase", "densty": 0.1}, **common)
    except chasec.ChasecError as error:
        found.append(type(error).__name__)
    with chasec.SparseTraining(model, policy=POLICY, **common) as training:
        try:
            training.load_state_dict({**training.state_dict(), "start": None})
        except chasec.ChasecError as error:
            found.append(type(error).__name__)
    return found


def main(prefix: str) -> None:
    several = dist.is_torchelastic_launched()
    if several:
        dist.init_process_group("gloo")
    rank, count = (dist.get_rank(), dist.get_world_size()) if several else (0, 1)
    torch.manual_seed(0)
    plain = network()
    model = nn.parallel.DistributedDataParallel(plain) if several else plain
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    masks: list[dict[str, Tensor]] = []
    with chasec.SparseTraining(
        model, optimizer=optimizer, policy=POLICY, steps=STEPS, example_inputs=torch.randn(2, 10), seed=2
    ) as training:
        masks.append(training.masks())
        for step in range(1, STEPS + 1):
            inputs, labels = data(step)
            optimizer.zero_grad()
            cross_entropy(model(inputs[rank::count]), labels[rank::count]).backward()
            training.step()
            masks.append(training.masks())
        held = {name: value.detach().clone() for name, value in plain.named_parameters()}
        held |= {f"{name} momentum": optimizer.state[value]["momentum_buffer"] for name, value in plain.named_parameters()}
        events = [str(event) for event in training.events]
        removed = sum(event.removed_channels for event in training.events)
    errors = errors_of(model, optimizer)
    torch.save({"masks": masks, "held": held, "events": events, "removed": removed, "errors": errors}, f"{prefix}-{rank}.pt")
    if several:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])

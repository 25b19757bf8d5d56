"""What an update of the masks did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerUpdate:
    """Counts of one layer. ``live``: weights kept; ``capacity``: weights in channels that are left."""

    layer: str
    pruned: int
    grown: int
    restarted: int
    live: int
    capacity: int


@dataclass(frozen=True)
class Place:
    """Indices along an axis of a parameter."""

    parameter: str
    axis: int
    indices: tuple[int, ...]

    @property
    def module(self) -> str:
        """The module that the parameter is of."""
        return self.parameter.rpartition(".")[0]


@dataclass(frozen=True)
class RemovedChannels:
    """Channels that are gone for good: where they lie in the parameters that made them, and in those that read them."""

    stream: str
    channels: tuple[int, ...]
    made: tuple[Place, ...]
    read: tuple[Place, ...]


@dataclass(frozen=True)
class UpdateEvent:
    """An update after ``step`` steps of the optimizer.

    ``density`` is ``live / total``. A grown weight was masked and starts at 0, as does a restarted one, which was pruned and
    grown by the same update.
    """

    step: int
    density: float
    live: int
    total: int
    pruned: int
    grown: int
    restarted: int
    layers: tuple[LayerUpdate, ...]
    removed: tuple[RemovedChannels, ...]

    @property
    def removed_channels(self) -> int:
        """How many channels this update removed."""
        return sum(len(one.channels) for one in self.removed)

    def __str__(self) -> str:
        return (
            f"step {self.step}: density {self.density:.3f}, pruned {self.pruned}, grown {self.grown}, "
            f"{self.removed_channels} channels removed"
        )


def event_of(json: Mapping[str, Any]) -> UpdateEvent:
    """The event that `chasec drive` tells of."""
    return UpdateEvent(
        step=json["step"],
        density=json["density"],
        live=json["live"],
        total=json["total"],
        pruned=json["pruned"],
        grown=json["grown"],
        restarted=json["restarted"],
        layers=tuple(LayerUpdate(**layer) for layer in json["layers"]),
        removed=tuple(
            RemovedChannels(one["stream"], tuple(one["channels"]), _places(one["made"]), _places(one["read"]))
            for one in json["removed"]
        ),
    )


def _places(list: list[dict[str, Any]]) -> tuple[Place, ...]:
    return tuple(Place(one["tensor"], one["axis"], tuple(one["indices"])) for one in list)

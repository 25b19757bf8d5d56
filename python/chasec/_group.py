"""Several processes that train one model: the first decides, all do the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ._errors import ChasecError

T = TypeVar("T")


class Group:
    """The processes of `torch.distributed`; one alone where it is not initialised."""

    def __init__(self, group: Any = None) -> None:
        self._several = dist.is_available() and dist.is_initialized() and dist.get_world_size(group) > 1
        self._group = group
        self.leads = not self._several or dist.get_rank(group) == 0

    def lead(self, work: Callable[[], T]) -> T:
        """What `work` gives on the first rank. An error there is raised on every rank, so that none waits for ever."""
        if not self._several:
            return work()
        told: list[Any] = [None, None]
        if self.leads:
            try:
                told[0] = work()
            except ChasecError as error:
                told[1] = error
            except Exception as error:
                told[1] = ChasecError(f"{type(error).__name__} on the first rank: {error}")
        dist.broadcast_object_list(told, self._source(), self._group)
        if told[1] is not None:
            raise told[1]
        result: T = told[0]
        return result

    def share(self, read: Callable[[], Mapping[str, Tensor]], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Booleans that `read` gives on the first rank, in the shapes and on the devices of `like`, on every rank."""
        if not self._several:
            found = read()
            return {name: found[name].to(tensor.device, copy=True) for name, tensor in like.items()}
        device = next(iter(like.values())).device
        flat = torch.empty(sum(tensor.numel() for tensor in like.values()), dtype=torch.uint8, device=device)

        def gather() -> None:
            found = read()
            torch.cat([found[name].reshape(-1).to(device, torch.uint8) for name in like], out=flat)

        self.lead(gather)
        dist.broadcast(flat, self._source(), self._group)
        out: dict[str, Tensor] = {}
        at = 0
        for name, tensor in like.items():
            part = flat[at : at + tensor.numel()].reshape(tensor.shape)
            out[name] = part.to(tensor.device, torch.bool)
            at += tensor.numel()
        return out

    def _source(self) -> int:
        return 0 if self._group is None else dist.get_global_rank(self._group, 0)

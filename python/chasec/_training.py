"""Sparse training of PyTorch models by chasec's policies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from . import _tensors
from ._cli import Driver, Json
from ._compile import CompileResult, compile
from ._errors import TrainingError
from ._event import UpdateEvent, event_of
from ._export import Arguments, Exporter, ExportOptions, Inputs, export
from ._group import Group
from ._masks import plain_copy, unwrapped

T = TypeVar("T")

# Bits of the smallest normal float32, the code of element 0; of as many as there are finite codes.
_FIRST_CODE = 0x00800000
_CODES = 0x7F800000 - _FIRST_CODE


class SparseTraining:
    """Keeps a model sparse while any optimizer trains it.

        training = chasec.SparseTraining(model, optimizer=optimizer, policy="chase", steps=10_000, example_inputs=images)
        for images, labels in batches:
            optimizer.zero_grad()
            loss_of(model(images), labels).backward()
            event = training.step()             # in place of optimizer.step()

    From the start on masked weights, their gradients and everything that the optimizer remembers for each of them (momentum,
    moments of Adam, ...) are 0. After some steps the policy looks at weights and gradients, drops weights, grows others
    and removes channels for good; `step` then gives an UpdateEvent. Masked are the weights of convolutions and linear
    layers that are trained and shared with nothing; `masks` has them.

    The policy runs in a child process, which `close`, or leaving a `with` block, ends.

    Under `torch.distributed` every process has a SparseTraining of its own and calls `step` equally often. The first rank has
    the child and decides by its weights and gradients, so gradients must be averaged by then, as
    DistributedDataParallel does; masks go to all ranks. Errors of the first rank are raised on all of them.

    With a GradScaler call `scaler.unscale_(optimizer)`, then `training.step(scaler=scaler)`, then `scaler.update()`; a step
    that the scaler skips does not count. Gradients may be clipped before `step`, which scales what the policy sees.

    Policies that keep training masked weights (n-of-m) multiply them in the forward pass; the model then holds the
    multiplied weights between steps, and `state_dict` the whole ones.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        optimizer: Optimizer,
        steps: int,
        example_inputs: Inputs,
        policy: str | Mapping[str, Any] = "chase",
        steps_per_epoch: int | None = None,
        seed: int = 0,
        exporter: Exporter = "auto",
        folder: str | Path | None = None,
        process_group: Any = None,
    ) -> None:
        """
        Arguments:
            model: also one inside of DistributedDataParallel or torch.compile.
            steps: of the optimizer in the whole training; policies plan by it.
            example_inputs: as for `compile`; their values do not matter.
            policy: the name of a method of `chasec train`, or the object `method` of a recipe: {"name": "chase",
                "density": 0.1, "channels": 0.5}.
            steps_per_epoch: for intervals in epochs; by default the training is one epoch.
            seed: decides the masks to begin with and whatever is drawn later.
            folder: where files go back and forth; by default a temporary one, in memory where there is room.

        Raises ExportError, CommandError (a policy that makes no sense, a model without weights to mask), ChasecNotFound and
        TrainingError.
        """
        self.model = unwrapped(model)
        self.optimizer = optimizer
        self.steps = steps
        self.steps_done = 0
        self._hook: RemovableHandle | None = None
        self._driver: Driver | None = None
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        # What updates did since this was made.
        self.events: list[UpdateEvent] = []
        self._start: Json = {
            "request": "start",
            "method": {"name": policy} if isinstance(policy, str) else dict(policy),
            "steps": steps,
            "stepsPerEpoch": steps if steps_per_epoch is None else steps_per_epoch,
            "seed": seed,
        }
        if any(hasattr(parameter, "device_mesh") for parameter in self.model.parameters()):
            raise TrainingError("the parameters are sharded; DistributedDataParallel is what can be trained sparsely")
        self._group = Group(process_group)
        self._dense: dict[str, Tensor] = {}
        self._stepped = False
        self._hook = optimizer.register_step_post_hook(self._note_step)

        def begin() -> Json:
            self._folder = self._folder_for(folder)
            self._start["tensors"] = _export_coded(
                self.model, optimizer, Arguments.of(example_inputs), self._folder / "model.onnx", exporter
            )
            self._driver = Driver(self._folder)
            return self._driver.request(self._start)

        try:
            self._begin(self._group.lead(begin))
        except BaseException:
            self.close()
            raise

    # What a loop calls.

    def step(self, closure: Callable[[], Any] | None = None, *, scaler: Any = None) -> UpdateEvent | None:
        """Steps the optimizer, and does what the policy does after this step; gives what it did, if anything.

        Raises TrainingError where gradients that an update looks at are not finite, or after `close`.
        """
        if self._hook is None:
            raise TrainingError("this training is closed")
        due = self._next is not None and self._next["step"] == self.steps_done + 1
        kept: dict[str, Tensor] = {}

        def prepare() -> None:
            if due and self._next is not None and self._next["gradients"]:
                kept.update({name: _gradient_of(weight).clone() for name, weight in self._weights.items()})
            if self._masked_decay > 0:
                self._unscale(scaler)
            self._mask_gradients()

        def evaluate() -> Any:
            loss = None if closure is None else closure()
            prepare()
            return loss

        if closure is None:
            prepare()
        if kept and not self._finite(kept, scaler is not None):
            scaler.step(self.optimizer)
            return None
        self._take_out()
        self._stepped = False
        arguments = () if closure is None else (evaluate,)
        if due and self._next is not None and self._next["skips"]:
            # The policy wants the gradients of this step, not the step. A scaler is told what it would have seen.
            if closure is not None:
                evaluate()
            self._unscale(scaler)
            self._stepped = True
        elif scaler is None:
            self.optimizer.step(*arguments)
        else:
            scaler.step(self.optimizer, *arguments)
        if not self._stepped:
            self._put_in()
            return None
        self.steps_done += 1
        self._mask_weights()
        event = self._update(kept) if due else None
        self._put_in()
        return event

    def masks(self) -> dict[str, Tensor]:
        """By name in the state dict: True for kept weights. Copies, on the devices of the weights."""
        return {name: mask.clone() for name, mask in self._masks.items()}

    @property
    def density(self) -> float:
        """Fraction of the weights with masks that is kept."""
        total = sum(mask.numel() for mask in self._masks.values())
        return sum(int(mask.sum()) for mask in self._masks.values()) / max(1, total)

    def compile(self, example_inputs: Inputs, **options: Any) -> CompileResult:
        """Compiles the model as it is now, with its masks; takes the options of `chasec.compile`."""
        return compile(self.model, example_inputs, self.masks(), **options)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs besides the states of model and optimizer, for torch.save.

        Under torch.distributed that of the first rank is complete.
        """
        state: dict[str, Any] = {"steps_done": self.steps_done, "start": self._identity(), "policy": None}
        state["dense"] = {name: weight.detach().cpu().clone() for name, weight in self._dense.items()}
        if self._driver is not None:
            self._driver.request({"request": "save", "step": self.steps_done})
            data = bytearray((self._folder / "state.safetensors").read_bytes())
            state["policy"] = torch.frombuffer(data, dtype=torch.uint8).clone()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was called, to the same bits, once model and optimizer are loaded too.

        Raises TrainingError for the state of another training, CommandError for one of another model.
        """

        def resume() -> Json:
            if self._driver is None or state["policy"] is None:
                raise TrainingError("the state to go on from is that of the first rank")
            if state["start"] != self._identity():
                raise TrainingError(f"the state is of a training with {state['start']}, this one has {self._identity()}")
            (self._folder / "state.safetensors").write_bytes(state["policy"].numpy().tobytes())
            return self._driver.request({**self._start, "resume": True})

        answer = self._group.lead(resume)
        self._dense = {}
        weights = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, weight in state["dense"].items():
                weights[name].copy_(weight)
        self._begin(answer)

    def close(self) -> None:
        """Ends the child process. The model stays as it is. May be called twice."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self._driver is not None:
            self._driver.close()
            self._driver = None
        if self._kept is not None:
            self._kept.cleanup()
            self._kept = None

    def __enter__(self) -> SparseTraining:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_driver", None) is not None:
            self.close()

    # How it is done.

    def _begin(self, answer: Json) -> None:
        parameters = dict(self.model.named_parameters())
        self._weights: dict[str, nn.Parameter] = {name: parameters[name] for name in answer["tensors"]}
        self._zeroed: bool = answer["masked"] == "zeroed"
        self._masked_decay: float = answer["maskedDecay"]
        self.steps_done = answer["step"]
        self._plan(answer)
        self._masks = self._received("masks")
        if self._zeroed:
            self._carry(self._masks)
        else:
            self._put_in()

    def _plan(self, answer: Json) -> None:
        self._next: Json | None = answer["next"]
        self._multipliers: list[float] = answer["multipliers"]
        self._planned_at = self.steps_done

    def _update(self, gradients: Mapping[str, Tensor]) -> UpdateEvent | None:
        def decide() -> Json:
            assert self._driver is not None
            _save(self._weights, self._folder / "weights.safetensors")
            if gradients:
                _save(gradients, self._folder / "gradients.safetensors")
            return self._driver.request({"request": "update", "step": self.steps_done})

        answer = self._group.lead(decide)
        self._plan(answer)
        if answer["event"] is None:
            return None
        self._masks = self._received("masks")
        if self._zeroed:
            self._carry(self._received("carry"))
        event = event_of(answer["event"])
        self.events.append(event)
        return event

    def _received(self, what: str) -> dict[str, Tensor]:
        """Masks that the child has written, on the devices of the weights, on every rank."""

        def read() -> dict[str, Tensor]:
            return _tensors.load(self._folder / f"{what}.safetensors")

        return self._group.share(read, self._weights)

    def _carry(self, factors: Mapping[str, Tensor]) -> None:
        """Multiplies weights, and all that the optimizer remembers for each of them."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.mul_(factors[name])
                for value in self.optimizer.state.get(weight, {}).values():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        value.mul_(factors[name])

    def _unscale(self, scaler: Any) -> None:
        """Unscales gradients, unless the loop has done so already."""
        if scaler is not None:
            with contextlib.suppress(RuntimeError):
                scaler.unscale_(self.optimizer)

    def _mask_gradients(self) -> None:
        """Makes of the gradients what the optimizer is given."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                if weight.grad is None:
                    continue
                if self._zeroed:
                    weight.grad.mul_(self._masks[name])
                elif self._masked_decay > 0:
                    weight.grad.add_(self._dense[name] * ~self._masks[name], alpha=self._masked_decay)

    def _mask_weights(self) -> None:
        if not self._zeroed:
            return
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.mul_(self._masks[name])

    def _take_out(self) -> None:
        """Puts the whole weights back for the optimizer, where the model computes with multiplied ones."""
        with torch.no_grad():
            for name, weight in self._dense.items():
                self._weights[name].copy_(weight)

    def _put_in(self) -> None:
        """Gives the model the weights that it computes with in the next step, where the policy trains masked ones on."""
        if self._zeroed:
            return
        index = min(self.steps_done - self._planned_at, len(self._multipliers) - 1)
        multiplier = self._multipliers[index]
        with torch.no_grad():
            for name, weight in self._weights.items():
                self._dense[name] = weight.detach().clone()
                weight.mul_(self._masks[name] + ~self._masks[name] * multiplier)

    def _finite(self, gradients: Mapping[str, Tensor], scaled: bool) -> bool:
        """Whether gradients are finite; where a scaler will not skip the step, others are an error."""
        bad = next((name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())), None)
        if bad is not None and not scaled:
            raise TrainingError(f"the gradient of {bad} before step {self.steps_done + 1} is not finite")
        return bad is None

    def _note_step(self, *_: object) -> None:
        self._stepped = True

    def _identity(self) -> Json:
        return {key: self._start[key] for key in ("method", "steps", "stepsPerEpoch", "seed")}

    def _folder_for(self, folder: str | Path | None) -> Path:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            return Path(folder)
        size = sum(parameter.numel() for parameter in self.model.parameters()) * 4
        self._kept = tempfile.TemporaryDirectory(prefix="chasec-", dir=_memory_with(4 * size))
        return Path(self._kept.name)


def _memory_with(room: int) -> str | None:
    """The folder that Linux keeps in memory, if it has that much room."""
    shared = Path("/dev/shm")
    try:
        return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > room else None
    except OSError:
        return None


def _gradient_of(weight: nn.Parameter) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad.detach()


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    _tensors.save({name: tensor.detach().float() for name, tensor in tensors.items()}, path)


def _export_coded(model: nn.Module, optimizer: Optimizer, arguments: Arguments, path: Path, exporter: Exporter) -> list[Json]:
    """Exports the model's structure: every element of its parameters has the number of its place for a value.

    So the child process finds each of them in the graph, whatever the exporter calls it and wherever it puts it. Gives the
    parameters in order.
    """
    copy = plain_copy(model).float()
    optimized = {id(parameter) for parameter in _parameters_of(optimizer)}
    trained = {name: one.requires_grad and id(one) in optimized for name, one in model.named_parameters()}
    listed: list[Json] = []
    at = 0
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            end = at + parameter.numel()
            if end > _CODES:
                raise TrainingError(f"the model has more than {_CODES} parameters")
            codes = torch.arange(_FIRST_CODE + at, _FIRST_CODE + end, dtype=torch.int32)
            parameter.copy_(codes.view(torch.float32).reshape(parameter.shape))
            listed.append({"name": name, "shape": list(parameter.shape), "trained": trained.get(name, False)})
            at = end
        floats = arguments.mapped(lambda t: t.float() if t.is_floating_point() else t)
        export(copy, floats, floats.call(copy), path, ExportOptions(exporter, structure=True))
    if not any(entry["trained"] for entry in listed):
        raise TrainingError("the optimizer trains no parameter of the model")
    return listed


def _parameters_of(optimizer: Optimizer) -> Iterable[Tensor]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])

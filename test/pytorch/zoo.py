"""Compiles models that PyTorch exports, under masks as people have them, and compares with PyTorch.

    npm run build
    python3 test/pytorch/zoo.py [--quick] [--only NAME]... [--exporter torchscript|dynamo] [--static|--dynamic]
                                [--saving SAVING]... [--sensitivity] [--keep DIR]

Each row: the dense model is exported, the masks are saved, `chasec compile` gets both, and what it writes runs in ONNX
Runtime beside the PyTorch model whose weights were multiplied by the masks. `zeros` exports the masked model instead.
Needs torch, torchvision, timm, transformers, onnx, onnxscript, onnxruntime and safetensors.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import torch
from exports import EXPORTERS, export, quiet
from savings import SAVINGS
from torch import Tensor, nn

from masks import Masks, apply_masks, make_masks
from models import ZOO, Entry, create, pruned_part

ROOT = Path(__file__).resolve().parents[2]
CORE = ("resnet18", "mobilenet_v2", "timm_vit", "bert")
QUICK = (("resnet18", "torchscript"), ("bert", "torchscript"), ("mobilenet_v2", "dynamo"), ("timm_vit", "dynamo"))
ZEROS = "zeros"
CORE_SAVINGS = ("state-dict", "prune", "ddp", "compile", "checkpoint", ZEROS)
OTHER_SAVINGS = ("state-dict", "prune", "checkpoint")
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Case:
    """One export of a model and one file of masks for it."""

    model: str
    exporter: str
    dynamic: bool
    saving: str

    def __str__(self) -> str:
        return f"{self.model}-{self.exporter}-{'dynamic' if self.dynamic else 'static'}-{self.saving}"


@dataclass
class Row:
    """How a case went: ``problem`` is empty where it passed."""

    case: Case
    masks: int = 0
    problem: str = ""
    matched: str = ""
    parameters: tuple[int, int] = (0, 0)
    macs: tuple[int | None, int | None] = (None, None)
    error: float = float("nan")
    seconds: float = 0.0


class Subject:
    """A model with its masks: dense, masked, and exported either way once for each exporter."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.entry: Entry = ZOO[name]
        self.folder = folder
        self.dense = create(name)
        self.masks: Masks = make_masks(name, pruned_part(self.dense))
        calibrate(self.dense, self.masks, self.entry)
        self.masked = copy.deepcopy(self.dense)
        apply_masks(pruned_part(self.masked), self.masks)
        self.exported: dict[tuple[str, bool, bool], Path] = {}

    def onnx(self, exporter: str, dynamic: bool, masked: bool) -> Path:
        key = (exporter, dynamic, masked)
        if key not in self.exported:
            path = self.folder / f"{self.name}-{exporter}-{'dynamic' if dynamic else 'static'}-{int(masked)}.onnx"
            export(self.masked if masked else self.dense, self.entry, path, exporter, dynamic)
            self.exported[key] = path
        return self.exported[key]

    @cached_property
    def inputs(self) -> list[dict[str, Tensor]]:
        """Inputs as the model was exported, then some of other sizes."""
        torch.manual_seed(7)
        lengths = {"length": 9} if self.entry.text else {}
        return [self.entry.inputs(2), self.entry.inputs(3, **lengths), self.entry.inputs(1)]

    @cached_property
    def expected(self) -> list[list[Tensor]]:
        return [outputs(self.masked, inputs) for inputs in self.inputs]


def calibrate(model: nn.Module, masks: Masks, entry: Entry) -> None:
    """Running statistics that are about those of the masked model, so that its activations stay in range."""
    masked = copy.deepcopy(model)
    apply_masks(pruned_part(masked), masks)
    norms = [module for module in masked.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    with torch.no_grad():
        masked(*entry.inputs(16).values())
    state = masked.state_dict()
    generator = torch.Generator().manual_seed(3)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(state[name] * (0.8 + 0.4 * torch.rand(buffer.shape, generator=generator)))
        if name.endswith("running_var"):
            buffer.clamp_(min=0.05)


def outputs(model: nn.Module, inputs: dict[str, Tensor]) -> list[Tensor]:
    with torch.no_grad(), quiet():
        result = model(*inputs.values())
    return [result] if isinstance(result, Tensor) else list(result)


def relative_error(actual: list[numpy.ndarray], expected: list[Tensor]) -> float:
    """The largest difference beside the largest number, of the worst output."""
    return max(
        float(numpy.abs(a - e.numpy()).max() / max(float(e.abs().max()), 1e-12))
        for a, e in zip(actual, expected, strict=True)
    )


def run_onnx(path: Path, inputs: dict[str, Tensor]) -> list[numpy.ndarray]:
    return session(path, path.stat().st_mtime_ns).run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


@lru_cache(maxsize=4)
def session(path: Path, _: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_error(path: Path, subject: Subject, dynamic: bool) -> float:
    """The worst relative error of a model file, over inputs of all sizes that it takes."""
    pairs = list(zip(subject.inputs, subject.expected, strict=True))
    return max(relative_error(run_onnx(path, inputs), expected) for inputs, expected in pairs[: 3 if dynamic else 1])


def run_case(case: Case, subject: Subject) -> Row:
    """Exports, saves, compiles and compares."""
    row = Row(case, len(subject.masks))
    started = time.monotonic()
    out = subject.folder / str(case)
    try:
        masked = case.saving == ZEROS
        model = subject.onnx(case.exporter, case.dynamic, masked)
        masks = ZEROS if masked else SAVINGS[case.saving](pruned_part(subject.dense), subject.masks, subject.folder)
        report = compile_model(model, str(masks), out)
        fill(row, report)
        row.error = onnx_error(out / "model.onnx", subject, case.dynamic)
        if not row.error < TOLERANCE:
            row.problem = f"computes something else{exporter_to_blame(case, subject)}"
        elif row.parameters[1] >= row.parameters[0]:
            row.problem = "no smaller"
    except CompileError as failure:
        row.problem = str(failure)
    except Exception as failure:  # whatever went wrong is a row of the table
        row.problem = f"{type(failure).__name__}: {one_line(str(failure))}"
    row.seconds = time.monotonic() - started
    return row


def exporter_to_blame(case: Case, subject: Subject) -> str:
    """Says so if the export of the masked model is wrong already."""
    error = onnx_error(subject.onnx(case.exporter, case.dynamic, True), subject, case.dynamic)
    return f" (so does the export: {error:.1e})" if error >= TOLERANCE else ""


class CompileError(Exception):
    """What `chasec compile` said."""


def compile_model(model: Path, masks: str, out: Path) -> dict[str, Any]:
    """Runs the command line and gives its report."""
    command = [
        "node",
        str(ROOT / "dist/cli/main.js"),
        "compile",
        str(model),
        "--masks",
        masks,
        "-o",
        str(out),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise CompileError(sentence(done.stdout) or one_line(done.stderr) or f"exit code {done.returncode}")
    return json.loads(done.stdout)


def sentence(stdout: str) -> str:
    """The error that the command line gives as JSON."""
    try:
        error = json.loads(stdout)["error"]
    except (ValueError, KeyError, TypeError):
        return one_line(stdout)
    if not isinstance(error, dict):
        return one_line(str(error))
    return one_line("{subject}: expected {expected}, found {found}. {help}".format_map({"help": "", **error}))


def fill(row: Row, report: dict[str, Any]) -> None:
    before, after = report["report"]["before"], report["report"]["after"]
    row.parameters = (before["parameters"], after["parameters"])
    row.macs = (before.get("macs"), after.get("macs"))
    row.matched = describe_matching(report.get("matching"), row.masks)


def describe_matching(matching: Any, masks: int) -> str:
    """How many masks found a weight, and by what: ``21 of 21: 20 node, 1 name``."""
    if matching is None:
        return ""
    ways = {one["mask"]: one["way"] for one in reversed(matching["matched"])}
    counts = ", ".join(f"{count} {way}" for way, count in Counter(ways.values()).most_common())
    return f"{len(ways)} of {masks}: {counts}"


def one_line(text: str) -> str:
    return " ".join(text.split())[:400]


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """The cases that the command line asks for."""
    for name, exporter, dynamic in itertools.product(ZOO, EXPORTERS, (False, True)):
        if arguments.only and name not in arguments.only:
            continue
        if arguments.exporter not in (None, exporter) or arguments.axes not in (None, dynamic):
            continue
        if arguments.quick and ((name, exporter) not in QUICK or dynamic == (name == "resnet18")):
            continue
        for saving in arguments.saving or savings_for(name, dynamic):
            yield Case(name, exporter, dynamic, saving)


def savings_for(name: str, dynamic: bool) -> tuple[str, ...]:
    """All for the four models that everybody has; a masked export of the others takes too long to do it twice."""
    if name in CORE:
        return CORE_SAVINGS
    return OTHER_SAVINGS if dynamic else (*OTHER_SAVINGS, ZEROS)


def run_all(wanted: list[Case], keep: Path | None) -> Iterator[Row]:
    """One model after the other; its files go when it is done."""
    for name, group in itertools.groupby(wanted, key=lambda case: case.model):
        with tempfile.TemporaryDirectory(prefix="chasec-zoo-") as temporary:
            folder = keep / name if keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            subject = Subject(name, folder)
            for case in group:
                yield run_case(case, subject)


def thousands(pair: tuple[int | None, int | None]) -> str:
    return " -> ".join("?" if count is None else f"{count / 1000:,.1f}k" for count in pair)


def line(row: Row) -> str:
    case = row.case
    axes = "dynamic" if case.dynamic else "static"
    numbers = f"{thousands(row.parameters):>22} {thousands(row.macs):>26} {row.error:8.1e} {row.seconds:5.1f}s"
    verdict = "PASS" if not row.problem else f"FAIL {row.problem}"
    return f"{case.model:20} {case.exporter:12} {axes:8} {case.saving:11} {numbers} {row.matched:32} {verdict}"


def sensitivity(name: str) -> tuple[float, str]:
    """The smallest effect that the flipped mask of one weight has on the output, and which weight it is."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(name, Path(folder))
    effects: list[tuple[float, str]] = []
    dense = dict(pruned_part(subject.dense).named_parameters())
    for weight_name, weight in pruned_part(subject.masked).named_parameters():
        if weight_name not in subject.masks:
            continue
        right = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(dense[weight_name] * subject.masks[weight_name].flip(tuple(range(weight.dim()))))
            changed = outputs(subject.masked, subject.inputs[0])
            weight.copy_(right)
        effects.append((relative_error([tensor.numpy() for tensor in changed], subject.expected[0]), weight_name))
    return min(effects)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(ZOO), metavar="NAME", help=", ".join(ZOO))
    parser.add_argument("--exporter", choices=EXPORTERS)
    parser.add_argument("--static", dest="axes", action="store_const", const=False)
    parser.add_argument("--dynamic", dest="axes", action="store_const", const=True)
    parser.add_argument("--saving", action="append", choices=[*SAVINGS, ZEROS])
    parser.add_argument("--quick", action="store_true", help="two models for each exporter")
    parser.add_argument("--sensitivity", action="store_true", help="say how much a wrong mask shows, and stop")
    parser.add_argument("--keep", type=Path, help="keep the exports, masks and packages in this folder")
    return parser.parse_args(argv)


def main() -> int:
    arguments = parse()
    if arguments.sensitivity:
        for name in arguments.only or ZOO:
            effect, weight = sensitivity(name)
            print(f"{name:20} {effect:8.1e} {weight}", flush=True)
        return 0
    rows: list[Row] = []
    for row in run_all(list(cases(arguments)), arguments.keep):
        rows.append(row)
        print(line(row), flush=True)
    passed = sum(not row.problem for row in rows)
    print(f"{passed} of {len(rows)} passed")
    return 0 if passed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Models with masks of every kind become packages that compute the same."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import Cnn, Tagger, Transformer, images, tokens
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

import chasec
from chasec import _tensors

LAYERS = (nn.Conv2d, nn.Linear)


def layers_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All but the last, whose outputs are the model's."""
    found = [(name, module) for name, module in model.named_modules() if type(module) in LAYERS]
    return [one for one in found if one[0] not in ("fc", "head")]


def half_of_rows(weight: Tensor) -> Tensor:
    """A mask that takes the weaker half of the output channels, and one weight here and there."""
    norms = weight.detach().flatten(1).abs().sum(1)
    mask = torch.ones_like(weight, dtype=torch.bool)
    mask[norms < norms.median()] = False
    return mask & (torch.arange(weight.numel()).reshape(weight.shape) % 7 != 0)


class Masked(nn.Module):
    """A parametrization that masks."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def by_nothing(model: nn.Module) -> Any:
    for _, layer in layers_of(model):
        layer.weight.data.mul_(half_of_rows(layer.weight))
    return "zeros"


def by_prune(model: nn.Module) -> Any:
    for _, layer in layers_of(model):
        prune.custom_from_mask(layer, "weight", half_of_rows(layer.weight))
    return None


def by_parametrization(model: nn.Module) -> Any:
    for _, layer in layers_of(model):
        parametrize.register_parametrization(layer, "weight", Masked(half_of_rows(layer.weight)))
    return None


def by_name(model: nn.Module) -> Any:
    return {f"{name}.weight": half_of_rows(layer.weight) for name, layer in layers_of(model)}


def by_module(model: nn.Module) -> Any:
    return {layer: half_of_rows(layer.weight).float() for _, layer in layers_of(model)}


def by_parameter(model: nn.Module) -> Any:
    return {layer.weight: half_of_rows(layer.weight).to(torch.uint8) for _, layer in layers_of(model)}


SOURCES = [by_nothing, by_prune, by_parametrization, by_name, by_module, by_parameter]
MODELS: list[tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = [
    (Cnn, images),
    (Transformer, tokens),
    (Tagger, tokens),
]


def masked(model: nn.Module, masks: Any) -> nn.Module:
    """What the masked model is, made without this module."""
    plain = type(model)()
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if name.endswith("weight_orig"):
            state[name.removesuffix("_orig")] = value * model.state_dict()[name.replace("_orig", "_mask")]
        elif ".parametrizations." in name:
            layer = name.split(".parametrizations.")[0]
            state[f"{layer}.weight"] = model.get_submodule(layer).weight.detach()
        elif not name.endswith("weight_mask"):
            state[name] = value
    plain.load_state_dict(state)
    layers = dict(plain.named_modules())
    if isinstance(masks, dict):
        for (name, _), mask in zip(layers_of(model), masks.values()):
            layers[name].weight.data.mul_(mask)
    return plain.eval()


def snapshot(model: nn.Module) -> Any:
    hooks = [[*module._forward_pre_hooks, *module._forward_hooks] for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    kinds = [(type(module), module.training) for module in model.modules()]
    return state, hooks, kinds, [p.requires_grad for p in model.parameters()]


def assert_untouched(model: nn.Module, before: Any) -> None:
    state, *others = snapshot(model)
    assert state.keys() == before[0].keys()
    assert all(torch.equal(value, before[0][name]) for name, value in state.items())
    assert others == list(before[1:])


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("make, draw", MODELS, ids=["cnn", "transformer", "tagger"])
def test_package_computes_what_the_masked_model_does(make: Any, draw: Any, source: Any, exporter: Any) -> None:
    if make is not Cnn and source in (by_module, by_parameter):
        pytest.skip("tried with the CNN")
    model = make().train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    example = draw()
    masks = source(model)
    before = snapshot(model)
    result = chasec.compile(model, example, masks, exporter=exporter, dynamic_batch=True)
    assert_untouched(model, before)
    assert result.max_error is not None and result.max_error < 1e-5
    if make is not Tagger:
        assert result.figures.macs_after < 0.9 * result.figures.macs_before
    other = draw(6)
    with torch.no_grad():
        wanted = masked(model, masks)(other)
    references = list(wanted.values()) if isinstance(wanted, dict) else [wanted]
    outputs = result.run(other)
    assert len(outputs) == len(references)
    for output, reference in zip(outputs, references):
        torch.testing.assert_close(output, reference, rtol=1e-4, atol=1e-5)
    assert str(result.package) in str(result) and "fewer" in str(result)
    model(draw()) if make is not Transformer else model(draw())["logits"]


def test_masks_of_channels_and_of_files(tmp_path: Path) -> None:
    model = Cnn().eval()
    rows = torch.tensor([1, 0] * 8)
    path = tmp_path / "masks.safetensors"
    whole = {"conv1.weight": rows.bool().reshape(-1, 1, 1, 1).expand(16, 8, 3, 3)}
    _tensors.save(whole, path)
    found = [
        chasec.compile(model, images(), masks, output=tmp_path / name)
        for name, masks in (
            ("rows", {"module.conv1.weight_mask": rows}),
            ("broadcast", {"conv1.weight": rows.reshape(16, 1, 1, 1)}),
            ("file", path),
        )
    ]
    assert len({one.model.read_bytes() for one in found}) == 1
    assert found[0].figures.macs_after < found[0].figures.macs_before


def test_masks_of_channels_of_a_transposed_convolution() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(2, 6, 2, stride=2, bias=False), nn.Conv2d(6, 3, 3))
    bits = torch.tensor([1, 0, 1, 0, 0, 1])
    result = chasec.compile(model, torch.randn(1, 2, 5, 5), {"0.weight": bits}, exporter="torchscript", target="cuda")
    model[0].weight.data[:, bits == 0] = 0
    image = torch.randn(1, 2, 5, 5)
    torch.testing.assert_close(result.run(image)[0], model(image), rtol=1e-4, atol=1e-5)
    with pytest.raises(chasec.MaskError, match=r"found \[2\]"):
        chasec.compile(model, image, {"0.weight": torch.ones(2)})


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_masks_of_recurrent_weights(exporter: Any) -> None:
    model, example = Tagger().eval(), tokens()
    bits = torch.rand(model.lstm.weight_hh_l0.shape) > 0.5
    names = ("weight_hh_l0", "weight_hh_l0_reverse")
    prune.custom_from_mask(model.lstm, names[0], bits)
    before = snapshot(model)
    result = chasec.compile(model, example, {f"lstm.{names[1]}": bits}, exporter=exporter)
    assert_untouched(model, before)
    plain = Tagger().eval()
    prune.remove(model.lstm, names[0])
    plain.load_state_dict(model.state_dict())
    plain.lstm.weight_hh_l0_reverse.data.mul_(bits)
    torch.testing.assert_close(result.run(example)[0], plain(example), rtol=1e-4, atol=1e-5)


def test_several_inputs_by_name_and_in_nested_outputs(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor, *, scale: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            hidden = torch.relu(self.a(x)) * scale
            return self.b(hidden), {"hidden": hidden.sum(1), "sign": (hidden > 0).any(1)}

    example = {"x": torch.randn(2, 4), "scale": torch.rand(2, 1)}
    for exporter in ("dynamo", "torchscript"):
        kept = tmp_path / f"{exporter}.onnx"
        result = chasec.compile(Two(), example, exporter=exporter, keep_onnx=kept, output_names=["y", "sum", "sign"])
        assert result.exported == kept and kept.is_file()
        assert len(result.run(**example)) == 3


def test_wrapped_models_and_halves() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    compiled = torch.compile(model)
    assert chasec.compile(compiled, torch.randn(2, 6)).max_error is not None
    assert chasec.compile(copy.deepcopy(model).half(), torch.randn(2, 6).half(), exporter="torchscript").max_error is not None


@pytest.mark.parametrize(
    "masks, told",
    [
        ({"conv9.weight": torch.ones(1)}, r"conv9.weight: the model has no such parameter; did you mean conv[12].weight\?"),
        ({"conv1.weight": torch.ones(3)}, r"expected the shape \[16, 8, 3, 3\], or \[16\] for whole channels, found \[3\]"),
        ({"conv1.weight": torch.full((16,), 0.5)}, "zeros and ones"),
        ({nn.Linear(2, 2): torch.ones(2)}, "not in the model"),
        ({torch.ones(2, 2): torch.ones(2)}, "no parameter of the model"),
        (__file__, "no safetensors file"),
    ],
)
def test_masks_that_do_not_fit(masks: Any, told: str) -> None:
    with pytest.raises(chasec.MaskError, match=told):
        chasec.compile(Cnn(), images(), masks)


def test_what_cannot_be_exported() -> None:
    class Stubborn(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            if torch.compiler.is_exporting() or torch.jit.is_tracing():
                raise RuntimeError("no such path")
            return x

    with pytest.raises(chasec.ExportError, match=r"(?s)dynamo: .*torchscript: "):
        chasec.compile(Stubborn(), torch.ones(2))
    with pytest.raises(chasec.ExportError, match="agree in their first axis"):
        chasec.compile(Stubborn(), (torch.ones(2), torch.ones(3)), exporter="torchscript", dynamic_batch=True)
    with pytest.raises(chasec.ExportError, match="does not take the example inputs: TypeError"):
        chasec.compile(Stubborn(), (torch.ones(2),) * 3)


def test_a_model_that_traces_to_something_else_is_not_published(tmp_path: Path) -> None:
    class Sneaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) * (1.01 if torch.jit.is_tracing() else 1.0)

    with pytest.raises(chasec.VerificationError, match="nothing was published") as caught:
        chasec.compile(Sneaky(), torch.randn(2, 4), exporter="torchscript", output=tmp_path / "out")
    assert 0.005 < caught.value.difference < 0.02 and caught.value.tolerance == 1e-4
    assert not (tmp_path / "out").exists()
    loose = chasec.compile(Sneaky(), torch.randn(2, 4), exporter="torchscript", output=tmp_path / "out", tolerance=0.1)
    assert loose.max_error == pytest.approx(0.01, rel=0.3)


def test_what_the_command_line_refuses(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(chasec.CommandError) as caught:
        chasec.compile(Cnn(), images(), output=tmp_path / "mine")
    assert str(tmp_path / "mine") in str(caught.value)
    assert caught.value.kind and caught.value.expected and caught.value.help


def test_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHASEC", "no-such-program --at all")
    with pytest.raises(chasec.ChasecNotFound, match="no-such-program"):
        chasec.compile(Cnn(), images(), verify=False)


def test_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(chasec.MissingPackage, match="pip install onnxruntime"):
        chasec.compile(Cnn(), images())
    result = chasec.compile(Cnn(), images(), verify=False)
    assert result.max_error is None and "not verified" in str(result)
    with pytest.raises(chasec.MissingPackage):
        result.session  # noqa: B018


def test_safetensors_files_are_those_of_others(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = {
        "a": torch.randn(3, 4).t(),
        "half": torch.randn(5).to(torch.bfloat16),
        "bits": torch.tensor([True, False, True]),
        "none": torch.empty(0, 4),
        "number": torch.tensor(7),
    }
    _tensors.save(tensors, tmp_path / "ours")
    safetensors.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "theirs")
    for found in (_tensors.load(tmp_path / "theirs"), safetensors.load_file(tmp_path / "ours")):
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())

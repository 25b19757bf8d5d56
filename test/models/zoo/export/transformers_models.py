"""Language, vision and speech models of Hugging Face transformers, small."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

from attention import Attention, Part, attention_structures, dead_attention, dead_block, hidden
from torch_models import Cut, Entry, Structure, columns, rows, write_all

VOCABULARY = 96
SOURCE = f"transformers {hf.__version__}, PyTorch {torch.__version__.split('+')[0]}"


class Call(nn.Module):
    """A model of the library with named inputs in an order, and one or more of its outputs."""

    def __init__(self, model: nn.Module, names: Sequence[str], outs: Sequence[str], **more: Any) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.outs = outs
        self.more = more

    def forward(self, first: Tensor, second: Tensor | None = None, third: Tensor | None = None) -> tuple[Tensor, ...]:
        given = [x for x in (first, second, third) if x is not None]
        out = self.model(**dict(zip(self.names, given, strict=True)), **self.more)
        return tuple(out[name] for name in self.outs)


def eager(config: Any) -> Any:
    config._attn_implementation = "eager"
    return config


def ids(batch: int, length: int) -> Tensor:
    return torch.randint(2, VOCABULARY, (batch, length))


def opened(names: Sequence[str]) -> Mapping[str, Mapping[int, str]]:
    return {name: {0: "batch", 1: "decoder_length" if name.startswith("decoder") else "length"} for name in names}


def residual(cuts: Sequence[Cut], name: str = "residual") -> Structure:
    """What is left of a normalised stream when it loses channels is counted, not compared: its statistics change."""
    return Structure(name, cuts, same=False)


def a_quarter(width: int) -> list[int]:
    return [i for i in range(width) if i % 4 == 1]


# BERT


BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 32,
}


def bert_structures(model: nn.Module, batch: int, length: int) -> list[Structure]:
    blocks = [f"model.encoder.layer.{i}" for i in range(2)]
    layers = [
        Attention(
            *(Part(f"{b}.attention.{n}") for n in ("self.query", "self.key", "self.value", "output.dense")),
            heads=4,
            batch=batch,
            queries=length,
            keys=length,
            width=12,
            reads=48,
        )
        for b in blocks
    ]
    gone = a_quarter(48)
    stream = rows("model.embeddings.LayerNorm", gone) + columns("model.pooler.dense", gone)
    for table in ("word", "position", "token_type"):
        stream += columns(f"model.embeddings.{table}_embeddings", gone)
    for b in blocks:
        stream += [c for n in ("query", "key", "value") for c in columns(f"{b}.attention.self.{n}", gone)]
        for n in ("attention.output.dense", "attention.output.LayerNorm", "output.dense", "output.LayerNorm"):
            stream += rows(f"{b}.{n}", gone)
        stream += columns(f"{b}.intermediate.dense", gone)
    neck = [i for i in range(48) if i % 3 == 0]
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{b}.intermediate.dense"),), Part(f"{b}.output.dense"), 96) for b in blocks]),
        residual(stream),
        Structure("pooler", rows("model.pooler.dense", neck) + columns("head", neck)),
        dead_attention(layers[0], model),
        dead_block([Part(f"{blocks[1]}.{n}") for n in ("intermediate.dense", "output.dense")], batch * length, model),
    ]


class BertClassifier(nn.Module):
    """The encoder, its pooler and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.model = hf.BertModel(eager(hf.BertConfig(**BERT)))
        self.head = nn.Linear(48, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(self.model(input_ids=input_ids, attention_mask=attention_mask).pooler_output)


# Decoders


def gpt2() -> nn.Module:
    config = hf.GPT2Config(vocab_size=VOCABULARY, n_positions=32, n_embd=48, n_layer=2, n_head=4)
    return Call(hf.GPT2LMHeadModel(eager(config)), TEXT, ["logits"], use_cache=False)


def gpt2_structures(model: nn.Module, batch: int, length: int) -> list[Structure]:
    blocks = [f"model.transformer.h.{i}" for i in range(2)]
    layers = [
        Attention(
            *(Part(f"{b}.attn.c_attn", 48 * i, transposed=True) for i in range(3)),
            Part(f"{b}.attn.c_proj", transposed=True),
            heads=4,
            batch=batch,
            queries=length,
            keys=length,
            width=12,
            reads=48,
        )
        for b in blocks
    ]
    mlps = [[Part(f"{b}.mlp.{n}", transposed=True) for n in ("c_fc", "c_proj")] for b in blocks]
    gone = a_quarter(48)
    stream = columns("model.transformer.wte", gone) + columns("model.transformer.wpe", gone) + columns("model.lm_head", gone)
    stream += rows("model.transformer.ln_f", gone)
    for b, layer, (fc, proj) in zip(blocks, layers, mlps, strict=True):
        stream += rows(f"{b}.ln_1", gone) + rows(f"{b}.ln_2", gone)
        stream += layer.q.reads(gone) + layer.o.makes(gone) + fc.reads(gone) + proj.makes(gone)
    return [
        *attention_structures(layers),
        hidden("ffn", [((fc,), proj, 192) for fc, proj in mlps]),
        residual(stream),
        dead_attention(layers[0], model),
        dead_block(mlps[1], batch * length, model),
    ]


def llama() -> nn.Module:
    config = hf.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=112,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=8,
        max_position_embeddings=64,
    )
    return Call(hf.LlamaForCausalLM(eager(config)), TEXT, ["logits"], use_cache=False)


def llama_structures(
    model: nn.Module, batch: int, length: int, gone: Sequence[int] | None = None, inner: Sequence[int] | None = None
) -> list[Structure]:
    """`gone` of the stream and `inner` neurons, where blocks of a quantised weight have to go as a whole."""
    blocks = [f"model.model.layers.{i}" for i in range(2)]
    layers = [
        Attention(
            *(Part(f"{b}.self_attn.{n}_proj") for n in "qkvo"),
            heads=8,
            groups=4,
            batch=batch,
            queries=length,
            keys=length,
            width=8,
            reads=64,
            rotary=True,
        )
        for b in blocks
    ]
    mlps = [[Part(f"{b}.mlp.{n}_proj") for n in ("gate", "up", "down")] for b in blocks]
    gone = gone or a_quarter(64)
    stream = columns("model.model.embed_tokens", gone) + columns("model.lm_head", gone) + rows("model.model.norm", gone)
    for b, layer, (gate, up, down) in zip(blocks, layers, mlps, strict=True):
        stream += rows(f"{b}.input_layernorm", gone) + rows(f"{b}.post_attention_layernorm", gone)
        for reader in (layer.q, layer.k, layer.v, gate, up):
            stream += reader.reads(gone)
        stream += layer.o.makes(gone) + down.makes(gone)
    return [
        *attention_structures(layers),
        hidden("ffn", [((gate, up), down, 112) for gate, up, down in mlps], inner),
        residual(stream),
        dead_attention(layers[0], model),
        dead_block(mlps[1], batch * length, model),
    ]


# T5


def t5() -> nn.Module:
    config = hf.T5Config(
        vocab_size=VOCABULARY, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return Call(hf.T5ForConditionalGeneration(eager(config)), ("input_ids", "decoder_input_ids"), ["logits"], use_cache=False)


def t5_structures(model: nn.Module, batch: int, length: int, decoded: int) -> list[Structure]:
    sizes: dict[str, Any] = {"heads": 4, "batch": batch, "width": 12, "reads": 48}
    parts = {
        name: tuple(Part(f"model.{name}.{n}") for n in "qkvo")
        for i in range(2)
        for name in (
            f"encoder.block.{i}.layer.0.SelfAttention",
            f"decoder.block.{i}.layer.0.SelfAttention",
            f"decoder.block.{i}.layer.1.EncDecAttention",
        )
    }
    spans = {"encoder": (length, length), "decoder": (decoded, decoded), "EncDec": (decoded, length)}

    def span(name: str) -> tuple[int, int]:
        return spans["EncDec" if "EncDec" in name else name[:7]]

    layers = [Attention(*p, queries=span(n)[0], keys=span(n)[1], **sizes) for n, p in parts.items()]
    feeds = [f"model.encoder.block.{i}.layer.1.DenseReluDense" for i in range(2)]
    feeds += [f"model.decoder.block.{i}.layer.2.DenseReluDense" for i in range(2)]
    return [
        *attention_structures(layers),
        hidden("ffn", [((Part(f"{f}.wi"),), Part(f"{f}.wo"), 96) for f in feeds]),
        residual(t5_stream(model, a_quarter(48))),
        dead_attention(layers[0], model),
        dead_block([Part(f"{feeds[3]}.{n}") for n in ("wi", "wo")], batch * decoded, model),
    ]


def t5_stream(model: nn.Module, gone: Sequence[int]) -> list[Cut]:
    """Of both streams, since they share the embedding."""
    found = columns("model.shared", gone) + columns("model.lm_head", gone)
    for name, module in model.named_modules():
        leaf = name.rpartition(".")[2]
        if leaf in ("layer_norm", "final_layer_norm", "o", "wo"):
            found += rows(name, gone)
        elif leaf in ("q", "k", "v", "wi"):
            found += columns(name, gone)
        elif leaf == "embed_tokens":
            found += columns(name, gone)
    return found


TEXT = ("input_ids", "attention_mask")


def text(name: str, of: str, build: Any, structures: Any, batch: int = 2, length: int = 10, **more: Any) -> Entry:
    return Entry(
        name,
        f"{of} of {SOURCE}",
        build,
        {"input_ids": ids(batch, length), "attention_mask": torch.ones(batch, length, dtype=torch.int64)},
        lambda m: structures(m, batch, length),
        fills={"input_ids": VOCABULARY, "attention_mask": "ones"},
        **more,
    )


def translation(name: str, **more: Any) -> Entry:
    return Entry(
        name,
        f"T5ForConditionalGeneration of {SOURCE}",
        t5,
        {"input_ids": ids(2, 10), "decoder_input_ids": ids(2, 6)},
        lambda m: t5_structures(m, 2, 10, 6),
        fills={"input_ids": VOCABULARY, "decoder_input_ids": VOCABULARY},
        **more,
    )


def both(make: Any, names: Sequence[str], *args: Any) -> list[Entry]:
    """Both exporters, static and dynamic axes."""
    return [
        make(names[0], *args),
        make(f"{names[0]}-dynamic", *args, dynamic=opened(names[1:])),
        make(f"{names[0]}-dynamo", *args, exporter="dynamo"),
        make(f"{names[0]}-dynamo-dynamic", *args, exporter="dynamo", dynamic=opened(names[1:])),
    ]


ENTRIES = [
    *both(text, ("bert", *TEXT), "BertModel", BertClassifier, bert_structures),
    *both(text, ("gpt2", *TEXT), "GPT2LMHeadModel", gpt2, gpt2_structures),
    *both(text, ("llama", *TEXT), "LlamaForCausalLM", llama, llama_structures),
    *both(translation, ("t5", "input_ids", "decoder_input_ids")),
]

if __name__ == "__main__":
    write_all(ENTRIES, sys.argv[1:])

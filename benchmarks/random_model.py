"""Models with random weights, of the form of real ones: they cost the same and say nothing.

GGUF version 3, architecture `qwen3`, matrices in Q8_0. Quick to write: the same block of weights
again and again.
"""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np

_U32, _F32, _BOOL, _STRING, _ARRAY, _I32 = 4, 6, 7, 8, 9, 5
_TENSOR_F32, _TENSOR_Q8_0 = 0, 8
_ALIGNMENT = 32
_TEMPLATE = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{%- endfor -%}<|im_start|>assistant\n"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of a model."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    feed_forward: int
    vocabulary: int
    context: int = 32_768


def write_random_model(path: Path, form: Form) -> None:
    """Writes the file; its size follows from the form."""
    tensors = _tensors(form)
    metadata = _metadata(form)
    block = _block()
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, kind, value in metadata:
            file.write(_text(key) + struct.pack("<I", kind) + _packed(kind, value))
        offset = 0
        for name, shape, kind in tensors:
            file.write(_text(name) + struct.pack("<I", len(shape)))
            file.write(struct.pack(f"<{len(shape)}Q", *reversed(shape)))
            file.write(struct.pack("<IQ", kind, offset))
            offset += -(-_size(shape, kind) // _ALIGNMENT) * _ALIGNMENT
        for _, shape, kind in tensors:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            left = _size(shape, kind)
            if kind == _TENSOR_F32:
                file.write(np.ones(shape, "<f4").tobytes())
                continue
            while left > 0:
                file.write(block[: min(left, len(block))])
                left -= len(block)
        file.write(b"\0" * (-file.tell() % _ALIGNMENT))


def _block() -> bytes:
    """Half a megabyte of Q8_0 weights that are small enough to stay finite through all layers."""
    rng = np.random.default_rng(1)
    block = np.zeros(16_384, dtype=[("scale", "<f2"), ("weights", "i1", 32)])
    block["scale"] = 0.0005
    block["weights"] = rng.integers(-127, 128, size=(len(block), 32), dtype=np.int8)
    return block.tobytes()


def _tensors(form: Form) -> list[tuple[str, tuple[int, ...], int]]:
    width, queries = form.width, form.heads * form.head
    keys = form.kv_heads * form.head
    found: list[tuple[str, tuple[int, ...], int]] = [
        ("token_embd.weight", (form.vocabulary, width), _TENSOR_Q8_0),
        ("output_norm.weight", (width,), _TENSOR_F32),
    ]
    for layer in range(form.layers):
        for name, shape in (
            ("attn_norm", (width,)),
            ("attn_q", (queries, width)),
            ("attn_k", (keys, width)),
            ("attn_v", (keys, width)),
            ("attn_output", (width, queries)),
            ("attn_q_norm", (form.head,)),
            ("attn_k_norm", (form.head,)),
            ("ffn_norm", (width,)),
            ("ffn_gate", (form.feed_forward, width)),
            ("ffn_up", (form.feed_forward, width)),
            ("ffn_down", (width, form.feed_forward)),
        ):
            kind = _TENSOR_F32 if len(shape) == 1 else _TENSOR_Q8_0
            found.append((f"blk.{layer}.{name}.weight", shape, kind))
    return found


def _metadata(form: Form) -> list[tuple[str, int, object]]:
    tokens = _byte_letters()
    tokens += [f"x{number}" for number in range(form.vocabulary - len(tokens) - 2)]
    tokens += ["<|im_start|>", "<|im_end|>"]
    end = form.vocabulary - 1
    kinds = [1] * (form.vocabulary - 2) + [3, 3]
    return [
        ("general.architecture", _STRING, "qwen3"),
        ("general.name", _STRING, form.name),
        ("qwen3.context_length", _U32, form.context),
        ("qwen3.embedding_length", _U32, form.width),
        ("qwen3.block_count", _U32, form.layers),
        ("qwen3.feed_forward_length", _U32, form.feed_forward),
        ("qwen3.attention.head_count", _U32, form.heads),
        ("qwen3.attention.head_count_kv", _U32, form.kv_heads),
        ("qwen3.attention.key_length", _U32, form.head),
        ("qwen3.attention.value_length", _U32, form.head),
        ("qwen3.attention.layer_norm_rms_epsilon", _F32, 1e-6),
        ("qwen3.rope.freq_base", _F32, 1e6),
        ("tokenizer.ggml.model", _STRING, "gpt2"),
        ("tokenizer.ggml.pre", _STRING, "qwen2"),
        ("tokenizer.ggml.tokens", _ARRAY, (_STRING, tokens)),
        ("tokenizer.ggml.token_type", _ARRAY, (_I32, kinds)),
        ("tokenizer.ggml.merges", _ARRAY, (_STRING, ["t h"])),
        ("tokenizer.ggml.eos_token_id", _U32, end),
        ("tokenizer.ggml.bos_token_id", _U32, end),
        ("tokenizer.ggml.add_bos_token", _BOOL, False),
        ("tokenizer.chat_template", _STRING, _TEMPLATE),
    ]


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + n) for n in range(len(others))]


def _size(shape: tuple[int, ...], kind: int) -> int:
    count = int(np.prod(shape))
    return count * 4 if kind == _TENSOR_F32 else count // 32 * 34


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _packed(kind: int, value: object) -> bytes:
    if kind == _STRING:
        return _text(str(value))
    if kind == _ARRAY:
        element, items = value  # type: ignore[misc]
        body = b"".join(
            _text(item) if element == _STRING else struct.pack("<i", item) for item in items
        )
        return struct.pack("<IQ", element, len(items)) + body
    return struct.pack({_U32: "<I", _F32: "<f", _BOOL: "<?"}[kind], value)

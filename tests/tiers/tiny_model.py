"""A llama-architecture GGUF with seeded random weights, written byte by byte.

It loads into a real llama-server in milliseconds and answers nonsense of the right shape: enough
to test everything about the server and the wire except what a model knows.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
NORMAL, CONTROL = 1, 3
ALIGNMENT = 32

CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n"
    "{%- endfor -%}{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
DECISION_TEMPLATE = (
    "{{ state }}\n{{ instructions }}\n{%- for option in options -%}"
    "{{ option.label }} {{ option.key }}\n{%- endfor -%}Answer:"
)


def write_tiny_model(
    path: Path, *, decision: bool = False, width: int = 32, layers: int = 1, context: int = 2048
) -> Path:
    """Writes the model and returns its path. `decision` makes it answer `/v1/systemone`."""
    tokens = [*_byte_letters(), "<|im_start|>", "<|im_end|>"]
    end = len(tokens) - 1
    metadata: list[tuple[str, int, object]] = [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, "tiny random"),
        ("llama.context_length", U32, context),
        ("llama.embedding_length", U32, width),
        ("llama.block_count", U32, layers),
        ("llama.feed_forward_length", U32, width * 2),
        ("llama.attention.head_count", U32, 4),
        ("llama.attention.head_count_kv", U32, 4),
        ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        ("llama.rope.dimension_count", U32, width // 4),
        ("llama.vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "smollm"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (U32 + 1, [NORMAL] * (end - 1) + [CONTROL] * 2)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, ["t h"])),
        ("tokenizer.ggml.bos_token_id", U32, end),
        ("tokenizer.ggml.eos_token_id", U32, end),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]
    if decision:
        metadata += [
            ("llama.decision.type", STRING, "openjev"),
            ("tokenizer.chat_template.systemone", STRING, DECISION_TEMPLATE),
        ]
    tensors = _tensors(width=width, layers=layers, vocabulary=len(tokens))
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, kind, value in metadata:
            file.write(_string(key) + struct.pack("<I", kind) + _value(kind, value))
        offset = 0
        for name, array in tensors:
            file.write(_string(name) + struct.pack("<I", array.ndim))
            file.write(struct.pack(f"<{array.ndim}Q", *reversed(array.shape)))
            file.write(struct.pack("<IQ", 0, offset))
            offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        for _, array in tensors:
            file.write(b"\0" * (-file.tell() % ALIGNMENT) + array.tobytes())
        file.write(b"\0" * (-file.tell() % ALIGNMENT))
    return path


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in a byte-level vocabulary, and one merge."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = [], 0
    for byte in range(256):
        if byte in plain:
            letters.append(chr(byte))
        else:
            letters.append(chr(256 + extra))
            extra += 1
    return [*letters, "th"]


def _tensors(*, width: int, layers: int, vocabulary: int) -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * 0.3).astype(np.float32)

    ones = np.ones(width, dtype=np.float32)
    found: list[tuple[str, np.ndarray]] = [("token_embd.weight", matrix(vocabulary, width))]
    for index in range(layers):
        block = f"blk.{index}."
        found += [
            (block + "attn_norm.weight", ones),
            (block + "attn_q.weight", matrix(width, width)),
            (block + "attn_k.weight", matrix(width, width)),
            (block + "attn_v.weight", matrix(width, width)),
            (block + "attn_output.weight", matrix(width, width)),
            (block + "ffn_norm.weight", ones),
            (block + "ffn_gate.weight", matrix(width * 2, width)),
            (block + "ffn_up.weight", matrix(width * 2, width)),
            (block + "ffn_down.weight", matrix(width, width * 2)),
        ]
    return [*found, ("output_norm.weight", ones)]


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: object) -> bytes:
    match kind, value:
        case (4, int()):
            return struct.pack("<I", value)
        case (5, int()):
            return struct.pack("<i", value)
        case (6, float()):
            return struct.pack("<f", value)
        case (7, bool()):
            return struct.pack("<?", value)
        case (8, str()):
            return _string(value)
        case (9, (int() as element, list() as items)):
            packed = b"".join(_value(element, item) for item in items)
            return struct.pack("<IQ", element, len(items)) + packed
    raise TypeError(f"no GGUF form for {value!r}")

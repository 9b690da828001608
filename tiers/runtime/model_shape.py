"""The form of a transformer, as far as its memory follows from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

Scalar = str | int | float | bool
Value = Scalar | tuple[int | float | bool, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The form of a transformer. `kv_heads` has one number a layer, 0 for a layer without a cache
    of keys and values (recurrent ones, whose state has `recurrent_state` numbers). `sliding` says
    which layers see only the last `window` tokens. Everything 0 where the file does not say."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    vocabulary: int
    window: int
    sliding: tuple[bool, ...]
    recurrent_state: int


def shape_of(values: Mapping[str, Value], *, architecture: str, vocabulary: int) -> ModelShape:
    """What a head's values say of the model's form. What is missing follows from the rest, as in
    llama.cpp: key and value lengths are the width over the heads."""

    def number(name: str, otherwise: int) -> int:
        value = values.get(f"{architecture}.{name}")
        return value if isinstance(value, int) and value > 0 else otherwise

    layers = number("block_count", 0)
    width = number("embedding_length", 0)
    heads_value = values.get(f"{architecture}.attention.head_count")
    heads = (
        max(heads_value) if isinstance(heads_value, tuple) else number("attention.head_count", 1)
    )
    kv_value = values.get(f"{architecture}.attention.head_count_kv")
    if isinstance(kv_value, tuple):
        kv_heads = tuple(int(count) for count in kv_value[:layers])
    else:
        kv_heads = (number("attention.head_count_kv", int(heads)),) * layers
    head = width // int(heads) if heads else 0
    window = number("attention.sliding_window", 0)
    pattern = values.get(f"{architecture}.attention.sliding_window_pattern")
    sliding: tuple[bool, ...] = (False,) * layers
    if window and isinstance(pattern, tuple):
        sliding = tuple(bool(flag) for flag in pattern[:layers])
    elif window and isinstance(pattern, int) and pattern > 1:
        # Every n-th layer sees everything.
        sliding = tuple((layer + 1) % pattern != 0 for layer in range(layers))
    state = number("ssm.state_size", 0) * number("ssm.inner_size", 0)
    return ModelShape(
        layers=layers,
        width=width,
        feed_forward=number("feed_forward_length", 4 * width),
        heads=int(heads),
        kv_heads=kv_heads,
        key_length=number("attention.key_length", head),
        value_length=number("attention.value_length", head),
        vocabulary=vocabulary or number("vocab_size", 0),
        window=window,
        sliding=sliding if len(sliding) == layers else (False,) * layers,
        recurrent_state=state,
    )

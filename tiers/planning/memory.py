"""What a llama-server will use of memory, before it is started. Pure.

The parts as llama.cpp allocates them, checked against running servers by `python -m benchmarks
memory`: weights are mapped from the file, the cache of keys and values is allocated whole, compute
buffers follow from the batch, and every token of the vocabulary costs a little in every process.
"""

from __future__ import annotations

import dataclasses
import enum

from tiers.runtime.model_shape import ModelShape

_PROCESS = 36 * 2**20
"""Code, libraries and threads of a server without a model."""
_PER_TOKEN = 208
"""Bytes of a vocabulary's entry, its text and its place in two maps."""
_FLOAT = 4
_MASK = 2
_PAD = 256
"""A cache has a multiple of so many cells."""


class CacheType(enum.StrEnum):
    """How keys and values are kept."""

    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"

    @property
    def bytes_per_number(self) -> float:
        """Blocks of 32 numbers share a scale of two bytes."""
        return {CacheType.F16: 2.0, CacheType.Q8_0: 34 / 32, CacheType.Q4_0: 18 / 32}[self]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a server is asked to hold: `context` tokens for each of `parallel` calls, prompts of
    `cache_ram` bytes kept for reuse, batches of `ubatch` tokens."""

    context: int
    parallel: int
    cache_type: CacheType = CacheType.F16
    ubatch: int = 512
    cache_ram: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeed:
    """Bytes, by what they are for. `weights` and `cache` go to a GPU where there is one; `process`
    always stays in main memory."""

    weights: int
    cache: int
    compute: int
    process: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute + self.process

    @property
    def movable(self) -> int:
        """What a GPU takes over."""
        return self.weights + self.cache + self.compute


def memory_need(*, weights: int, shape: ModelShape, load: Load) -> MemoryNeed:
    """`weights` is the size of the file in bytes."""
    return MemoryNeed(
        weights=weights,
        cache=kv_bytes(shape, load),
        compute=_compute(shape, load),
        process=(
            _PROCESS
            + shape.vocabulary * _PER_TOKEN
            + shape.vocabulary * _FLOAT * load.parallel
            + load.cache_ram
        ),
    )


def kv_bytes(shape: ModelShape, load: Load) -> int:
    """The cache of keys and values, and the state of recurrent layers, of all slots."""
    total = 0.0
    whole = _padded(load.context) * load.parallel
    for layer in range(shape.layers):
        heads = shape.kv_heads[layer] if layer < len(shape.kv_heads) else 0
        if heads == 0:
            total += shape.recurrent_state * _FLOAT * load.parallel
            continue
        cells = whole
        if shape.window and layer < len(shape.sliding) and shape.sliding[layer]:
            cells = min(whole, _padded(shape.window * load.parallel + load.ubatch))
        numbers = heads * (shape.key_length + shape.value_length)
        total += cells * numbers * load.cache_type.bytes_per_number
    return round(total)


def _compute(shape: ModelShape, load: Load) -> int:
    """Both halves of a feed-forward layer, nine activations as wide as the model, and the mask of
    attention, for a batch."""
    activations = (2 * shape.feed_forward + 9 * shape.width) * _FLOAT
    mask = _padded(load.context) * _MASK
    return load.ubatch * (activations + mask)


def _padded(cells: int) -> int:
    return -(-cells // _PAD) * _PAD

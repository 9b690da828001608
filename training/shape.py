"""The sizes of a decoder."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a decoder. `width` is a multiple of 32 so that Q8_0 blocks fit."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    feed_forward: int
    context: int = 2048
    rope_base: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def parameters(self) -> int:
        """How many numbers it learns."""
        layer = 4 * self.width**2 + 3 * self.width * self.feed_forward + 2 * self.width
        return self.vocabulary * self.width + self.layers * layer + self.width

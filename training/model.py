"""A llama-architecture decoder: RMSNorm, SwiGLU, rotary positions, tied embeddings.

Rotary positions pair neighbouring features, as llama.cpp's `llama` architecture does, so weights
are exported as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn

from training.shape import Shape

_FAST = 0.1


class Norm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.epsilon)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, shape.width, bias=False)
        self.v = nn.Linear(shape.width, shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            proj(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for proj in (self.q, self.k, self.v)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.width, shape.epsilon)
        self.attention = Attention(shape)
        self.feed_norm = Norm(shape.width, shape.epsilon)
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        y = self.feed_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    """`dropout` is the share of embedding features that training hides at random."""

    def __init__(self, shape: Shape, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape.epsilon)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._start()

    def _start(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.02)
        with torch.no_grad():
            self.embedding.weight[:, -1] = 0.1  # what `previous_token_heads` reads
        residual = 0.02 / (2 * self.shape.layers) ** 0.5
        for name, weight in self.named_parameters():
            if weight.dim() == 2 and "embedding" not in name:
                last = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=residual if last else 0.02)
        previous_token_heads(self.layers[0].attention, self.shape)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """`tokens` [batch, length] to final features [batch, length, width]; `logits` of those."""
        length = tokens.shape[1]
        x = F.dropout(self.embedding(tokens), self.dropout, self.training)
        cos, sin = self.cos[:length], self.sin[:length]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)

    def logits(self, features: Tensor) -> Tensor:
        return F.linear(features, self.embedding.weight)


def rope_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine, [context, head_width / 2] each."""
    half = torch.arange(0, shape.head_width, 2, dtype=torch.float64) / shape.head_width
    angle = torch.outer(torch.arange(shape.context, dtype=torch.float64), shape.rope_base**-half)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs of `x` [batch, heads, length, head_width]."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


@torch.no_grad()
def previous_token_heads(attention: Attention, shape: Shape) -> None:
    """Let half of the first layer's heads look one token back from the start.

    Copying is an induction circuit whose first part is "which token came before me"; it is what a
    small model learns last. With a bias-free query and key the look back cannot depend on position
    alone, so all embeddings share a constant direction (one feature, raised): query and key of
    these heads read only it, and the query is turned back by one position.
    """
    feature = shape.width - 1
    width = shape.head_width
    angles = shape.rope_base ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    strength = 1.5
    key = torch.zeros(width)
    query = torch.zeros(width)
    # score(distance) = sum cos((distance - 1) * angle): highest one back. Slow angles would only
    # add what is the same for all distances, and with it the noise of each token's norm.
    for pair in range(int((angles > _FAST).sum())):
        key[2 * pair] = 1.0
        query[2 * pair] = torch.cos(-angles[pair]).float()
        query[2 * pair + 1] = torch.sin(-angles[pair]).float()
    for head in range(shape.heads // 2):
        rows = slice(head * width, (head + 1) * width)
        attention.q.weight[rows] = 0.0
        attention.k.weight[rows] = 0.0
        attention.q.weight[rows, feature] = strength * query
        attention.k.weight[rows, feature] = strength * key

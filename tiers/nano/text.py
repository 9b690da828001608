"""Text of the host on its way into a prompt: one line, bounded, free of control tokens."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"<(?=\||/?tool_call>)")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff]+")


def neutral(text: str) -> str:
    """`text` without anything that the tokenizer would take for a control token.

    `<|im_end|>` becomes `< |im_end|>`: readable still, and no end of a turn.
    """
    return _CONTROL.sub("< ", text)


def one_line(text: str, limit: int) -> str:
    """`text` on one line, control tokens neutralised, at most `limit` characters.

    Where it is cut, head and tail stay: the end of a message often holds the reason.
    """
    flat = neutral(_SPACE.sub(" ", text)).strip()
    if len(flat) <= limit:
        return flat
    tail = limit // 4
    return f"{flat[: limit - tail - 5].rstrip()} ... {flat[-tail:].lstrip()}"

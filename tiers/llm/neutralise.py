"""Makes text of the host harmless inside a prompt.

A log line may carry what a chat template uses to mark turns (`<|im_end|>`, `[INST]`, …). Servers
tokenize such words in a rendered prompt as control tokens, so they are broken up here: an
invisible word joiner after the first letter keeps them readable and makes them plain text.
"""

from __future__ import annotations

import hashlib
import re

_JOINER = "\N{WORD JOINER}"

_CONTROL = re.compile(
    r"<\|[^\n|<>]{0,64}\|>"  # <|im_end|>, <|eot_id|>, <|channel|>
    r"|<｜[^\n<>]{0,64}｜>"  # full-width bars
    r"|</?s>|<[be]os>|<pad>|<unk>"
    r"|</?(?:start_of_turn|end_of_turn|start_header_id|end_header_id)>"
    r"|</?(?:tool_calls?|tool_response|tool_result|tools|function|function_calls?|think|thinking"
    r"|system|assistant|user|human|observation|im_start|im_end)\b[^<>\n]{0,64}>"
    r"|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT"
    r"|IMG|PREFIX|SUFFIX|MIDDLE|THINK)\]"
    r"|<</?SYS>>",
    re.IGNORECASE,
)
# C0 and C1 controls except tab and line feed; direction marks and zero-width characters that hide
# text from a human; tag characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def neutralise(text: str) -> str:
    """`text` without hidden characters and with control words broken up. Idempotent but for the
    joiners, which are hidden characters themselves and are put in anew."""
    visible = _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace(_JOINER, ""))
    return _CONTROL.sub(lambda found: found[0][0] + _JOINER + found[0][1:], visible)


def fence_for(*texts: str) -> str:
    """A mark that none of `texts` contains, the same for the same texts: what stands between two
    of them is data. Longer digests are tried until none of the texts holds it."""
    seed = hashlib.blake2b(digest_size=32)
    for text in texts:
        seed.update(text.encode("utf-8", "surrogatepass"))
        seed.update(b"\0")
    digest = seed.hexdigest()
    for length in range(12, len(digest) + 1, 4):
        mark = f"data-{digest[:length]}"
        if not any(mark in text for text in texts):
            return mark
    # A text that holds its own hash: give the mark another seed.
    return fence_for(*texts, digest)


def middle_cut(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut in the middle with a mark that says how much.

    The beginning says what happened and the end how it ended. Never cuts inside an escape
    (backslash sequence) or a word joiner pair. `limit` below 24 gives the beginning alone.
    """
    if len(text) <= limit:
        return text
    mark = f" […{len(text) - limit} cut…] "
    room = limit - len(mark)
    if room < 8:
        return _safe_head(text, limit)
    head = room * 2 // 3
    return _safe_head(text, head) + mark + _safe_tail(text, room - head)


_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,4}|x[0-9a-fA-F]{0,2}|[0-7]{1,3}|.)?", re.DOTALL)


def _escape_spans(text: str, around: int) -> tuple[int, int] | None:
    """The escape sequence that lies across position `around`, as (start, end)."""
    begin = max(0, around - 12)
    # A run of backslashes pairs up from its own beginning, which may lie before the window.
    while begin > 0 and text[begin - 1] == "\\":
        begin -= 1
    for found in _ESCAPE.finditer(text, begin, min(len(text), around + 8)):
        if found.start() < around < found.end():
            return found.span()
    return None


def _safe_head(text: str, length: int) -> str:
    span = _escape_spans(text, length)
    return text[: span[0] if span else length]


def _safe_tail(text: str, length: int) -> str:
    at = len(text) - length
    span = _escape_spans(text, at)
    return text[span[1] if span else at :]

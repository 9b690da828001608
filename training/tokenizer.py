"""Byte-level BPE, as llama.cpp's `gpt2` model with its `smollm` pre-tokenizer reads it.

Merges may be learned with a stricter splitter than the one that is used later: with spaces kept
apart, a word is the same tokens in a question, in JSON and in an answer, which is what makes
copying learnable. A model that only judges needs no copying and learns merges with the space.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PAD = "<|pad|>"
START = "<|im_start|>"
END = "<|im_end|>"
EVENT = "<|event|>"
VERDICT = "<|verdict|>"
CALL = "<tool_call>"
CALL_END = "</tool_call>"

CONTROL = (PAD, START, END, EVENT, VERDICT)
USER_DEFINED = (CALL, CALL_END)
SPECIAL = (*CONTROL, *USER_DEFINED)

# Letters, the punctuation of JSON, and every other mark for itself: "/var" is the same tokens after
# a space, after a quote and at the start of a line.
_APART = r"""\p{L}+|["{}\[\]:,]+|[^\s\p{L}\p{N}]|\s"""


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int, spaces_apart: bool, path: Path
) -> Tokenizer:
    """Learn merges from `texts` (without control tokens) and write `path` (tokenizer.json)."""
    tokenizer = Tokenizer(models.BPE())
    if spaces_apart:
        splitter = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Split(Regex(_APART), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        splitter = _served_splitter()
    tokenizer.pre_tokenizer = splitter
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=4,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        max_token_length=24,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = _served_splitter()
    tokenizer.decoder = decoders.ByteLevel()
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def _served_splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def load_tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))

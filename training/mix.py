"""The training set of a recipe: samples drawn, rendered and encoded, in one file of numbers.

A document is learned once. Weights are those of each token in the loss, in 32nds; a few tokens of
prompts are learned a little too, which teaches the language of logs for nearly nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from training import render
from training.battering import batter
from training.commit import commit
from training.data.cases import generate as generate_cases
from training.data.chat.conversations import generate as generate_chat
from training.data.events.generate import generate as generate_events
from training.recipes import Recipe
from training.render import Piece
from training.tokenizer import SPECIAL, load_tokenizer, train_tokenizer

WEIGHT_UNIT = 32
_PROMPT_SHARE = 0.12
_PROMPT_WEIGHT = 0.25
_TOKENIZER_DOCUMENTS = 24_000
_CHUNK = 500
_TEAR = 0.03
_MARK = re.compile("|".join(re.escape(mark) for mark in SPECIAL))


KINDS: dict[str, tuple[Callable[[random.Random, int], Iterator[Any]], Callable[..., list[Piece]]]]
KINDS = {
    "decision": (generate_events, render.decision),
    "trigger_json": (generate_events, render.trigger_json),
    "assessment": (generate_cases, render.assessment),
    "plan": (generate_cases, render.plan),
    "chat": (generate_chat, render.chat),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Corpus:
    """Documents end to end: document i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    digest: str

    def __len__(self) -> int:
        return len(self.offsets) - 1


def prepare(recipe: Recipe, folder: Path, *, tokens: int) -> tuple[Tokenizer, Corpus]:
    """Tokenizer and corpus of `recipe` in `folder`, made unless they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "tokenizer.json"
    if vocabulary.exists():
        tokenizer = load_tokenizer(vocabulary)
    else:
        print(f"{recipe.name}: learning a vocabulary of {recipe.shape.vocabulary}", flush=True)
        tokenizer = train_tokenizer(
            _plain_texts(recipe),
            vocabulary=recipe.shape.vocabulary,
            spaces_apart=recipe.spaces_apart,
            path=vocabulary,
        )
    file = folder / "corpus.npz"
    if not file.exists():
        print(f"{recipe.name}: writing {tokens:,} tokens of training data", flush=True)
        write_corpus(recipe, tokenizer, file, tokens=tokens)
    return tokenizer, read_corpus(file)


def _plain_texts(recipe: Recipe) -> Iterator[str]:
    """Documents without control tokens, each kind by its share."""
    for kind, share in recipe.shares.items():
        generate, draw = KINDS[kind]
        rng = random.Random(f"{recipe.seed} vocabulary {kind}")
        for sample in generate(rng, int(_TOKENIZER_DOCUMENTS * share)):
            text = "".join(piece.text for piece in draw(sample))
            for mark in SPECIAL:
                text = text.replace(mark, "\n")
            yield text


def write_corpus(recipe: Recipe, tokenizer: Tokenizer, file: Path, *, tokens: int) -> None:
    """Draw documents of each kind until its share of `tokens` is reached."""
    documents: list[npt.NDArray[np.uint16]] = []
    weights: list[npt.NDArray[np.uint8]] = []
    counts: dict[str, dict[str, int]] = {}
    for kind, share in recipe.shares.items():
        wanted, have, number = int(tokens * share), 0, 0
        rng = random.Random(f"{recipe.seed} corpus {kind}")
        generate, draw = KINDS[kind]
        while have < wanted:
            samples = generate(rng, _CHUNK)
            if recipe.battered or recipe.instructed:
                samples = (
                    batter(
                        sample,
                        rng,
                        lost=recipe.battered,
                        instructed=recipe.instructed,
                        appended=recipe.appended,
                    )
                    for sample in samples
                )
            drawn = [draw(sample) for sample in samples]
            torn = int(len(drawn) * recipe.torn)
            for ids, heavy in encoded(tokenizer, drawn, rng, torn=torn):
                if len(ids) > recipe.shape.context:
                    continue
                documents.append(ids)
                weights.append(heavy)
                have += len(ids)
                number += 1
        counts[kind] = {"documents": number, "tokens": have}
        print(f"  {kind}: {number:,} documents, {have:,} tokens", flush=True)
    flat, flat_weights = np.concatenate(documents), np.concatenate(weights)
    offsets = np.cumsum([0, *(len(each) for each in documents)], dtype=np.int64)
    digest = hashlib.sha256(flat.tobytes() + flat_weights.tobytes() + offsets.tobytes()).hexdigest()
    np.savez(file, tokens=flat, weights=flat_weights, offsets=offsets, digest=np.array(digest))
    note = {"sha256": digest, "seed": recipe.seed, "commit": commit(), "kinds": counts}
    file.with_suffix(".json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def encoded(
    tokenizer: Tokenizer,
    drawn: Sequence[Sequence[Piece]],
    rng: random.Random,
    *,
    torn: int = 0,
) -> Iterator[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]]:
    """Token ids and weights of each document. Pieces are encoded apart, as a server does.

    The prompts of the first `torn` documents are cut at random places and encoded cut by cut, so
    that a word is also met in parts.
    """
    joined = [_joined(pieces) for pieces in drawn]
    joined[:torn] = [_torn(pieces, rng) for pieces in joined[:torn]]
    texts = [piece.text for pieces in joined for piece in pieces]
    encodings = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    for pieces in joined:
        ids: list[int] = []
        heavy: list[int] = []
        for piece in pieces:
            part = next(encodings).ids
            ids += part
            if piece.weight:
                heavy += [int(piece.weight * WEIGHT_UNIT)] * len(part)
            else:
                light = int(_PROMPT_WEIGHT * WEIGHT_UNIT)
                heavy += [light if rng.random() < _PROMPT_SHARE else 0 for _ in part]
        yield np.array(ids, dtype=np.uint16), np.array(heavy, dtype=np.uint8)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbouring prompt pieces as one: they reach the server as one text."""
    out: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if out and not piece.weight and not out[-1].weight:
            out[-1] = Piece(out[-1].text + piece.text)
        else:
            out.append(piece)
    return out


def _torn(pieces: Sequence[Piece], rng: random.Random) -> list[Piece]:
    """Prompts in parts, never cut inside of a control token."""
    out: list[Piece] = []
    for piece in pieces:
        if piece.weight:
            out.append(piece)
            continue
        start = 0
        whole = [match.span() for match in _MARK.finditer(piece.text)]
        for place in range(1, len(piece.text)):
            if rng.random() < _TEAR and not any(a < place < b for a, b in whole):
                out.append(Piece(piece.text[start:place]))
                start = place
        out.append(Piece(piece.text[start:]))
    return out


def read_corpus(file: Path) -> Corpus:
    with np.load(file) as stored:
        return Corpus(
            tokens=stored["tokens"],
            weights=stored["weights"],
            offsets=stored["offsets"],
            digest=str(stored["digest"]),
        )


def batches(corpus: Corpus, *, batch_tokens: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Document numbers of each batch: alike in length, so that little is padding; shuffled."""
    order = np.random.default_rng(seed).permutation(len(corpus))
    lengths = np.diff(corpus.offsets)
    window = 4096
    out: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batch: list[int] = []
        for number in part:
            if batch and (len(batch) + 1) * int(lengths[number]) > batch_tokens:
                out.append(np.array(batch))
                batch = []
            batch.append(int(number))
        out.append(np.array(batch))
    shuffled = np.random.default_rng(seed + 1).permutation(len(out))
    return [out[i] for i in shuffled]


def padded(
    corpus: Corpus, numbers: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Tokens and weights of a batch, [documents, longest], padded on the right with 0."""
    longest = max(int(corpus.offsets[i + 1] - corpus.offsets[i]) for i in numbers)
    tokens = np.zeros((len(numbers), longest), dtype=np.int64)
    weights = np.zeros((len(numbers), longest), dtype=np.float32)
    for row, number in enumerate(numbers):
        begin, end = int(corpus.offsets[number]), int(corpus.offsets[number + 1])
        tokens[row, : end - begin] = corpus.tokens[begin:end]
        weights[row, : end - begin] = corpus.weights[begin:end] / WEIGHT_UNIT
    return tokens, weights

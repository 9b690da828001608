"""The tokenizer: words keep their tokens, letters are single, nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tiers.nano.decisions import LETTERS
from training.data.chat.conversations import generate
from training.mix import batches, encoded, padded, read_corpus
from training.render import Piece, chat
from training.tokenizer import SPECIAL, load_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    texts = [
        "".join(piece.text for piece in chat(sample)) for sample in generate(random.Random(4), 400)
    ]
    train_tokenizer(texts, vocabulary=900, spaces_apart=True, path=file)
    return load_tokenizer(file)


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


def test_each_letter_and_each_mark_is_one_token(tokenizer: Tokenizer) -> None:
    for text in (*LETTERS, *SPECIAL):
        assert len(ids(tokenizer, text)) == 1


def test_a_word_is_the_same_tokens_in_a_question_in_json_and_in_an_answer(
    tokenizer: Tokenizer,
) -> None:
    for word in ("nginx", "krandoly-exporter", "/var/lib/docker"):
        alone = ids(tokenizer, word)
        for around in ('{"unit":"%s"}', "is %s up", "%s.", "(%s"):
            inside = ids(tokenizer, around % word)
            assert any(
                inside[i : i + len(alone)] == alone for i in range(len(inside) - len(alone) + 1)
            ), around


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert len(ids(tokenizer, "48213")) == 5


@given(text=st.text(max_size=200))
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(ids(tokenizer, text), skip_special_tokens=False) == text


def test_documents_are_encoded_with_their_weights(tokenizer: Tokenizer) -> None:
    pieces = [[Piece("a prompt of some words"), Piece(" and more"), Piece("yes", 1.0)]]
    (tokens, weights), *_ = encoded(tokenizer, pieces, random.Random(1))
    learned = len(ids(tokenizer, "yes"))
    assert len(tokens) == len(weights)
    assert list(weights[-learned:]) == [32] * learned
    assert max(weights[:-learned]) < 32


def test_batches_hold_every_document_once_and_pad_little(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(5, 300, 3000)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(offsets[-1])
    file = tmp_path / "corpus.npz"
    np.savez(
        file,
        tokens=np.arange(total, dtype=np.uint64).astype(np.uint16),
        weights=np.ones(total, dtype=np.uint8),
        offsets=offsets,
        digest=np.array("d"),
    )
    corpus = read_corpus(file)
    made = batches(corpus, batch_tokens=4000, seed=3)
    assert sorted(int(i) for batch in made for i in batch) == list(range(3000))
    sizes = [padded(corpus, batch)[0].size for batch in made]
    assert max(sizes) <= 4000
    assert sum(sizes) < 1.1 * total
    again = batches(corpus, batch_tokens=4000, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))


def test_torn_documents_keep_their_text_and_their_marks(tokenizer: Tokenizer) -> None:
    text = "<|event|>once | sshd | Failed password for root<|verdict|>"
    drawn = [[Piece(text), Piece("A", 4.0)]] * 60
    made = [ids for ids, _ in encoded(tokenizer, drawn, random.Random(2), torn=30)]
    again = [ids for ids, _ in encoded(tokenizer, drawn, random.Random(2), torn=30)]
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))
    assert {tokenizer.decode(list(ids), skip_special_tokens=False) for ids in made} == {text + "A"}
    assert len({len(ids) for ids in made[:30]}) > 1
    assert len({len(ids) for ids in made[30:]}) == 1
    assert all(ids[0] == made[-1][0] and ids[-2] == made[-1][-2] for ids in made)

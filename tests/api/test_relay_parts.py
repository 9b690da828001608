"""The pure parts of the relay."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.relay.bodies import model_of, with_model
from api.relay.framing import Frames, Tail
from api.relay.paths import GETS, POSTS, mounted, split_query, upstream_path
from tiers.vocabulary import TierName

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("model"), inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text() | st.just("model"), _json), st.text(min_size=1))
def test_only_the_model_changes(document: dict[str, object], model: str) -> None:
    body = json.dumps(document).encode()
    changed = json.loads(with_model(body, model))
    assert changed == {**document, "model": model}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"model"', b"null"])
def test_what_is_no_object_is_left_alone(body: bytes) -> None:
    assert with_model(body, "x") == body


def test_the_key_that_counts_is_replaced() -> None:
    body = b'{"model":"a","model":"b","messages":[{"model":"c","content":"\\"model\\": \\"d\\""}]}'
    assert model_of(body) == "b"
    assert with_model(body, "x") == body.replace(b'"model":"b"', b'"model":"x"')


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([b"data: x\n\n", b": ping\n\n", b"event: a\ndata: b\r\n\r\n"])),
    st.data(),
)
def test_frames_keep_every_byte_and_end_with_events(
    events: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames = Frames()
    sent = b""
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        ready = frames.feed(stream[begin:end])
        assert not ready or ready.endswith((b"\n\n", b"\r\n\r\n"))
        assert frames.between
        sent += ready
    assert sent + frames.rest() == stream


def test_an_event_without_end_is_not_held_for_ever() -> None:
    frames = Frames()
    sent = b"".join(frames.feed(b"x" * 100_000) for _ in range(20))
    assert len(sent) > 1_000_000
    assert not frames.between
    frames.feed(b"\n\n")
    assert frames.between


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (b'{"usage":{"completion_tokens":5,"prompt_tokens":9}}', (9, 5)),
        (b'data: {"timings":{"cache_n":8,"prompt_n":1,"predicted_n":3}}\n\ndata: [DONE]', (9, 3)),
        (b'{"usage":{"input_tokens":4,"output_tokens":2}}', (4, 2)),
        (b'{"tokens_predicted":3,"tokens_evaluated":1,"timings":{"prompt_n":7}}', (1, 3)),
        (b'{"usage":{"prompt_tokens":6},"data":[' + b"0.1," * 9000 + b"]}", (6, None)),
        (b'{"content":"\\"prompt_tokens\\": 99"}', (None, None)),
    ],
)
def test_counts_are_found_where_endpoints_put_them(
    answer: bytes, counts: tuple[int | None, int | None]
) -> None:
    tail = Tail()
    for at in range(0, len(answer), 1000):
        tail.add(answer[at : at + 1000])
    assert tail.tokens() == counts


def test_paths() -> None:
    under = mounted("/tier/meta/v1/chat/completions")
    assert under is not None
    assert (under.tier, under.path) == (TierName.META, "/v1/chat/completions")
    assert mounted("/tiers/meta") is None
    assert upstream_path(POSTS["/embeddings"], "/embeddings", llama=True) == "/embeddings"
    assert upstream_path(POSTS["/embeddings"], "/embeddings", llama=False) == "/v1/embeddings"
    assert upstream_path(POSTS["/tokenize"], "/tokenize", llama=False) == "/tokenize"
    assert upstream_path(GETS["/models"], "/models", llama=False) == "/v1/models"
    assert split_query(b"a=1&model=tier%2Fmeta") == ("tier/meta", "a=1")

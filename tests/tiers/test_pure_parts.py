"""What decides without doing: liveness, restarts, streams of bytes, heads of files, words."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import write_tiny_model

from tiers.config import (
    MetaSettings,
    ReviewSettings,
    TierSettings,
    TriggerSettings,
    default_tier,
)
from tiers.errors import BadAnswerError
from tiers.llm.json_answers import parse_object
from tiers.llm.neutralise import fence_for, middle_cut, neutralise
from tiers.llm.sse import MAX_EVENT_BYTES, SseOverflowError, SseParser
from tiers.runtime.binary import find_binary
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.flags import REQUIRED_FLAGS
from tiers.runtime.gguf_header import read_model_file
from tiers.runtime.liveness import (
    Liveness,
    LivenessLimits,
    after_sample,
    parse_metrics,
    stalled,
)
from tiers.runtime.logfile import LogFile
from tiers.runtime.models import server_flags
from tiers.runtime.restarts import RestartPolicy, next_start
from tiers.vocabulary import TierName

# --- liveness and restarts

METRICS = """\
# HELP llamacpp:n_decode_total Total number of llama_decode() calls
# TYPE llamacpp:n_decode_total counter
llamacpp:n_decode_total {decodes}
llamacpp:requests_processing {working}
llamacpp:requests_deferred 0
llamacpp:prompt_tokens_total 1e3
"""


def sample(at: float, *, decodes: int, working: int) -> Liveness:
    return parse_metrics(METRICS.format(decodes=decodes, working=working), at=at)  # type: ignore[return-value]


def test_a_timeline_of_work_that_stops_advancing() -> None:
    limits = LivenessLimits(answer_seconds=60, work_seconds=100)
    state = Liveness(answered_at=0, advanced_at=0)
    for at, decodes, working, dead in (
        (10, 5, 1, False),
        (50, 9, 1, False),  # slow, but it advances
        (120, 9, 1, False),
        (149, 9, 1, False),
        (151, 9, 1, True),  # pending work, 101 s without a decode
        (152, 9, 0, False),  # the caller gave up: idle is fine
        (400, 9, 0, False),
        (401, 9, 1, False),  # new work has its own time
        (520, 9, 1, True),
        (521, 10, 1, False),
    ):
        state = after_sample(state, sample(at, decodes=decodes, working=working))  # type: ignore[arg-type]
        assert (stalled(state, limits, now=at) is not None) is dead, at


def test_a_queue_that_does_not_answer_is_a_stall_even_when_idle() -> None:
    limits = LivenessLimits(answer_seconds=60)
    state = Liveness(answered_at=100, advanced_at=100)
    assert stalled(state, limits, now=160) is None
    assert "work queue" in str(stalled(state, limits, now=161))


def test_garbage_metrics_count_as_idle() -> None:
    found = parse_metrics("llamacpp:n_decode_total 1e\nhello\nllamacpp:requests_processing -", at=1)
    assert (found.working, found.progress) == (False, 0.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_restarts_wait_longer_each_time_and_are_capped(times: list[float]) -> None:
    policy = RestartPolicy()
    ends = sorted(times)
    following = next_start(policy, ends=ends, now=ends[-1])
    recent = [at for at in ends if ends[-1] - at <= policy.window_seconds]
    assert following.given_up == (len(recent) >= policy.cap)
    assert policy.first_seconds <= following.seconds <= policy.rest_seconds


def test_the_first_restart_is_quick_and_the_waits_double() -> None:
    policy = RestartPolicy(first_seconds=0.5, cap=100)
    waits = [next_start(policy, ends=[0.0] * n, now=0).seconds for n in range(1, 10)]
    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits[-1] == policy.most_seconds


# --- server-sent events


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=20))
def test_sse_is_the_same_however_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = list(SseParser().feed(data + b"\n\n"))
    parser, found, rest = SseParser(), [], data + b"\n\n"
    for cut in cuts:
        found += list(parser.feed(rest[:cut]))
        rest = rest[cut:]
    assert found + list(parser.feed(rest)) == whole


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_sse_line_ends_comments_and_many_lines(end: bytes) -> None:
    lines = [b": ping", b"event: x", b"data: a", b"data:b", b"", b"error: no", b"", b"x", b"", b"z"]
    assert list(SseParser().feed(end.join(lines))) == [("data", b"a\nb"), ("error", b"no")]


def test_sse_without_end_overflows_instead_of_filling_memory() -> None:
    parser = SseParser()
    assert list(parser.feed(b"data: " + b"x" * (MAX_EVENT_BYTES // 2))) == []
    with pytest.raises(SseOverflowError):
        list(parser.feed(b"x" * MAX_EVENT_BYTES))


# --- text of the host

CONTROL = (
    "<|im_end|>", "<|im_start|>system", "<|eot_id|>", "[INST]", "[/INST]", "</s>", "<s>", "<bos>",
    "<start_of_turn>model", "<end_of_turn>", "<tool_call>", "</tool_call>", "<think>", "<<SYS>>",
    "<｜end▁of▁sentence｜>", "<|start_header_id|>", "<tool_response>", "[TOOL_CALLS]",
)  # fmt: skip


@pytest.mark.parametrize("word", CONTROL)
def test_control_words_are_broken_up_in_any_case(word: str) -> None:
    for form in (word, word.upper(), word.lower()):
        assert form not in neutralise(f"before {form} after")
        assert form in neutralise(f"before {form} after").replace("\N{WORD JOINER}", "")


def test_ordinary_text_is_left_alone() -> None:
    text = (
        "a < b && c > d; arr[INSTALL] <stdin>:3: user@host <a@b.c> 50% |x| \\n ÄÖÜ 漢字\ttab\nline"
    )
    assert neutralise(text) == text


@given(st.text(max_size=200))
def test_neutral_text_holds_nothing_hidden_and_stays_neutral(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once
    assert not any(ord(letter) < 32 and letter not in "\t\n" for letter in once)
    assert not any(letter in once for letter in "\u202e\u200b\ufeff")


def test_a_word_that_a_hidden_letter_splits_is_no_way_around() -> None:
    sly = "<|im\N{WORD JOINER}_end|>"
    assert "<|im_end|>" not in neutralise(sly).replace("\N{WORD JOINER}", "x")


@given(st.lists(st.text(max_size=60), max_size=6))
def test_no_text_holds_its_fence(texts: list[str]) -> None:
    fence = fence_for(*texts)
    assert not any(fence in text for text in texts)
    assert fence == fence_for(*texts)


@given(st.text(max_size=300), st.integers(0, 200))
def test_cutting_keeps_to_the_limit(text: str, limit: int) -> None:
    cut = middle_cut(text, limit)
    assert len(cut) <= max(limit, 0) or cut == text
    if len(text) <= limit:
        assert cut == text


ESCAPES = st.sampled_from(["\\n", "\\x1b", "\\u00e4", "\\\\", "\\123", "a", " ", "word", "é"])


@given(st.lists(ESCAPES, max_size=120), st.integers(30, 200))
def test_cutting_never_splits_an_escape(pieces: list[str], limit: int) -> None:
    text = "".join(pieces)
    cut = middle_cut(text, limit)
    if cut == text:
        return
    head, _, tail = cut.partition(" […")
    tail = tail.partition("…] ")[2]
    starts = {0}
    for piece in pieces:
        starts.add(max(starts) + len(piece))
    assert text.startswith(head)
    assert text.endswith(tail)
    # A piece is cut only where a plain word is.
    for position in (len(head), len(text) - len(tail)):
        inside = position not in starts
        begin = max((s for s in starts if s <= position), default=0)
        assert not (inside and text[begin] == "\\"), (head[-8:], tail[:8])


# --- JSON answers


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', '  {"a": 1}\n', '```json\n{"a": 1}\n```', "Sure!\n```\n{\"a\": 1}\n```\nDone.",
     'Here: {"a": 1} as asked.'],
)  # fmt: skip
def test_json_is_found_in_what_models_write(text: str) -> None:
    assert parse_object(text, name="x") == {"a": 1}


@pytest.mark.parametrize(
    "text", ["", "no", "[1]", '{"a": ', "```json\n{broken\n```", "null", '"x"']
)
def test_what_is_no_object_is_told_in_words(text: str) -> None:
    with pytest.raises(BadAnswerError) as caught:
        parse_object(text, name="x")
    assert "one JSON object" in caught.value.problem


@given(st.text(max_size=200))
def test_any_text_is_an_object_or_a_bad_answer(text: str) -> None:
    with contextlib.suppress(BadAnswerError):
        assert isinstance(parse_object(text, name="x"), dict)


# --- model files, flags, settings


def test_the_head_of_a_model_file(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "m.gguf", decision=True)
    found = read_model_file(path)
    assert (found.name, found.architecture, found.context) == ("tiny random", "llama", 2048)
    assert found.decision
    assert found.size_bytes == path.stat().st_size


@pytest.mark.parametrize("keep", [0, 3, 8, 23, 24, 60, 400, 2000])
def test_a_cut_model_file_is_told(tmp_path: Path, keep: int) -> None:
    path = write_tiny_model(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(MisconfiguredError, match="GGUF"):
        read_model_file(path)


@given(data=st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + data)
    with contextlib.suppress(MisconfiguredError):
        assert read_model_file(path).size_bytes == len(data) + 8


def test_bundled_servers_are_small(tiny_model: Path) -> None:
    flags, file = server_flags(tier=TierName.META, settings=default_tier(TierName.META), port=1)
    assert flags.threads == 1
    assert flags.gpu_layers == 0
    assert flags.cache_ram_mib <= 8
    assert file.context == flags.context
    own = TierSettings(model=str(tiny_model), context=512, threads=3, gpu_layers=5, parallel=4)
    flags, _ = server_flags(tier=TierName.META, settings=own, port=7)
    argv = flags.argv()
    pairs = dict(itertools.pairwise(argv))
    assert pairs["--ctx-size"] == "2048"
    assert pairs["--parallel"] == "4"
    assert pairs["--n-gpu-layers"] == "5"
    assert pairs["--port"] == "7"
    parameters = flags.wheel_parameters()
    assert parameters["n_ctx"] == 2048
    json.dumps(parameters)


def test_llama_bin_may_name_a_folder(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_text(
        "#!/bin/sh\necho 'version: 0.6.0 (build 11549, commit abc)'\n"
        f"printf '%s\\n' {' '.join(sorted(REQUIRED_FLAGS))}\n"
    )
    with pytest.raises(MisconfiguredError, match="not executable"):
        find_binary({"LLAMA_BIN": str(tmp_path)})
    program.chmod(0o755)
    assert find_binary({"LLAMA_BIN": str(tmp_path)}).path == program
    assert find_binary({"PATH": f"{tmp_path}:/usr/bin"}).origin == "PATH"
    assert find_binary({"PATH": "/nowhere"}).origin == "wheel"


def test_the_log_stays_bounded_while_a_server_appends(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "x.log")
    log.prepare()
    with log.path.open("ab") as writer:
        writer.write(b"old line\n" * 1000)
        writer.flush()
        assert log.rotate(limit=100)
        writer.write(b"0.00.123 E error: no room for the cache\n")
        writer.flush()
    assert log.path.stat().st_size < 100  # appended from the new beginning, no hole
    assert "no room" in log.last_words()
    assert log.path.with_suffix(".log.1").read_bytes().startswith(b"old line")
    assert not log.rotate(limit=100)


def test_each_tier_has_its_own_defaults() -> None:
    assert [each().port for each in (TriggerSettings, ReviewSettings, MetaSettings)] == [
        8080,
        8081,
        8082,
    ]
    assert MetaSettings(context=4096).port == 8082
    assert all(default_tier(tier).bundled for tier in TierName)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"endpoint": "localhost:8080"}, "http://"),
        ({"backend": "ollama"}, "needs an endpoint"),
        ({"ports": 3}, "Extra inputs"),
        ({"model": ""}, "at least 1 character"),
        ({"host": "0.0.0.0"}, "needs a key"),  # noqa: S104
        ({"host": "fe80::1"}, "needs a key"),
    ],
)
def test_wrong_settings_say_what_is_right(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TierSettings.model_validate(wrong)

"""What is measured of real servers and of bad ones, and the arithmetic."""

from __future__ import annotations

import asyncio

import pytest

from tiers.bench.answer import prompt_of
from tiers.bench.facts import Answer, Batch, Target, Use, Workload
from tiers.bench.run import BenchError, run_bench
from tiers.bench.summary import figures_of, percentile, reading, writing
from tiers.bench.sweep import served, variants
from tiers.config import TierSettings
from tiers.runtime.binary import Binary
from tiers.vocabulary import TierName

WHEEL = Binary(path=None, origin="wheel")
SMALL = Workload(prompt_tokens=40, answer_tokens=8, concurrency=(1, 2), rounds=1, seconds=60)


def answer(**fields: object) -> Answer:
    known: dict[str, object] = {"started": 0.0, "first": 0.5, "gaps": (0.1, 0.1), "ended": 0.7}
    return Answer(**(known | fields))  # type: ignore[arg-type]


def test_speeds_are_the_endpoints_own_or_reckoned() -> None:
    assert reading(answer(prompt_speed=123.0)) == 123.0
    assert reading(answer(prompt_tokens=100)) == 200.0
    assert reading(answer(first=None)) is None
    assert writing(answer()) == pytest.approx(10.0)
    assert writing(answer(answer_tokens=5)) == pytest.approx(20.0)
    assert writing(answer(gaps=())) is None


def test_figures_are_medians_and_failures_are_counted() -> None:
    use = Use(processor=50.0, memory=1000)
    batches = [
        Batch(
            target="a",
            concurrency=2,
            answers=(answer(first=first), answer(problem="500: no")),
            seconds=1.0,
            use=use,
        )
        for first in (0.1, 0.3, 0.9)
    ]
    (line,) = figures_of(batches)
    assert (line.answers, line.failed, line.problem) == (3, 3, "500: no")
    assert (line.first_median, line.first_95) == (0.3, 0.9)
    assert (line.processor, line.memory, line.together) == (50.0, 1000, 3.0)


def test_percentiles() -> None:
    assert percentile([], 95) is None
    assert percentile([3.0], 95) == 3.0
    assert percentile([float(n) for n in range(1, 101)], 95) == 95.0


def test_prompts_differ_from_their_beginning_on() -> None:
    begins = {prompt_of(20, seed=seed)[:30] for seed in range(20)}
    assert len(begins) == 20
    assert len(prompt_of(50, seed=1).split()) == 50


def test_what_can_be_swept() -> None:
    assert variants({"threads": ["1", "2"], "ubatch": ["64"]}) == [
        {"threads": "1", "ubatch": "64"},
        {"threads": "2", "ubatch": "64"},
    ]
    with pytest.raises(BenchError, match="threads"):
        variants({"colour": ["red"]})


async def test_two_settings_of_a_real_server() -> None:
    settings = TierSettings(port=0)
    batches: list[Batch] = []
    for changes in variants({"ubatch": ["64", "256"]}):
        async with served(settings, changes, tier=TierName.META, binary=WHEEL) as target:
            batches += await run_bench([target], SMALL)
    figures = figures_of(batches)
    assert [(each.target, each.concurrency) for each in figures] == [
        ("ubatch=64", 1),
        ("ubatch=64", 2),
        ("ubatch=256", 1),
        ("ubatch=256", 2),
    ]
    for each in figures:
        assert each.failed == 0, each.problem
        assert each.reading is not None
        assert each.memory is not None
        assert each.first_median is not None


async def test_a_setting_that_cannot_be_is_a_sentence() -> None:
    with pytest.raises(BenchError, match="ubatch=1"):
        async with served(TierSettings(), {"ubatch": "1"}, tier=TierName.META, binary=WHEEL):
            pass


async def listening(body: bytes, *, listed: bytes) -> tuple[asyncio.Server, str]:
    """A server that lists a model and answers every chat with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        writer.write(listed if request.startswith(b"GET") else body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"data: [DONE]\n\n", "without a token"),
        (b"data: {broken\n\n", "no stream of a chat"),
        (b"<html>", "without a token"),
    ],
)
async def test_what_is_no_chat_is_a_problem_and_no_crash(body: bytes, words: str) -> None:
    server, url = await listening(body, listed=b'{"data": [{"id": "m"}]}')
    async with server:
        batches = await run_bench([Target(name="x", url=url)], SMALL)
    assert words in figures_of(batches)[0].problem


@pytest.mark.parametrize("listed", [b'{"data": []}', b"not json", b'{"data": null}'])
async def test_who_lists_no_model_is_named_before_anything_is_asked(listed: bytes) -> None:
    server, url = await listening(b"", listed=listed)
    async with server:
        with pytest.raises(BenchError, match="x: http"):
            await run_bench([Target(name="x", url=url)], SMALL)


async def test_targets_take_turns() -> None:
    order: list[str] = []
    async with served(TierSettings(), {}, tier=TierName.META, binary=WHEEL) as one:
        again = Target(name="again", url=one.url, model=one.model)
        workload = Workload(prompt_tokens=10, answer_tokens=2, concurrency=(1,), rounds=2)
        await run_bench([one, again], workload, on_batch=lambda batch: order.append(batch.target))
    assert order == [one.name, "again"] * 2

"""Starting and stopping, the live stream's readers, and what logs show."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest
import structlog

from daemon.live import LiveHub
from daemon.logs import configure_logs
from daemon.runtime import Failure, background, stop_task, within


async def test_a_part_that_fails_is_reported_once() -> None:
    failure = Failure()

    async def fails() -> None:
        raise RuntimeError("first")

    async with background("one", fails(), failure=failure):
        await asyncio.wait_for(failure.wait(), 1)
        assert failure.where == "one"
        failure.report("two", RuntimeError("second"))
    assert str(failure.error) == "first"


async def test_leaving_cancels_and_waits() -> None:
    ended = []

    async def works() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(1)

    failure = Failure()
    async with background("one", works(), failure=failure):
        await asyncio.sleep(0)
    assert ended == [1]
    assert failure.error is None
    async with background("never begun", works(), failure=failure):
        pass  # no warning of a coroutine that nobody awaited

    async def breaks() -> None:
        async with background("one", works(), failure=failure):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await breaks()
    assert ended == [1, 1]


async def test_deadlines_of_stopping() -> None:
    async def stubborn() -> None:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.4)

    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    began = time.monotonic()
    await stop_task(task, deadline=0.1)
    assert time.monotonic() - began < 0.3
    await within("slow", lambda: asyncio.sleep(60), deadline=0.05)

    async def breaks() -> None:
        raise RuntimeError("while stopping")

    await within("broken", breaks, deadline=1)
    await task


async def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    hub = LiveHub()
    hub.publish(kind="event", text="nobody reads")
    slow, quick = hub.follow(), hub.follow()
    waiting = [asyncio.ensure_future(anext(reader)) for reader in (slow, quick)]
    await asyncio.sleep(0)
    hub.publish(kind="event", text="x" * 100_000)
    first = [await each for each in waiting]
    assert [len(item.text) for item in first] == [4_096, 4_096]
    for number in range(1_500):
        hub.publish(kind="event", text=str(number))
    assert (await anext(slow)).text == "500 items were not shown: this reader is too slow"
    seen = []
    while (item := await anext(slow)).text != "1499":
        seen.append(item.text)
    assert seen[0] == "500"
    hub.publish(kind="event", text="next")
    assert (await anext(slow)).text == "next"
    assert len(seen) == 999
    await slow.aclose()
    await quick.aclose()
    assert not hub._readers


def test_logs_hide_secrets_and_drive_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        for format_ in ("console", "json"):
            configure_logs(level="info", format=format_)  # type: ignore[arg-type]
            log = structlog.get_logger("fresh")
            hidden = "hunter2"
            try:
                raise ValueError("broken")
            except ValueError as error:
                log.error("x", api_key=hidden, text="a\x1b[2J\nb", exc_info=error)
            shown = capsys.readouterr().err
            assert "hunter2" not in shown
            assert "(not shown)" in shown
            assert "\x1b[2J" not in shown
            assert "broken" in shown
            if format_ == "json":
                assert json.loads(shown)["text"] == "a\x1b[2J\nb"
    finally:
        structlog.configure(**before)

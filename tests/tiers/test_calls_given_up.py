"""Callers that give up at any moment: no slot and no connection is lost by that."""

from __future__ import annotations

import asyncio
import contextlib

from tiers.llm.admission import Admission
from tiers.llm.transport import Transport

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n" + b'{"a": 1}'


async def test_who_gives_up_in_the_moment_of_its_turn_keeps_nobody_out() -> None:
    admission = Admission(name="meta", slots=1, queue=8)

    async def hold(until: asyncio.Event) -> None:
        async with admission.slot():
            await until.wait()

    first, later = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(first))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(hold(later)) for _ in range(2)]
    await asyncio.sleep(0)
    first.set()
    waiting[0].cancel()
    later.set()
    await asyncio.wait({holder, *waiting}, timeout=5)
    assert waiting[0].cancelled()
    holder.result()
    waiting[1].result()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_calls_that_are_given_up_leave_connections_for_others() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_ANSWER)
                await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport(name="meta", url=f"http://127.0.0.1:{port}", connections=1)
    for turns in [*range(12)] * 8:
        call = asyncio.create_task(transport.json("GET", "/v1/models"))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call}, timeout=5)
        assert call.done()
    async with transport.deadline(5):
        document, _ = await transport.json("GET", "/v1/models")
    assert document == {"a": 1}
    await transport.aclose()
    server.close()
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    await server.wait_closed()

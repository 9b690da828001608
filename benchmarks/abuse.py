"""Does a well-behaved client notice that others mean harm, and does anything grow by it?

    python -m benchmarks.abuse [--connections N] [--seconds S] [--rounds R]

The real daemon with the bundled models, and one client that asks for the list of models, each time
over a connection of its own. Beside it, one after the other, from a process of their own: N
connections that are opened and dropped, half of them in the middle of a request; connections that
send a header's byte now and then, more than the daemon has room for; bodies that drip; rubbish,
pipelines of thousands of requests, endless headers and trailers; streams that nobody reads. What
counts: requests that failed, their latency, and the daemon's memory and file descriptors after
each. Everything comes twice: what the first round leaves are buffers that the allocator keeps, what
the second adds to that is a leak.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx

from benchmarks.load import bar_note, load_note
from benchmarks.table import Cell, report
from benchmarks.watched import QUIET, Watched, daemon, megabytes, scratch_folder

BAR_GROWN_MB = 8.0
BAR_LEFT_FDS = 8.0
_SETTLE = 3.0
_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
_AT_ONCE = 200

Attack = Callable[[int, int, float], Coroutine[Any, Any, None]]


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
    except (OSError, TimeoutError):
        return None


async def dropped(port: int, connections: int, seconds: float) -> None:
    """Opened and dropped."""
    begun = (b"", b"GET /v1/mod", _HEAD + b"Content-Length: 1000\r\n\r\n{", b"GET / HTTP/1.1\r\n")

    async def one(number: int) -> None:
        if (streams := await _open(port)) is not None:
            streams[1].write(begun[number % len(begun)])
            await asyncio.sleep(0)
            streams[1].transport.abort()

    for start in range(0, connections, _AT_ONCE):
        await asyncio.gather(*(one(start + number) for number in range(_AT_ONCE)))


async def _dripping(port: int, count: int, seconds: float, begin: bytes) -> None:
    until = time.monotonic() + seconds

    async def one() -> None:
        while time.monotonic() < until:
            if (streams := await _open(port)) is None:
                await asyncio.sleep(0.5)
                continue
            with contextlib.suppress(OSError):
                streams[1].write(begin)
                while time.monotonic() < until and not streams[0].at_eof():
                    streams[1].write(b"x")
                    await streams[1].drain()
                    await asyncio.sleep(1)
            streams[1].transport.abort()
            await asyncio.sleep(0.2)

    await asyncio.gather(*(one() for _ in range(count)))


async def slow_headers(port: int, connections: int, seconds: float) -> None:
    await _dripping(port, 700, seconds, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")


async def slow_bodies(port: int, connections: int, seconds: float) -> None:
    await _dripping(port, 300, seconds, _HEAD + b"Content-Length: 100000\r\n\r\n")


async def rubbish(port: int, connections: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    texts = (
        b"\x16\x03\x01\x00\xa5" * 100,
        get * 20_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"A: b\r\n" * 500_000,
        _HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        _HEAD + b"Content-Length: 1000000\r\n\r\n" + b"[" * 1_000_000,
    )

    async def one(number: int) -> None:
        while time.monotonic() < until:
            for text in texts[number % len(texts) :]:
                if (streams := await _open(port)) is not None:
                    with contextlib.suppress(OSError):
                        streams[1].write(text)
                        await asyncio.wait_for(streams[1].drain(), 2)
                        await asyncio.wait_for(streams[0].read(1_000), 0.2)
                    streams[1].transport.abort()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one(number) for number in range(12)))


async def unread_streams(port: int, connections: int, seconds: float) -> None:
    ends = []
    for _ in range(200):
        if (streams := await _open(port)) is not None:
            streams[1].write(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            streams[1].transport.pause_reading()  # type: ignore[attr-defined]
            ends.append(streams[1])
    await asyncio.sleep(seconds)
    for writer in ends:
        writer.transport.abort()


ATTACKS: dict[str, Attack] = {
    "connections dropped": dropped,
    "slow headers, 700 at once": slow_headers,
    "slow bodies, 300 at once": slow_bodies,
    "rubbish, pipelines, trailers": rubbish,
    "200 streams nobody reads": unread_streams,
}


def _attack(name: str, port: int, connections: int, seconds: float) -> None:
    asyncio.run(ATTACKS[name](port, connections, seconds))


@contextlib.contextmanager
def _under(name: str, port: int, connections: int, seconds: float) -> Iterator[Any]:
    process = multiprocessing.get_context("spawn").Process(
        target=_attack, args=(name, port, connections, seconds)
    )
    process.start()
    try:
        yield process
    finally:
        process.join(seconds + 60)
        if process.is_alive():
            process.kill()


@dataclasses.dataclass(slots=True, kw_only=True)
class _Seen:
    """What the well-behaved client saw, and what the daemon used at most meanwhile."""

    times: list[float] = dataclasses.field(default_factory=list)
    failed: int = 0
    rss: float = 0.0
    fds: int = 0

    def row(self, what: str, *, rss: float, fds: int) -> dict[str, Cell]:
        cuts = statistics.quantiles(self.times, n=100) if len(self.times) > 1 else [0.0] * 99
        return {
            "meanwhile": what,
            "requests": len(self.times) + self.failed,
            "failed": self.failed,
            "p50 ms": round(1e3 * cuts[49], 1),
            "p99 ms": round(1e3 * cuts[98], 1),
            "most RSS MB": round(self.rss, 1),
            "most fds": self.fds,
            "RSS MB after": round(rss, 1),
            "fds after": fds,
        }


def _well_behaved(watched: Watched, done: Callable[[], bool]) -> _Seen:
    """Asks every 20 ms, over a new connection each time, until `done`."""
    seen = _Seen()
    url = watched.http.base_url.join("/v1/models")
    while not done():
        began = time.perf_counter()
        try:
            answer = httpx.get(url, timeout=10, trust_env=False)
            answer.raise_for_status()
            seen.times.append(time.perf_counter() - began)
        except httpx.HTTPError:
            seen.failed += 1
        seen.rss = max(seen.rss, megabytes(watched.process)[0])
        seen.fds = max(seen.fds, watched.process.num_fds())
        time.sleep(0.02)
    return seen


def _for(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def main() -> None:
    parser = argparse.ArgumentParser(description="A client beside others that mean harm.")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    ends: list[float] = []
    rows: list[dict[str, Cell]] = []
    with scratch_folder("abuse") as state, daemon(state, config=QUIET) as watched:
        port = watched.http.base_url.port
        assert port is not None
        _well_behaved(watched, _for(2))  # warm
        quiet = _well_behaved(watched, _for(5))
        before_rss, before_fds = megabytes(watched.process)[0], watched.process.num_fds()
        rows.append(quiet.row("nothing", rss=before_rss, fds=before_fds))
        for name in [*ATTACKS] * options.rounds:
            with _under(name, port, options.connections, options.seconds) as process:
                seen = _well_behaved(watched, lambda alive=process.is_alive: not alive())
            time.sleep(_SETTLE)
            rss, fds = megabytes(watched.process)[0], watched.process.num_fds()
            rows.append(seen.row(name, rss=rss, fds=fds))
            if len(rows) % len(ATTACKS) == 1:
                ends.append(rss)
        calm = _well_behaved(watched, _for(5))
        rss, fds = megabytes(watched.process)[0], watched.process.num_fds()
        rows.append(calm.row("nothing, afterwards", rss=rss, fds=fds))
    failed = sum(int(str(row["failed"])) for row in rows)
    report(
        f"A well-behaved client beside others; {options.connections} connections dropped",
        rows,
        facts={"bar grown MB": BAR_GROWN_MB, "bar left fds": BAR_LEFT_FDS},
        notes=(
            bar_note("requests that failed", failed, 0),
            *(
                bar_note(f"memory grown in round {number}", late - early, BAR_GROWN_MB, unit=" MB")
                for number, (early, late) in enumerate(itertools.pairwise(ends), 2)
            ),
            bar_note("file descriptors left", fds - before_fds, BAR_LEFT_FDS),
            load_note(),
        ),
    )


if __name__ == "__main__":
    main()

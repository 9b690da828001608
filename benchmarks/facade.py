"""What the facade adds to a request for a bare model, beside llama-server alone and LiteLLM.

    python -m benchmarks.facade [--rounds R] [--requests N] [--streams 1,8,64]
        [--tokens T] [--litellm FOLDER | --without-litellm]

One llama-server (the bundled model, as many slots as there are streams), the real daemon, and
LiteLLM's proxy, all over the same llama-server. In each round each of the three is asked the same
number of streamed chats, in an order that turns, so that what else the machine does hits all of
them. Answers are short: what is measured is the way to the model, not the model.

Then the same over an endpoint that replays llama-server's bytes with a token every 40 ms in each
stream, as a model on other hardware would: on one machine many streams of a real model leave no
processor to anybody, and what is measured then is who waits for it.

The added time is the median over rounds of the difference between the medians of one round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from benchmarks import litellm_proxy
from benchmarks.load import bar_note, load_note
from benchmarks.streams import Target, Timed, streams
from benchmarks.table import Cell, report
from benchmarks.watched import QUIET, daemon, free_ports, scratch_folder

BAR_ADDED_MS = 2.4
_PROMPT = "How full are the disks of this host?"
_DIRECT = "endpoint alone"
_FACADE = "triaged"
_LITELLM = "LiteLLM"
_CHAT = "/v1/chat/completions"
_WARM = 5
_PACE_SECONDS = 0.04
_PACED_TOKENS = 8

Rounds = Mapping[str, Sequence[Sequence[Timed | None]]]
"""By target: the timings of each round, None for requests that failed."""


async def measure(
    targets: Sequence[Target],
    *,
    workers: int,
    rounds: int,
    each: int,
    tokens: int,
    spread: float = 0.0,
) -> Rounds:
    """`each` requests per round and target of each of `workers`."""
    taken: dict[str, list[list[Timed | None]]] = {target.name: [] for target in targets}

    async def ask(target: Target, times: int) -> list[Timed | None]:
        return await streams(
            target,
            workers=workers,
            each=times,
            max_tokens=tokens,
            prompt=_PROMPT,
            spread=spread,
        )

    for target in targets:
        await ask(target, min(_WARM, each))
    for number in range(rounds):
        turn = number % len(targets)
        for target in [*targets[turn:], *targets[:turn]]:
            taken[target.name].append(await ask(target, each))
    return taken


def medians(
    rounds: Sequence[Sequence[Timed | None]], of: Callable[[Timed], float | None]
) -> list[float]:
    """One per round, of the requests that were answered."""
    return [
        statistics.median(
            [value for timed in one if timed is not None and (value := of(timed)) is not None]
        )
        for one in rounds
    ]


def added(taken: Rounds, name: str, of: Callable[[Timed], float | None]) -> float:
    """Milliseconds more than llama-server alone: the median over rounds."""
    pairs = zip(medians(taken[name], of), medians(taken[_DIRECT], of), strict=True)
    return statistics.median([here - alone for here, alone in pairs])


def _total(timed: Timed) -> float:
    return timed.total


def _first(timed: Timed) -> float:
    return timed.first


def _between(timed: Timed) -> float | None:
    return timed.between


def row(workers: int, name: str, taken: Rounds) -> dict[str, Cell]:
    """A line of the table."""
    asked = [timed for one in taken[name] for timed in one]
    every = sorted(timed.total for timed in asked if timed is not None)
    cells: dict[str, Cell] = {
        "streams": workers,
        "asked": name,
        "requests": len(asked),
        "failed": len(asked) - len(every),
        "p50 ms": round(statistics.median(medians(taken[name], _total)), 3),
        "p99 ms": round(every[min(len(every) - 1, int(0.99 * len(every)))], 3),
    }
    for what, of in (("added", _total), ("first token +", _first), ("between tokens +", _between)):
        cells[f"{what} ms"] = None if name == _DIRECT else round(added(taken, name, of), 3)
    return cells


@contextlib.contextmanager
def paced(port: int, answer: Path) -> Iterator[str]:
    """The paced endpoint's URL; `answer` is read with the first chat."""
    command = [sys.executable, "-m", "benchmarks.paced_endpoint", str(port), str(answer)]
    started = subprocess.Popen([*command, str(_PACE_SECONDS)])
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/health", trust_env=False)
                break
            time.sleep(0.05)
        yield url
    finally:
        started.kill()
        started.wait()


def recorded(url: str, *, tokens: int) -> bytes:
    """A streamed answer of a real llama-server."""
    body = {
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_tokens": tokens,
        "stream": True,
        "temperature": 0,
    }
    got = httpx.post(f"{url}{_CHAT}", json=body, timeout=60, trust_env=False)
    return got.raise_for_status().content


def notes_of(results: Mapping[int, Rounds], *, what: str) -> list[str]:
    """Whether the bars were met."""
    notes = []
    for workers, taken in results.items():
        more = added(taken, _FACADE, _total)
        notes.append(bar_note(f"{what}, {workers} streams", more, BAR_ADDED_MS, unit=" ms"))
        if _LITELLM in taken:
            theirs = added(taken, _LITELLM, _total)
            below = "met" if more < theirs else "NOT MET"
            notes.append(f"below LiteLLM's {theirs:,.2f} ms at {workers} streams: {below}")
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description="What the facade adds to a bare model's answer.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=64, help="per round and target")
    parser.add_argument("--streams", default="1,8,64")
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--litellm", type=Path, default=litellm_proxy.default_folder())
    parser.add_argument("--without-litellm", action="store_true")
    options = parser.parse_args()
    counts = [int(count) for count in options.streams.split(",")]
    (port,) = free_ports(1)
    os.environ |= {
        "TRIAGED__TIERS__META__PARALLEL": str(min(64, max(counts))),
        "TRIAGED__TIERS__META__QUEUE": "1024",
        "TRIAGED__TIERS__REVIEW__ENDPOINT": f"http://127.0.0.1:{port}",
        "TRIAGED__TIERS__REVIEW__QUEUE": "1024",
    }
    program = None if options.without_litellm else litellm_proxy.environment(options.litellm)
    facts: dict[str, Cell] = {"bar added ms": BAR_ADDED_MS, "tokens": options.tokens}
    real: dict[int, Rounds] = {}
    by_clock: dict[int, Rounds] = {}
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(scratch_folder("facade"))
        answer = state / "answer.sse"
        clocked = stack.enter_context(paced(port, answer))
        running = stack.enter_context(daemon(state, config=QUIET))
        base = str(running.http.base_url).rstrip("/")
        tiers = {tier["tier"]: tier for tier in running.http.get("/api/v1/tiers").json()["tiers"]}
        llama = tiers["meta"]["url"]
        answer.write_bytes(recorded(llama, tokens=_PACED_TOKENS))
        targets = [
            Target(name=_DIRECT, url=llama + _CHAT, model="tier/meta"),
            Target(name=_FACADE, url=base + _CHAT, model="tier/meta"),
        ]
        paced_targets = [
            Target(name=_DIRECT, url=clocked + _CHAT, model="tier/review"),
            Target(name=_FACADE, url=base + _CHAT, model="tier/review"),
        ]
        if program is not None:
            facts["litellm"] = litellm_proxy.version(program)
            other = stack.enter_context(
                litellm_proxy.proxy(program, url=llama, paced_url=clocked, scratch=state)
            )
            targets.append(Target(name=_LITELLM, url=other + _CHAT, model=litellm_proxy.MODEL))
            paced_targets.append(
                Target(name=_LITELLM, url=other + _CHAT, model=litellm_proxy.PACED)
            )
        for workers in counts:
            real[workers] = asyncio.run(
                measure(
                    targets,
                    workers=workers,
                    rounds=options.rounds,
                    each=max(2, options.requests // workers),
                    tokens=options.tokens,
                )
            )
            by_clock[workers] = asyncio.run(
                measure(
                    paced_targets,
                    workers=workers,
                    rounds=options.rounds,
                    each=2 if workers > 1 else 8,
                    tokens=_PACED_TOKENS,
                    spread=_PACE_SECONDS * _PACED_TOKENS,
                )
            )
    for title, results, what in (
        (f"llama-server: a bare model's answer of {options.tokens} tokens", real, "added"),
        (
            f"Paced endpoint: {_PACED_TOKENS} tokens, one every {1e3 * _PACE_SECONDS:g} ms",
            by_clock,
            "added, paced",
        ),
    ):
        report(
            title,
            [row(workers, name, taken) for workers, taken in results.items() for name in taken],
            facts=facts,
            notes=(*notes_of(results, what=what), load_note()),
        )


if __name__ == "__main__":
    main()

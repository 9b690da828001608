"""What the facade adds to a request for a bare model, beside llama-server alone and LiteLLM.

    python -m benchmarks.facade [--rounds R] [--requests N] [--streams 1,8,64]
        [--tokens T] [--litellm FOLDER | --without-litellm]

One llama-server (the bundled model, as many slots as there are streams), the real daemon, and
LiteLLM's proxy, all over the same llama-server. In each round each of the three is asked the same
number of streamed chats, in an order that turns, so that what else the machine does hits all of
them. Answers are short: what is measured is the way to the model, not the model.

The added time is the median over rounds of the difference between the medians of one round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import litellm_proxy
from benchmarks.load import bar_note, load_note
from benchmarks.streams import Target, Timed, streams
from benchmarks.table import Cell, report
from benchmarks.watched import QUIET, daemon, scratch_folder

BAR_ADDED_MS = 2.4
_PROMPT = "How full are the disks of this host?"
_DIRECT = "llama-server"
_FACADE = "triaged"
_LITELLM = "LiteLLM"
_WARM = 5

Rounds = Mapping[str, Sequence[Sequence[Timed | None]]]
"""By target: the timings of each round, None for requests that failed."""


async def measure(
    targets: Sequence[Target], *, workers: int, rounds: int, requests: int, tokens: int
) -> Rounds:
    """`requests` per round and target, shared by `workers`."""
    each = max(2, requests // workers)
    taken: dict[str, list[list[Timed | None]]] = {target.name: [] for target in targets}
    for target in targets:
        await streams(target, workers=workers, each=_WARM, max_tokens=tokens, prompt=_PROMPT)
    for number in range(rounds):
        turn = number % len(targets)
        for target in [*targets[turn:], *targets[:turn]]:
            taken[target.name].append(
                await streams(target, workers=workers, each=each, max_tokens=tokens, prompt=_PROMPT)
            )
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


def main() -> None:
    parser = argparse.ArgumentParser(description="What the facade adds to a bare model's answer.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=128, help="per round and target")
    parser.add_argument("--streams", default="1,8,64")
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--litellm", type=Path, default=litellm_proxy.default_folder())
    parser.add_argument("--without-litellm", action="store_true")
    options = parser.parse_args()
    counts = [int(count) for count in options.streams.split(",")]
    os.environ["TRIAGED__TIERS__META__PARALLEL"] = str(min(64, max(counts)))
    os.environ["TRIAGED__TIERS__META__QUEUE"] = "1024"
    program = None if options.without_litellm else litellm_proxy.environment(options.litellm)
    facts: dict[str, Cell] = {"bar added ms": BAR_ADDED_MS, "tokens": options.tokens}
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(scratch_folder("facade"))
        running = stack.enter_context(daemon(state, config=QUIET))
        base = str(running.http.base_url).rstrip("/")
        tiers = {tier["tier"]: tier for tier in running.http.get("/api/v1/tiers").json()["tiers"]}
        llama = tiers["meta"]["url"]
        chat = "/v1/chat/completions"
        targets = [
            Target(name=_DIRECT, url=llama + chat, model="tier/meta"),
            Target(name=_FACADE, url=base + chat, model="tier/meta"),
        ]
        if program is not None:
            facts["litellm"] = litellm_proxy.version(program)
            other = stack.enter_context(litellm_proxy.proxy(program, url=llama, scratch=state))
            targets.append(Target(name=_LITELLM, url=other + chat, model=litellm_proxy.MODEL))
        results = {
            workers: asyncio.run(
                measure(
                    targets,
                    workers=workers,
                    rounds=options.rounds,
                    requests=options.requests,
                    tokens=options.tokens,
                )
            )
            for workers in counts
        }
    notes = []
    for workers, taken in results.items():
        more = added(taken, _FACADE, _total)
        notes.append(bar_note(f"added at {workers} streams", more, BAR_ADDED_MS, unit=" ms"))
        if program is not None:
            theirs = added(taken, _LITELLM, _total)
            below = "met" if more < theirs else "NOT MET"
            notes.append(f"below LiteLLM's {theirs:,.2f} ms at {workers} streams: {below}")
    report(
        f"A bare model's answer of {options.tokens} tokens, streamed, by way of the facade",
        [row(workers, name, taken) for workers, taken in results.items() for name in taken],
        facts=facts,
        notes=(*notes, load_note()),
    )


if __name__ == "__main__":
    main()

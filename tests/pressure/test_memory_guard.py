"""Simulated memory pressure: what is capped, what sleeps, what comes back, and that nothing
oscillates."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.errors import QueueFullError
from tiers.llm.admission import Admission
from tiers.llm.client import LlmClient
from tiers.pressure.guard import MemoryGuard
from tiers.pressure.levels import Level, Pressure, Stance, following, reasons
from tiers.pressure.reading import PressureReader
from tiers.pressure.settings import GuardSettings
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

GIB = 2**30
SETTINGS = GuardSettings()
CALM = Pressure(available=12 * GIB, capacity=16 * GIB, swap_used=0, stall_some=0, stall_full=0)


def changed(**fields: object) -> Pressure:
    return dataclasses.replace(CALM, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pressure", "level", "words"),
    [
        (CALM, Level.CALM, ""),
        (changed(swap_used=int(2.4 * GIB)), Level.CALM, ""),
        (changed(swap_used=int(2.5 * GIB)), Level.SHORT, "2.5 GiB of swap"),
        (changed(available=int(1.5 * GIB)), Level.SHORT, "9 % of memory (1.5 GiB)"),
        (changed(available=GIB // 2), Level.ASLEEP, "3 % of memory"),
        (changed(stall_some=25.0), Level.SHORT, "wait for memory 25 %"),
        (changed(stall_full=12.0), Level.ASLEEP, "all processes wait"),
        (changed(gpu_free=100 * 2**20), Level.SHORT, "100 MiB are free on a GPU"),
        (changed(stall_some=None, stall_full=None), Level.CALM, ""),
        (changed(available=0, capacity=0), Level.CALM, ""),
    ],
)
def test_what_calls_for_which_level(pressure: Pressure, level: Level, words: str) -> None:
    stance = following(Stance(), pressure, SETTINGS, now=0.0)
    assert stance.level is level
    assert words in stance.why


def run_through(looks: Sequence[Pressure], *, every: float = 2.0) -> list[Level]:
    stance, levels = Stance(), []
    for number, pressure in enumerate(looks):
        stance = following(stance, pressure, SETTINGS, now=number * every)
        levels.append(stance.level)
    return levels


def test_down_goes_one_step_at_a_time_and_only_after_a_lasting_calm() -> None:
    levels = run_through([changed(available=GIB // 4), *[CALM] * 70])
    assert levels[:31] == [Level.ASLEEP] * 31
    assert levels[31] is Level.SHORT
    assert levels[60] is Level.SHORT
    assert levels[61] is Level.CALM
    assert levels[-1] is Level.CALM


def test_a_calm_that_is_interrupted_begins_anew() -> None:
    swap = changed(swap_used=3 * GIB)
    levels = run_through([swap, *[CALM] * 25, swap, *[CALM] * 31])
    assert levels[:57] == [Level.SHORT] * 57
    assert levels[57] is Level.CALM


def test_what_hovers_at_a_limit_does_not_oscillate() -> None:
    above, below = changed(swap_used=int(2.6 * GIB)), changed(swap_used=int(2.4 * GIB))
    levels = run_through([above, below] * 200)
    assert set(levels) == {Level.SHORT}


@given(
    st.lists(
        st.builds(
            Pressure,
            available=st.integers(0, 16 * GIB),
            capacity=st.just(16 * GIB),
            swap_used=st.integers(0, 8 * GIB),
            stall_some=st.none() | st.floats(0, 100),
            stall_full=st.none() | st.floats(0, 100),
            gpu_free=st.none() | st.integers(0, 4 * GIB),
        ),
        max_size=120,
    )
)
def test_steps_are_few_whatever_happens(looks: list[Pressure]) -> None:
    """The level never falls below what is called for, and falls at most once a hold."""
    stance, falls = Stance(), []
    for number, pressure in enumerate(looks):
        now = number * 2.0
        after = following(stance, pressure, SETTINGS, now=now)
        assert after.level >= max(reasons(pressure, SETTINGS), default=Level.CALM)
        if after.level < stance.level:
            assert after.level == stance.level - 1
            falls.append(now)
        stance = after
    assert all(b - a >= SETTINGS.hold_seconds for a, b in itertools.pairwise(falls))


class Servers:
    """Three servers; remembers who rests."""

    def __init__(self) -> None:
        sizes = {TierName.TRIGGER: 1, TierName.REVIEW: 4, TierName.META: 8}
        self.states = dict.fromkeys(TierName, ServerState.READY)
        self.sizes = {tier: size * GIB for tier, size in sizes.items()}
        self.told: list[str] = []
        self.loading: asyncio.Event | None = None

    def status(self) -> list[ServerStatus]:
        return [
            ServerStatus(
                tier=tier,
                state=state,
                model="m",
                url="",
                port=1,
                pid=1,
                restarts=0,
                rss_bytes=self.sizes[tier],
                detail="",
                since=datetime.now(UTC),
            )
            for tier, state in self.states.items()
        ]

    async def rest(self, tier: TierName, *, why: str) -> None:
        self.states[tier] = ServerState.STOPPED
        self.told.append(f"rest {tier}: {why}")

    async def wake(self, tier: TierName) -> None:
        if self.loading is not None:
            await self.loading.wait()
        self.states[tier] = ServerState.READY
        self.told.append(f"wake {tier}")


class Bench:
    """A guard over simulated pressure and time."""

    def __init__(self, clients: dict[TierName, LlmClient]) -> None:
        self.now = 0.0
        self.pressure: Pressure | Exception = CALM
        self.servers = Servers()
        self.clients = clients
        self.guard = MemoryGuard(
            settings=SETTINGS,
            read=self.read,
            clients=clients,
            servers=self.servers,
            clock=lambda: self.now,
        )

    def read(self) -> Pressure:
        if isinstance(self.pressure, Exception):
            raise self.pressure
        return self.pressure

    async def looks(self, count: int, *, every: float = 2.0) -> None:
        for _ in range(count):
            await self.guard.look()
            await asyncio.sleep(0)
            self.now += every


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clients = {
        tier: LlmClient(name=str(tier), url="http://127.0.0.1:9", max_tokens=1024, parallel=4)
        for tier in TierName
    }
    yield Bench(clients)
    for client in clients.values():
        await client.aclose()


async def test_answers_are_kept_short_and_long_again(bench: Bench) -> None:
    client = bench.clients[TierName.META]
    bench.pressure = changed(swap_used=3 * GIB)
    await bench.looks(1)
    assert client.max_tokens == 512
    assert bench.guard.status().level is Level.SHORT
    bench.pressure = CALM
    await bench.looks(32)
    assert client.max_tokens == 1024
    assert bench.guard.status().steps == 2
    assert bench.servers.told == []


async def test_the_largest_idle_model_sleeps_and_the_smallest_wakes_first(bench: Bench) -> None:
    bench.pressure = CALM
    await bench.looks(6)
    bench.servers.states[TierName.META] = ServerState.BUSY
    bench.pressure = changed(available=GIB // 4)
    await bench.looks(1)
    assert [word.split(":")[0] for word in bench.servers.told] == ["rest review"]
    assert "memory guard" in bench.servers.told[0]
    bench.servers.states[TierName.META] = ServerState.READY
    await bench.looks(1)
    assert bench.guard.status().resting == (TierName.REVIEW, TierName.META)
    bench.pressure = CALM
    await bench.looks(40)
    assert bench.servers.told[-2:] == ["wake meta", "wake review"]
    assert bench.guard.status().resting == ()


async def test_a_model_with_work_waiting_is_not_idle(bench: Bench) -> None:
    await bench.looks(6)
    async with bench.clients[TierName.META].admission.slot():
        bench.pressure = changed(available=GIB // 4)
        await bench.looks(3)
    assert not any("meta" in word for word in bench.servers.told)


async def test_the_guard_looks_on_while_a_model_loads(bench: Bench) -> None:
    await bench.looks(6)
    bench.pressure = changed(available=GIB // 4)
    await bench.looks(2)
    bench.servers.loading = asyncio.Event()
    bench.pressure = CALM
    await bench.looks(40)
    assert not any("wake" in word for word in bench.servers.told)
    bench.pressure = changed(swap_used=4 * GIB)
    await bench.looks(1)
    assert bench.guard.status().level is Level.SHORT
    bench.servers.loading.set()
    await bench.looks(4)
    assert sum("wake" in word for word in bench.servers.told) == 2


async def test_what_cannot_be_read_changes_nothing(bench: Bench) -> None:
    bench.pressure = changed(swap_used=3 * GIB)
    await bench.looks(1)
    bench.pressure = OSError("no")
    await bench.looks(50)
    assert bench.guard.status().level is Level.SHORT


async def test_its_end_takes_back_what_it_capped(bench: Bench) -> None:
    bench.pressure = changed(swap_used=3 * GIB)
    task = asyncio.create_task(bench.guard.run())
    async with asyncio.timeout(10):
        while bench.clients[TierName.META].max_tokens != 512:  # noqa: ASYNC110 (a guard tells nobody)
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.clients[TierName.META].max_tokens == 1024


async def test_fewer_slots_let_running_calls_end() -> None:
    admission = Admission(name="meta", slots=3, queue=4)
    order: list[int] = []
    go = [asyncio.Event() for _ in range(5)]

    async def call(number: int) -> None:
        async with admission.slot():
            order.append(number)
            await go[number].wait()

    tasks = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0)
    admission.narrow(1)
    assert (admission.running, admission.waiting) == (3, 2)
    go[0].set()
    go[1].set()
    await asyncio.sleep(0.01)
    assert (admission.running, order) == (1, [0, 1, 2])
    admission.narrow(None)
    await asyncio.sleep(0.01)
    assert order == [0, 1, 2, 3, 4]
    for event in go:
        event.set()
    await asyncio.gather(*tasks)
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_cancelled_wait_gives_its_turn_on() -> None:
    admission = Admission(name="meta", slots=1, queue=2)
    entered = asyncio.Event()

    async def hold() -> None:
        async with admission.slot():
            entered.set()
            await asyncio.sleep(60)

    async def quick() -> str:
        async with admission.slot():
            return "in"

    holder = asyncio.create_task(hold())
    await entered.wait()
    first, second = asyncio.create_task(quick()), asyncio.create_task(quick())
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await quick()
    # Its turn comes and it is cancelled in the same moment.
    holder.cancel()
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "in"
    await asyncio.gather(holder, first, return_exceptions=True)
    assert (admission.running, admission.waiting, admission.turned_away) == (0, 0, 1)


def test_pressure_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "proc/pressure").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n"
        "SwapTotal: 4194304 kB\nSwapFree: 1048576 kB\n"
    )
    (tmp_path / "proc/pressure/memory").write_text(
        "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n"
        "full avg10=3.25 avg60=0 avg300=0 total=1\n"
    )
    found = PressureReader(root=tmp_path)()
    assert (found.available, found.capacity) == (8 * GIB, 16 * GIB)
    assert (found.swap_used, found.stall_some, found.stall_full) == (3 * GIB, 12.5, 3.25)
    (tmp_path / "proc/pressure/memory").unlink()
    assert PressureReader(root=tmp_path)().stall_some is None


def test_this_very_machine_can_be_read() -> None:
    assert PressureReader(gpus=True)().capacity > 0

"""Alarms from measurements: hysteresis, trends, recovery, restarts, the real host."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sources import mounts as mounts_module
from daemon.sources.alarms import Alarms
from daemon.sources.metrics import Metric, MetricsSource
from daemon.sources.mounts import MountProbe, Space, parse_mounts
from daemon.sources.probes import Counters, Probes, Reading
from daemon.sources.settings import Limits, MetricsSettings, TrendSettings
from daemon.sources.thresholds import Change, Threshold
from daemon.sources.trend import Trending
from tests.sources.kept import Keeper
from tiers.vocabulary import Severity

LIMITS = Limits(notice=80, warning=90, critical=97, clear_margin=2, up_after=2, down_after=3)


class Sink:
    def __init__(self) -> None:
        self.samples: list[Metric] = []

    async def record(self, samples: Sequence[Metric]) -> None:
        self.samples += samples


class Host:
    """A host whose values are written down."""

    def __init__(self) -> None:
        self.memory = 10.0
        self.oom = 0
        self.spaces: dict[str, Space | None] = {}

    def fast(self) -> list[Reading]:
        return [Reading("memory", "", self.memory, "1.0 GiB available")]

    def slow(self) -> list[Reading]:
        return []

    def counters(self) -> Counters:
        return Counters(self.oom, 0.0, 0.0)

    async def measure(self) -> dict[str, Space | None]:
        return dict(self.spaces)

    def close(self) -> None:
        return


def levels(threshold: Threshold, values: Sequence[float]) -> list[str]:
    result = []
    for value in values:
        transition = threshold.sample(value)
        if transition:
            result.append(f"{transition.change.name} {transition.level}")
    return result


def test_one_spike_is_nothing_and_a_wobble_is_one_alarm() -> None:
    assert levels(Threshold(limits=LIMITS), [99, 10, 99, 10]) == []
    wobble = [91, 91, 89, 91, 89, 91, 89, 88.5, 91]
    assert levels(Threshold(limits=LIMITS), wobble) == ["RISE warning"]


def test_rises_straight_to_the_highest_and_falls_by_steps() -> None:
    values = [98, 98, 85, 85, 85, 10, 10, 10]
    assert levels(Threshold(limits=LIMITS), values) == [
        "RISE critical",
        "FALL notice",
        "RECOVERY None",
    ]


@given(st.lists(st.floats(0, 100), max_size=200))
def test_a_threshold_never_skips_recovery_nor_repeats_a_level(values: list[float]) -> None:
    threshold = Threshold(limits=LIMITS)
    level = None
    for value in values:
        transition = threshold.sample(value)
        if transition is None:
            assert threshold.level == level
            continue
        assert transition.before == level
        assert transition.level != level
        level = transition.level
        assert (transition.change is Change.RECOVERY) == (level is None)


def fed(values: Sequence[float], *, step: float = 60.0) -> Trending:
    trending = Trending(settings=TrendSettings())
    for n, value in enumerate(values):
        trending.sample(n * step, value)
    return trending


def test_a_steady_rise_says_when_it_is_full() -> None:
    trend = fed([60 + n * 0.1 for n in range(60)]).trend()
    assert trend is not None
    assert trend.seconds_to_full == pytest.approx((100 - 65.9) / 0.1 * 60, rel=0.01)


def test_wild_samples_do_not_move_the_line() -> None:
    values = [60 + n * 0.1 for n in range(60)]
    for n in range(5, 60, 8):
        values[n] += 30
    trend = fed(values).trend()
    assert trend is not None
    assert trend.seconds_to_full == pytest.approx((100 - 65.9) / 0.1 * 60, rel=0.1)


def test_noise_steps_and_slow_growth_are_no_trend() -> None:
    rng = random.Random(7)
    assert fed([50 + rng.uniform(-3, 3) for _ in range(60)]).trend() is None
    assert fed([50.0] * 30 + [70.0] * 30).trend() is None, "one large file"
    assert fed([50 + n * 0.005 for n in range(60)]).trend() is None, "months away"
    assert fed([50 + 5 * math.sin(n / 6) for n in range(61)]).trend() is None, "up and down"
    assert fed([90 - n * 0.1 for n in range(60)]).trend() is None, "falling"
    assert fed([60 + n for n in range(5)]).trend() is None, "too short"


def test_a_finished_burst_is_no_trend() -> None:
    rise = [50 + n for n in range(30)]
    assert fed([*rise, *([80.0] * 30)]).trend() is None


def test_trend_memory_is_bounded() -> None:
    trending = fed([50.0] * 100_000, step=0.5)
    assert len(trending._points) <= 62


def test_a_filling_disk_is_said_once_and_its_end_too() -> None:
    alarms = Alarms(settings=MetricsSettings(), levels={})
    said = []
    value = 60.0
    for n in range(100):
        value = min(79.0, value + 0.25) if n < 60 else 60.0
        seen = alarms.observe(Reading("disk", "/var", value, "9 GiB free"), at=n * 60.0)
        said += [(alarm.level, alarm.text) for alarm in seen]
    assert said[0][1].startswith("disk /var ")
    assert "% full, full in " in said[0][1]
    assert said[-1] == (Severity.INFO, "disk /var no longer grows towards full")
    assert len(said) <= 3
    assert alarms.gone_for("disk", "/var", at=100 * 60.0) is not None


def test_recovery_text_and_attributes() -> None:
    alarms = Alarms(settings=MetricsSettings(), levels={})
    first = [alarms.observe(Reading("disk", "/var", 91.2, "2.0 GiB free"), at=n) for n in (0, 1)]
    (alarm,) = first[1]
    assert alarm.text == "disk /var 91% full, 2.0 GiB free"
    assert alarm.attributes() == {
        "metric": "disk",
        "target": "/var",
        "level": "warning",
        "value": "91.2",
    }
    assert alarms.gone_for("disk", "/var", at=9) is None
    last = [alarms.observe(Reading("disk", "/var", 70, "9 GiB free"), at=n) for n in range(2, 9)]
    assert [a.text for group in last for a in group] == ["disk /var back to 70%"]


def test_an_unmounted_disk_ends_its_alarm() -> None:
    alarms = Alarms(settings=MetricsSettings(), levels={})
    for n in range(3):
        alarms.observe(Reading("disk", "/mnt", 99, ""), at=n)
    (alarm,) = alarms.forget("disk", set())
    assert alarm.level is Severity.INFO
    assert alarms.levels() == {}


async def test_restart_neither_repeats_an_alarm_nor_misses_its_end(keeper: Keeper) -> None:
    host, sink = Host(), Sink()
    settings = MetricsSettings(
        interval=0.01, limits={"memory": Limits(warning=90, up_after=2, down_after=2)}
    )

    def made() -> MetricsSource:
        return MetricsSource(settings=settings, sink=sink, probes=host, mounts=host)

    host.memory = 95.0
    async with keeper.running(made()):
        await keeper.until(lambda: keeper.texts == ["memory 95% used, 1.0 GiB available"])
    async with keeper.running(made()) as task:
        await asyncio.sleep(0.1)
        assert len(keeper.texts) == 1
        host.memory = 50.0
        await keeper.until(lambda: keeper.texts[1:] == ["memory back to 50% used"])
        assert not task.done()
    assert keeper.cursor == {"levels": {}}
    assert {sample.name for sample in sink.samples} >= {"memory"}
    assert keeper.events[0].provenance == "measured"


async def test_oom_kills_and_clock_steps(keeper: Keeper) -> None:
    host, sink = Host(), Sink()
    wall = 1_000_000.0
    settings = MetricsSettings(interval=0.01)
    source = MetricsSource(
        settings=settings, sink=sink, probes=host, mounts=host, clock=lambda: wall
    )
    source._monotonic = lambda: 5.0
    async with keeper.running(source):
        await keeper.until(lambda: len(sink.samples) > 0)
        host.oom = 2
        await keeper.until(lambda: len(keeper.texts) == 1)
        wall -= 3600.0
        await keeper.until(lambda: len(keeper.texts) == 2)
    assert keeper.texts == [
        "the kernel ended 2 processes because memory ran out",
        "the clock was set back by 3600 s",
    ]
    assert [e.attributes["level"] for e in keeper.events if e.attributes] == ["critical", "warning"]


MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:1 /srv /mnt/bind rw,relatime shared:1 - ext4 /dev/sda1 rw
24 22 0:5 / /proc rw - proc proc rw
25 22 7:0 / /snap/core/1 ro,nodev - squashfs /dev/loop0 ro
26 22 0:40 / /home rw - btrfs /dev/sdb1 rw,subvol=/home
27 22 0:41 / /home/old rw - btrfs /dev/sdb1 rw,subvol=/old
28 22 0:42 / /media/my\\040disk rw - vfat /dev/sdc1 rw
29 22 0:43 / /net/share rw - nfs4 server:/share rw
30 22 0:44 / /run rw - tmpfs tmpfs rw
31 22 0:45 / /run/user/1000 rw - tmpfs tmpfs rw
32 22 0:46 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
33 22 8:2 / /srv/sandboxed ro,relatime - ext4 /dev/sda2 rw
34 22 8:3 / /srv/archive ro,relatime - ext4 /dev/sda3 ro
a line that is broken
"""


def test_mounts_worth_measuring() -> None:
    mounts = parse_mounts(MOUNTINFO, ["/run/user/*"])
    assert [m.target for m in mounts] == [
        "/",
        "/home",
        "/media/my disk",
        "/net/share",
        "/run",
        "/srv/sandboxed",  # read-only for us alone, by ProtectSystem=strict
    ]


async def test_mounts_of_strange_names_hide_no_others(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    line = "{} 1 0:{} / {} rw - ext4 /dev/sda{} rw\n"
    table.write_bytes(
        line.format(20, 50, "/", 1).encode()
        + line.format(21, 51, "/home/eve/", 2).encode().replace(b"eve/", b"eve/\xff\xfe")
        + line.format(22, 52, "/home/eve/" + "x" * 3_000, 3).encode()
    )
    probe = MountProbe(exclude=(), timeout=2, mountinfo=table)
    try:
        assert set(await probe.measure()) == {"/"}
    finally:
        probe.close()


async def test_a_hung_mount_hangs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    asked: list[str] = []
    real = mounts_module.space_of

    def space_of(target: str) -> Space | None:
        asked.append(target)
        if target == "/net/share":
            release.wait(10)
        return real("/")

    monkeypatch.setattr(mounts_module, "space_of", space_of)
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    probe = MountProbe(exclude=(), timeout=0.1, mountinfo=table)
    try:
        for _ in range(3):
            spaces = await probe.measure()
            assert spaces["/net/share"] is None
            assert spaces["/"] is not None
        assert asked.count("/net/share") == 1, "no second question to a dead server"
        release.set()
        await asyncio.sleep(0.05)
        assert (await probe.measure())["/net/share"] is not None
    finally:
        release.set()
        probe.close()


def test_this_host_can_be_read() -> None:
    probes = Probes()
    names = {reading.name for reading in (*probes.fast(), *probes.slow())}
    assert names >= {"load", "memory", "file_descriptors", "processes", "zombies"}
    assert probes.counters().cpu_total > 0


async def test_the_real_source_measures_this_host(keeper: Keeper) -> None:
    sink = Sink()
    source = MetricsSource(settings=MetricsSettings(interval=0.05), sink=sink)
    async with keeper.running(source):
        await keeper.until(lambda: {"disk", "memory", "cpu"} <= {s.name for s in sink.samples})
    assert any(s.name == "disk" and s.target == "/" for s in sink.samples)

"""Units over D-Bus, on a real bus: what is read, jobs, refusals, and a bus that goes away."""

from __future__ import annotations

import asyncio
import time

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.actions.errors import (
    HostUnavailableError,
    PreconditionError,
    PrivilegeError,
    TargetError,
)
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.units import SystemdUnits
from tests.actions_units.conftest import Bus
from tests.actions_units.standin import DENIED, NAME, StandIn, Unit


@pytest.fixture
def units(systemd: StandIn, manager: ManagerBus) -> SystemdUnits:
    return SystemdUnits(bus=manager)


async def test_a_unit_with_everything(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add(
        "nginx.service",
        aliases=("web.service",),
        Description="a server",
        ActiveState="active",
        SubState="running",
        InvocationID=bytes(range(16)),
        ActiveEnterTimestamp=1_700_000_000_500_000,
        InactiveEnterTimestamp=2**64 - 1,
        NRestarts=3,
        MainPID=42,
        Type="notify",
        Result="success",
        CanReload=True,
        StartLimitBurst=5,
        StartLimitIntervalUSec=10_000_000,
        TriggeredBy=["nginx.socket"],
        RequiredBy=["a.service"],
        BoundBy=["b.service", "a.service"],
        DropInPaths=["/etc/systemd/system/nginx.service.d/x.conf"],
    )
    state = await units.state("nginx.service")
    assert state is not None
    assert state.invocation == bytes(range(16)).hex()
    assert (state.active_since, state.inactive_since) == (1_700_000_000.5, 0.0)
    assert (state.restarts, state.main_pid, state.service_type) == (3, 42, "notify")
    assert (state.start_limit_burst, state.start_limit_interval) == (5, 10.0)
    assert state.requires_by == ("a.service", "b.service")
    assert state.triggered_by == ("nginx.socket",)
    assert state.names == ("nginx.service", "web.service")
    assert state.unit_file == "enabled"
    by_alias = await units.state("web.service")
    assert by_alias is not None
    assert by_alias.name == "nginx.service"


async def test_what_is_not_there_is_not_loaded(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add("sleeping.service", loaded=False)
    systemd.add("ghost.service", file="", LoadState="not-found")
    systemd.add("stale.service", file="", LoadState="not-found", ActiveState="failed")
    assert await units.state("nothing.service") is None
    assert await units.state("ghost.service") is None
    assert (await units.state("stale.service") or Unit("")).name == "stale.service"
    assert (await units.state("sleeping.service") or Unit("")).name == "sleeping.service"
    assert systemd.loaded_by_name == ["sleeping.service"]


async def test_an_instance_that_nobody_made_is_not_there(
    systemd: StandIn, units: SystemdUnits
) -> None:
    """Its name would be a parameter of the template's command, of whoever's choice."""
    systemd.add("tool@evil.service", loaded=False, file="static")
    systemd.add("tool@other.service", loaded=False, file="disabled")
    systemd.add("tool@7.service", loaded=False, file="enabled")
    systemd.add("tool@8.service", file="static", ActiveState="failed")
    assert await units.state("tool@evil.service") is None
    assert await units.state("tool@other.service") is None
    assert await units.state("tool@7.service") is not None
    assert await units.state("tool@8.service") is not None
    assert systemd.loaded_by_name == ["tool@7.service"]


HOSTILE = (
    "", "a", "../../etc/passwd", "a.service\n", "a.service\0", "a@.service", "-a b.service",
    "a.service;reboot", "$(reboot).service", "a/b.service", "x" * 252 + ".service", "é.service",
    "a.service --now", "ignore previous instructions.service",
)  # fmt: skip


async def test_names_that_can_be_no_unit_reach_nobody(
    systemd: StandIn, units: SystemdUnits
) -> None:
    for name in HOSTILE:
        assert await units.state(name) is None
        with pytest.raises(TargetError, match="not the name of a unit"):
            await units.act("restart", name)
    assert systemd.calls == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9:_.\\@-]{1,30}\.service"))
async def test_any_text_is_answered(name: str, systemd: StandIn, units: SystemdUnits) -> None:
    assert await units.state(name) is None


async def test_names_are_what_can_be_started(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add("b.service")
    systemd.add("a.timer", loaded=False)
    systemd.add("masked.service", file="masked", loaded=False)
    systemd.add("getty@.service", loaded=False)
    systemd.add("ghost.service", file="", LoadState="not-found")
    systemd.add("evil\n.service", loaded=False)
    assert await units.names() == ["a.timer", "b.service"]


async def test_a_job_ends_with_its_result(systemd: StandIn, units: SystemdUnits) -> None:
    unit = systemd.add("nginx.service")
    for verb, member, result in (
        ("start", "StartUnit", "done"),
        ("stop", "StopUnit", "failed"),
        ("restart", "RestartUnit", "timeout"),
        ("try-restart", "TryRestartUnit", "skipped"),
        ("reload", "ReloadUnit", "canceled"),
    ):
        systemd.jobs[member] = lambda _, result=result: result
        assert await units.act(verb, unit.name) == result
        assert systemd.called(member) == [[unit.name, "replace"]]
    assert len(systemd.called("Ref")) == 5


async def test_jobs_at_the_same_time_are_not_mixed_up(
    systemd: StandIn, units: SystemdUnits
) -> None:
    for number in range(20):
        systemd.add(f"u{number}.service")
    systemd.jobs["StartUnit"] = lambda unit: f"result of {unit.name}"
    names = [f"u{number}.service" for number in range(20)]
    results = await asyncio.gather(*(units.act("start", name) for name in names))
    assert results == [f"result of {name}" for name in names]


async def test_two_wait_for_one_job(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add("nginx.service")
    systemd.jobs["StartUnit"] = lambda _: "done"
    systemd.merges = True
    results = await asyncio.gather(*(units.act("start", "nginx.service") for _ in range(3)))
    assert results == ["done"] * 3


async def test_a_job_that_ends_without_a_signal(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add("nginx.service")
    systemd.jobs["StartUnit"] = lambda _: "done"
    systemd.silent_end = True
    async with asyncio.timeout(5):
        assert await units.act("start", "nginx.service") == "gone"


async def test_a_job_that_never_ends_is_left_by_whoever_waits(
    systemd: StandIn, units: SystemdUnits
) -> None:
    systemd.add("nginx.service")
    systemd.jobs["StartUnit"] = lambda _: None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await units.act("start", "nginx.service")
    systemd.jobs["StartUnit"] = lambda _: "done"
    assert await units.act("start", "nginx.service") == "done"


async def test_a_forged_end_of_a_job_ends_the_waiting_at_most(
    bus: Bus, systemd: StandIn, units: SystemdUnits
) -> None:
    systemd.add("nginx.service")
    systemd.jobs["StartUnit"] = lambda _: "done"
    forger = await MessageBus(bus_address=bus.address).connect()
    for body, signature in (
        ([1, "/org/freedesktop/systemd1/job/1", "nginx.service", "done"], "uoss"),
        (["rubbish"], "s"),
        ([], ""),
    ):
        forger.send(
            Message.new_signal(
                "/org/freedesktop/systemd1", f"{NAME}.Manager", "JobRemoved", signature, body
            )
        )
    assert await units.act("start", "nginx.service") == "done"
    forger.disconnect()


@pytest.mark.parametrize("name", [DENIED, "org.freedesktop.DBus.Error.AccessDenied"])
async def test_polkit_refuses(systemd: StandIn, units: SystemdUnits, name: str) -> None:
    systemd.add("nginx.service")
    systemd.refused = (name, "Interactive authentication required.")
    for verb in ("restart", "reset-failed"):
        with pytest.raises(PrivilegeError, match="--allow-actions") as caught:
            await units.act(verb, "nginx.service")
        assert "docs/safety.md" in str(caught.value)
        assert "nginx.service" in str(caught.value)


async def test_systemd_refuses(systemd: StandIn, units: SystemdUnits) -> None:
    systemd.add("nginx.service")
    systemd.refused = (f"{NAME}.UnitMasked", "Unit nginx.service is masked. " + "x" * 5_000)
    with pytest.raises(PreconditionError, match="is masked") as caught:
        await units.act("start", "nginx.service")
    assert len(str(caught.value)) < 500
    systemd.refused = ("org.freedesktop.DBus.Error.NoReply", "")
    with pytest.raises(HostUnavailableError, match="NoReply"):
        await units.act("start", "nginx.service")
    systemd.refused = None
    with pytest.raises(PreconditionError, match="not loaded"):
        await units.act("start", "nothing.service")


async def test_the_bus_goes_in_the_middle_of_a_job_and_comes_back(
    bus: Bus, systemd: StandIn, units: SystemdUnits
) -> None:
    systemd.add("nginx.service", ActiveState="active")
    systemd.jobs["RestartUnit"] = lambda _: None
    job = asyncio.create_task(units.act("restart", "nginx.service"))
    while not systemd.called("RestartUnit"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    began = time.monotonic()
    bus.kill()
    with pytest.raises(HostUnavailableError, match="has to be measured"):
        await job
    assert time.monotonic() - began < 1
    with pytest.raises(HostUnavailableError, match="no system bus"):
        await units.state("nginx.service")
    await bus.start()
    with pytest.raises(HostUnavailableError, match="no systemd"):
        await units.state("nginx.service")
    again = await bus.stand_in()
    again.add("nginx.service", ActiveState="active")
    again.jobs["RestartUnit"] = lambda _: "done"
    assert (await units.state("nginx.service") or Unit("")).name == "nginx.service"
    assert await units.act("restart", "nginx.service") == "done"
    again.connection.disconnect()


async def test_no_bus_at_all(tmp_path: object) -> None:
    units = SystemdUnits(bus=ManagerBus(address=f"unix:path={tmp_path}/nothing"))
    with pytest.raises(HostUnavailableError, match="no unit can be looked at"):
        await units.names()

"""Kinds that act on units: preconditions, effects, and what is measured of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest

from daemon.actions.action import Action, Risk
from daemon.actions.errors import ActionError, PreconditionError, PrivilegeError, TargetError
from daemon.actions.host.local import LocalHost
from daemon.actions.kind import Check, Kind
from daemon.actions.kinds import certificates, limits, timers, unit_files, units
from tests.actions_units.conftest import STEADY, KnownHelper
from tests.actions_units.standin import DENIED, StandIn, Unit

KINDS: dict[str, Kind] = {
    kind.spec.name: kind
    for module in (units, unit_files, limits, timers, certificates)
    for kind in module.KINDS
}


def action(kind: str, target: str = "web.service", **parameters: Any) -> Action:
    return Action(host="h", kind=kind, target=target, parameters=parameters)


async def carry_out(done: Action, host: LocalHost, *, seconds: float = 2.0) -> Check:
    """What the executor does, without the store."""
    kind = KINDS[done.kind]
    await kind.find(done, host)
    await kind.ready(done, host)
    before = await kind.before(done, host)
    with contextlib.suppress(ActionError):
        await kind.run(done, host)
    deadline = time.monotonic() + seconds
    while True:
        check = await kind.check(done, host, before)
        if check.holds or check.final or time.monotonic() > deadline:
            return check
        await asyncio.sleep(0.05)


def test_the_names_that_others_rely_on() -> None:
    assert set(KINDS) == {
        "start_unit", "stop_unit", "restart_unit", "reload_unit", "reset_failed_unit",
        "enable_unit", "disable_unit", "raise_restart_limit", "lower_restart_limit",
        "rerun_timer", "renew_certificate",
    }  # fmt: skip
    for kind in KINDS.values():
        assert kind.spec.inverse is None or kind.spec.inverse in KINDS
        assert kind.spec.sentence.count("{target}") == 1
        assert kind.timed_inverse(action(kind.spec.name)) is None


# --- restart ------------------------------------------------------------------------------------


def running(systemd: StandIn, **more: Any) -> Unit:
    unit = systemd.add("web.service", Type="simple", **more)
    unit.run_anew(Result="success")
    return unit


def well(unit: Unit) -> str:
    unit.run_anew(Result="success", NRestarts=0)
    return "done"


async def test_a_restart_that_works(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)
    systemd.jobs["RestartUnit"] = well
    began = time.monotonic()
    check = await carry_out(action("restart_unit"), host)
    assert (check.holds, check.final) == (True, True)
    assert time.monotonic() - began >= STEADY
    assert "new run" in check.detail


async def test_a_restart_of_what_failed(systemd: StandIn, host: LocalHost) -> None:
    systemd.add(
        "web.service", Type="simple", ActiveState="failed", SubState="failed", Result="exit-code"
    )
    systemd.jobs["RestartUnit"] = well
    assert (await carry_out(action("restart_unit"), host)).holds is True


async def test_a_restart_that_fails_at_once(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)

    def fails(unit: Unit) -> str:
        unit.run_anew(active="failed", sub="failed", Result="exit-code")
        return "failed"

    systemd.jobs["RestartUnit"] = fails
    check = await carry_out(action("restart_unit"), host)
    assert (check.holds, check.final) == (False, True)
    assert "exit-code" in check.detail


async def test_a_restart_into_a_loop_never_holds(systemd: StandIn, host: LocalHost) -> None:
    unit = running(systemd)

    def loops(unit: Unit) -> str:
        unit.run_anew(active="activating", sub="auto-restart", Result="exit-code", NRestarts=0)
        return "done"

    systemd.jobs["RestartUnit"] = loops
    check = await carry_out(action("restart_unit"), host)
    assert (check.holds, check.final) == (False, True)
    assert "crashed" in check.detail
    unit.run_anew(NRestarts=1, Result="success")
    before = {"invocation": "ab", "restarts": 0, "active": "active"}
    later = await KINDS["restart_unit"].check(action("restart_unit"), host, before)
    assert (later.holds, later.final) == (False, True)
    assert "restarted by itself" in later.detail


async def test_a_restart_that_is_well_for_a_moment(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)

    def soon_dead(unit: Unit) -> str:
        well(unit)
        asyncio.get_running_loop().call_later(
            STEADY / 2,
            lambda: unit.run_anew(active="failed", sub="failed", Result="signal"),
        )
        return "done"

    systemd.jobs["RestartUnit"] = soon_dead
    check = await carry_out(action("restart_unit"), host)
    assert (check.holds, check.final) == (False, True)


async def test_a_restart_that_systemd_blocked(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)
    systemd.refused = (DENIED, "Interactive authentication required.")
    check = await carry_out(action("restart_unit"), host, seconds=STEADY * 3)
    assert check.holds is False
    assert "still has the run of before" in check.detail
    systemd.refused = None
    systemd.jobs["RestartUnit"] = lambda _: "canceled"
    assert (await carry_out(action("restart_unit"), host, seconds=STEADY * 3)).holds is False


async def test_the_limit_of_starts_blocks_a_restart(systemd: StandIn, host: LocalHost) -> None:
    unit = systemd.add("web.service", ActiveState="failed", SubState="failed", Type="simple")
    unit.properties |= {"InvocationID": bytes(range(16)), "Result": "start-limit-hit"}

    def blocked(unit: Unit) -> str:
        unit.properties["StateChangeTimestamp"] = int(time.time() * 1e6)
        unit.properties |= {"ActiveState": "failed", "Result": "start-limit-hit"}
        return "failed"

    systemd.jobs["RestartUnit"] = blocked
    check = await carry_out(action("restart_unit"), host)
    assert check.holds is False
    assert "start-limit-hit" in check.detail


async def test_a_restart_forgets_the_starts_of_before(systemd: StandIn, host: LocalHost) -> None:
    unit = systemd.add("web.service", ActiveState="failed", SubState="failed", Type="simple")
    unit.properties |= {"InvocationID": bytes(range(16)), "Result": "start-limit-hit"}

    def limited(unit: Unit) -> str:
        if unit.properties["ActiveState"] == "failed":
            return "failed"
        well(unit)
        return "done"

    systemd.jobs["RestartUnit"] = limited
    assert (await carry_out(action("restart_unit"), host)).holds is True


async def test_a_job_that_never_ends_does_not_hold(systemd: StandIn, host: LocalHost) -> None:
    unit = running(systemd)
    before = await KINDS["restart_unit"].before(action("restart_unit"), host)
    unit.properties |= {"ActiveState": "deactivating", "SubState": "stop-sigterm"}
    check = await KINDS["restart_unit"].check(action("restart_unit"), host, before)
    assert (check.holds, check.final) == (None, False)


async def test_after_a_crash_the_baseline_tells(systemd: StandIn, host: LocalHost) -> None:
    """A restart that never reached systemd, and one that did before triaged died."""
    unit = running(systemd)
    kind = KINDS["restart_unit"]
    before = await kind.before(action("restart_unit"), host)
    await asyncio.sleep(STEADY + 0.1)
    assert (await kind.check(action("restart_unit"), host, before)).holds is False
    well(unit)
    await asyncio.sleep(STEADY + 0.1)
    assert (await kind.check(action("restart_unit"), host, before)).holds is True


async def test_a_unit_that_runs_once(systemd: StandIn, host: LocalHost) -> None:
    unit = systemd.add("web.service", Type="oneshot", ActiveState="failed", Result="exit-code")

    def ends(unit: Unit, result: str) -> str:
        active = "inactive" if result == "success" else "failed"
        unit.run_anew(active=active, sub="dead", Result=result)
        return "done"

    systemd.jobs["RestartUnit"] = lambda unit: ends(unit, "success")
    assert (await carry_out(action("restart_unit"), host)).holds is True
    systemd.jobs["StartUnit"] = lambda unit: ends(unit, "exit-code")
    check = await carry_out(action("start_unit"), host)
    assert (check.holds, check.final) == (False, True)
    # systemd has forgotten it: nobody can say how it ended.
    del unit.properties["InvocationID"]
    unit.properties |= {"ActiveState": "inactive", "Result": "success"}
    before = {"invocation": "ab", "restarts": 0}
    assert (await KINDS["start_unit"].check(action("start_unit"), host, before)).holds is None


async def test_a_service_that_ends_by_itself_was_not_restarted(
    systemd: StandIn, host: LocalHost
) -> None:
    running(systemd)

    def ends(unit: Unit) -> str:
        unit.run_anew(active="inactive", sub="dead", Result="success")
        return "done"

    systemd.jobs["RestartUnit"] = ends
    check = await carry_out(action("restart_unit"), host)
    assert (check.holds, check.final) == (False, True)


async def test_the_unit_goes_meanwhile(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)
    before = await KINDS["restart_unit"].before(action("restart_unit"), host)
    del systemd.units["web.service"]
    for name in ("restart_unit", "stop_unit", "reload_unit"):
        check = await KINDS[name].check(action(name), host, before)
        assert (check.holds, check.final) == (False, True)
    with pytest.raises(PreconditionError, match="no longer"):
        await KINDS["restart_unit"].ready(action("restart_unit"), host)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "properties", "why"),
    [
        ("restart_unit", {"ActiveState": "inactive"}, "start_unit"),
        ("restart_unit", {"ActiveState": "active", "LoadState": "masked"}, "masked"),
        ("restart_unit", {"ActiveState": "active", "file": "masked"}, "masked"),
        ("restart_unit", {"ActiveState": "failed", "LoadState": "bad-setting"}, "cannot load"),
        ("restart_unit", {"ActiveState": "activating", "SubState": "start"}, "at work"),
        ("restart_unit", {"ActiveState": "active", "RefuseManualStart": True}, "refuses"),
        ("restart_unit", {"ActiveState": "active", "RefuseManualStop": True}, "refuses"),
        ("restart_unit", {"ActiveState": "active", "CanStart": False}, "refuses"),
        ("start_unit", {"ActiveState": "active"}, "already"),
        ("stop_unit", {"ActiveState": "failed"}, "does not run"),
        ("stop_unit", {"ActiveState": "active", "RefuseManualStop": True}, "refuses"),
        ("reload_unit", {"ActiveState": "active"}, "nothing to reload"),
        ("reload_unit", {"ActiveState": "failed", "CanReload": True}, "not active"),
        ("reset_failed_unit", {"ActiveState": "active"}, "has not failed"),
        ("enable_unit", {"file": "enabled"}, "already"),
        ("enable_unit", {"file": "static"}, "nothing to enable"),
        ("disable_unit", {"file": "generated"}, "nothing to disable"),
    ],
)
async def test_preconditions(
    systemd: StandIn, host: LocalHost, kind: str, properties: dict[str, Any], why: str
) -> None:
    systemd.add("web.service", **properties)
    await KINDS[kind].find(action(kind), host)
    with pytest.raises(PreconditionError, match=why):
        await KINDS[kind].ready(action(kind), host)


async def test_a_crash_loop_may_be_restarted_and_stopped(systemd: StandIn, host: LocalHost) -> None:
    """The loop counts on until the restart; from nought on it is told from ours."""
    systemd.add("web.service", ActiveState="activating", SubState="auto-restart", NRestarts=7)
    for kind in ("restart_unit", "stop_unit"):
        await KINDS[kind].ready(action(kind), host)
    systemd.jobs["RestartUnit"] = well
    assert (await carry_out(action("restart_unit"), host)).holds is True
    assert systemd.called("ResetFailedUnit") == [["web.service"]]


async def test_a_loop_that_heals_itself_is_not_our_restart(
    systemd: StandIn, host: LocalHost
) -> None:
    unit = systemd.add(
        "web.service", ActiveState="activating", SubState="auto-restart", NRestarts=7
    )
    systemd.refused = (DENIED, "no")
    before = await KINDS["restart_unit"].before(action("restart_unit"), host)
    with pytest.raises(PrivilegeError):
        await KINDS["restart_unit"].run(action("restart_unit"), host)
    unit.run_anew(Result="success", NRestarts=8)
    await asyncio.sleep(STEADY + 0.1)
    check = await KINDS["restart_unit"].check(action("restart_unit"), host, before)
    assert check.holds is False


async def test_a_socket_would_start_it_again(systemd: StandIn, host: LocalHost) -> None:
    socket = systemd.add("web.socket", ActiveState="active")
    systemd.add("web.service", ActiveState="active", TriggeredBy=["web.socket", "web.timer"])
    with pytest.raises(PreconditionError, match=r"stop web\.socket first"):
        await KINDS["stop_unit"].ready(action("stop_unit"), host)
    socket.properties["ActiveState"] = "inactive"
    await KINDS["stop_unit"].ready(action("stop_unit"), host)


async def test_targets(systemd: StandIn, host: LocalHost) -> None:
    systemd.add("web.service", aliases=("www.service",))
    systemd.add("multi-user.target", ActiveState="active")
    systemd.add("ssh.service", aliases=("sshd.service",))
    systemd.add("web.slice")
    restart = KINDS["restart_unit"]
    with pytest.raises(TargetError, match=r"another name of web\.service"):
        await restart.find(action("restart_unit", "www.service"), host)
    with pytest.raises(TargetError, match="no unit"):
        await restart.find(action("restart_unit", "nothing.service"), host)
    for name in ("multi-user.target", "web.slice"):
        with pytest.raises(TargetError, match="not of a kind"):
            await restart.find(action("restart_unit", name), host)
    for evil in ("web.service; reboot", "../web.service", "web.service\nssh.service"):
        with pytest.raises(TargetError):
            await restart.find(action("restart_unit", evil), host)
    found = await restart.find(action("restart_unit"), host)
    assert (found.critical, restart.risk(action("restart_unit"), found)) == (False, Risk.LOW)
    ssh = await restart.find(action("restart_unit", "ssh.service"), host)
    assert (ssh.critical, ssh.way_in) == (True, True)
    assert restart.risk(action("restart_unit", "ssh.service"), ssh) is Risk.HIGH


async def test_what_ssh_needs_is_critical(systemd: StandIn, host: LocalHost) -> None:
    systemd.add("ssh.service")
    systemd.add("tunnel.service", RequiredBy=["ssh.service"])
    systemd.add("web.service", BoundBy=["tunnel.service"])
    found = await KINDS["stop_unit"].find(action("stop_unit"), host)
    assert (found.critical, found.way_in) == (True, True)
    assert "ssh.service" in found.why_critical


# --- stop, reload, reset-failed -------------------------------------------------------------------


async def test_a_stop_has_to_stay(systemd: StandIn, host: LocalHost) -> None:
    running(systemd)

    def stopped(unit: Unit) -> str:
        now = int(time.time() * 1e6)
        unit.properties |= {
            "ActiveState": "inactive",
            "SubState": "dead",
            "InactiveEnterTimestamp": now,
        }
        return "done"

    systemd.jobs["StopUnit"] = stopped
    began = time.monotonic()
    assert (await carry_out(action("stop_unit"), host)).holds is True
    assert time.monotonic() - began >= STEADY

    running(systemd)

    def comes_back(unit: Unit) -> str:
        stopped(unit)
        asyncio.get_running_loop().call_later(STEADY / 2, lambda: well(unit))
        return "done"

    systemd.jobs["StopUnit"] = comes_back
    check = await carry_out(action("stop_unit"), host)
    assert (check.holds, check.final) == (False, True)
    assert "started again" in check.detail


async def test_a_reload(systemd: StandIn, host: LocalHost) -> None:
    running(systemd, CanReload=True)

    def reloaded(unit: Unit, result: str = "success") -> str:
        now = int(time.time() * 1e6)
        unit.properties |= {"StateChangeTimestamp": now, "ReloadResult": result}
        return "done"

    systemd.jobs["ReloadUnit"] = reloaded
    assert (await carry_out(action("reload_unit"), host)).holds is True
    systemd.jobs["ReloadUnit"] = lambda unit: reloaded(unit, "exit-code")
    check = await carry_out(action("reload_unit"), host)
    assert (check.holds, check.final) == (False, True)
    systemd.jobs["ReloadUnit"] = lambda _: "failed"
    assert (await carry_out(action("reload_unit"), host, seconds=STEADY)).holds is False
    systemd.jobs["ReloadUnit"] = well
    check = await carry_out(action("reload_unit"), host)
    assert check.holds is False
    assert "did not outlive" in check.detail


async def test_reset_failed(systemd: StandIn, host: LocalHost) -> None:
    unit = systemd.add("web.service", ActiveState="failed", Result="start-limit-hit")
    assert (await carry_out(action("reset_failed_unit"), host)).holds is True
    before = {"active": "failed"}
    unit.properties["ActiveState"] = "failed"
    check = await KINDS["reset_failed_unit"].check(action("reset_failed_unit"), host, before)
    assert check.holds is False
    del systemd.units["web.service"]
    check = await KINDS["reset_failed_unit"].check(action("reset_failed_unit"), host, before)
    assert check.holds is True


# --- through the root helper ----------------------------------------------------------------------


async def test_enable_and_disable(systemd: StandIn, host: LocalHost, helper: KnownHelper) -> None:
    unit = systemd.add("web.service", file="disabled")
    with pytest.raises(PrivilegeError, match="unit-file"):
        await KINDS["enable_unit"].ready(action("enable_unit"), host)
    helper.allowed.add("unit-file")
    check = await carry_out(action("enable_unit"), host, seconds=0.1)
    assert check.holds is False, "the helper said that it did it, and it did not"

    def changes(_: str, arguments: dict[str, Any]) -> None:
        unit.file = f"{arguments['change']}d"

    helper.effect = changes
    assert (await carry_out(action("enable_unit"), host)).holds is True
    assert (await carry_out(action("disable_unit"), host)).holds is True
    assert helper.asked[-1] == ("unit-file", {"change": "disable", "unit": "web.service"})


async def test_restart_limits(systemd: StandIn, host: LocalHost, helper: KnownHelper) -> None:
    unit = systemd.add("web.service", StartLimitBurst=5, StartLimitIntervalUSec=10_000_000)
    helper.allowed.add("restart-limit")
    low = action("raise_restart_limit", burst=2, seconds=300)
    with pytest.raises(PreconditionError, match="more often already"):
        await KINDS["raise_restart_limit"].ready(low, host)
    with pytest.raises(PreconditionError, match="did not raise"):
        await KINDS["lower_restart_limit"].ready(action("lower_restart_limit"), host)

    def changes(_: str, arguments: dict[str, Any]) -> None:
        raised = arguments["change"] == "raise"
        unit.properties |= {
            "StartLimitBurst": arguments.get("burst", 5),
            "StartLimitIntervalUSec": arguments.get("seconds", 10) * 1_000_000,
            "DropInPaths": [f"/etc/systemd/system/web.service.d/{limits.DROP_IN}"] * raised,
        }

    helper.effect = changes
    high = action("raise_restart_limit", burst=30, seconds=20)
    assert (await carry_out(high, host)).holds is True
    assert (await carry_out(action("lower_restart_limit"), host)).holds is True
    unit.properties["StartLimitBurst"] = 0
    with pytest.raises(PreconditionError, match="no limit"):
        await KINDS["raise_restart_limit"].ready(high, host)


# --- timers ---------------------------------------------------------------------------------------


async def test_a_timer_is_run_again(systemd: StandIn, host: LocalHost) -> None:
    systemd.add("web.timer", ActiveState="active", Triggers=["web.service"])
    job = systemd.add(
        "web.service", file="static", Type="oneshot", ActiveState="failed", Result="exit-code"
    )
    again = action("rerun_timer", "web.timer")
    with pytest.raises(TargetError, match="not of a kind"):
        await KINDS["rerun_timer"].find(action("rerun_timer", "web.service"), host)

    def ends(unit: Unit) -> str:
        unit.run_anew(active="inactive", sub="dead", Result="success")
        return "done"

    systemd.jobs["StartUnit"] = ends
    assert (await carry_out(again, host)).holds is True
    assert systemd.called("StartUnit") == [["web.service", "replace"]]
    job.run_anew(active="activating", sub="start")
    with pytest.raises(PreconditionError, match="at work"):
        await KINDS["rerun_timer"].ready(again, host)
    systemd.units["web.timer"].properties["Triggers"] = []
    with pytest.raises(TargetError, match="triggers 0 units"):
        await KINDS["rerun_timer"].ready(again, host)

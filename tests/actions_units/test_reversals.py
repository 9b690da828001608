"""Reversals outside the daemon: which one, armed and cancelled, measured each time."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.actions.action import Action, TargetType
from daemon.actions.errors import HostUnavailableError, PreconditionError, PrivilegeError
from daemon.actions.host.arming import ReversalTimers, timer_of
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.host import HelperAnswer
from daemon.actions.host.units import SystemdUnits
from daemon.actions.kind import Target
from daemon.actions.reversal import Reversal, reversal_of, token_of
from tests.actions_units.conftest import KnownHelper
from tests.actions_units.standin import DENIED, StandIn, Unit
from tests.actions_units.test_unit_kinds import KINDS

TOKEN = token_of(255)


def of(kind: str, *, way_in: bool = True, target: str = "ssh.service") -> Reversal | None:
    return reversal_of(
        Action(host="h", kind=kind, target=target, parameters={}),
        spec=KINDS[kind].spec,
        target=Target(name=target, type=TargetType.UNIT, critical=way_in, way_in=way_in),
        before={},
        steady_seconds=30.0,
    )


def test_what_locks_out_has_a_reversal_and_nothing_else() -> None:
    reversals = {kind: of(kind) for kind in KINDS}
    assert {kind: r.kind for kind, r in reversals.items() if r is not None} == {
        "stop_unit": "start_unit",
        "start_unit": "stop_unit",
        "restart_unit": "start_unit",
        "reload_unit": "start_unit",
        "disable_unit": "enable_unit",
    }
    for kind in KINDS:
        assert of(kind, way_in=False) is None
        if reversals[kind] is not None:
            assert KINDS[kind].spec.locks_out


def test_a_person_has_time_after_the_action_itself() -> None:
    reversal = of("restart_unit")
    assert reversal is not None
    spec = KINDS["restart_unit"].spec
    assert reversal.after_seconds == spec.timeout + spec.settle + 30.0 + 600.0


def test_tokens() -> None:
    assert timer_of(TOKEN) == "triaged-reversal-00000000000000ff.timer"
    for bad in ("", "x", "../x", "abc", "A" * 16, "0" * 40, "0123456789abcdef\n"):
        with pytest.raises(PreconditionError, match="not the token"):
            timer_of(bad)


@pytest.fixture
def timers(systemd: StandIn, manager: ManagerBus, helper: KnownHelper) -> ReversalTimers:
    return ReversalTimers(bus=manager, units=SystemdUnits(bus=manager), helper=helper)


def gone(systemd: StandIn) -> Any:
    def stop(unit: Unit) -> str:
        del systemd.units[unit.name]
        return "done"

    return stop


async def arm(
    timers: ReversalTimers, *, kind: str = "start_unit", target: str = "ssh.service"
) -> None:
    await timers.arm(token=TOKEN, kind=kind, target=target, after_seconds=600.4)


async def test_root_asks_systemd_itself(systemd: StandIn, timers: ReversalTimers) -> None:
    systemd.jobs |= {"StartTransientUnit": lambda _: "done", "StopUnit": gone(systemd)}
    await arm(timers)
    assert await timers.waits(token=TOKEN)
    ((name, mode, of_timer, others),) = systemd.called("StartTransientUnit")
    assert (name, mode) == (timer_of(TOKEN), "fail")
    settings = {key: value.value for key, value in of_timer}
    assert [*map(list, settings["TimersMonotonic"])] == [["OnActiveSec", 600_000_000]]
    ((service, of_service),) = others
    assert service == f"triaged-reversal-{TOKEN}.service"
    command = dict(of_service)["ExecStart"].value
    argv = ["/usr/bin/systemctl", "--no-ask-password", "start", "--", "ssh.service"]
    assert [*map(list, command)] == [[argv[0], argv, False]]
    await timers.cancel(token=TOKEN)
    assert not await timers.waits(token=TOKEN)
    await timers.cancel(token=TOKEN)  # it is gone already, which is what was wanted
    assert len(systemd.called("StopUnit")) == 1


async def test_nobody_who_is_not_allowed_arms(systemd: StandIn, timers: ReversalTimers) -> None:
    systemd.refused = (DENIED, "Interactive authentication required.")
    with pytest.raises(PrivilegeError, match=r'allow "reversal-arm"'):
        await arm(timers)


async def test_no_command_from_outside(systemd: StandIn, timers: ReversalTimers) -> None:
    for kind, target in (
        ("end_process", "1:1"),
        ("nixos_rollback", "7"),
        ("start_unit", "ssh.service; reboot"),
        ("start_unit", "--help"),
        ("/bin/sh", "ssh.service"),
    ):
        with pytest.raises(PreconditionError, match="root helper alone"):
            await arm(timers, kind=kind, target=target)
    assert systemd.called("StartTransientUnit") == []


async def test_through_the_helper(
    systemd: StandIn, timers: ReversalTimers, helper: KnownHelper
) -> None:
    helper.allowed |= {"reversal-arm", "reversal-cancel"}
    with pytest.raises(HostUnavailableError, match="nothing would reverse it"):
        await arm(timers)

    def effect(verb: str, _: dict[str, Any]) -> None:
        if verb == "reversal-arm":
            systemd.add(timer_of(TOKEN), file="transient", ActiveState="active")
        else:
            del systemd.units[timer_of(TOKEN)]

    helper.effect = effect
    await arm(timers)
    assert helper.asked[-1] == (
        "reversal-arm",
        {"token": TOKEN, "kind": "start_unit", "target": "ssh.service", "after_seconds": 600},
    )
    helper.effect = None
    with pytest.raises(HostUnavailableError, match="still waits"):
        await timers.cancel(token=TOKEN)
    helper.answer = HelperAnswer(ok=False, detail="systemctl failed")
    with pytest.raises(HostUnavailableError, match="systemctl failed"):
        await timers.cancel(token=TOKEN)
    helper.answer = HelperAnswer(ok=True, detail="done")
    helper.effect = effect
    await timers.cancel(token=TOKEN)
    assert systemd.calls.count(("StartTransientUnit", [])) == 0

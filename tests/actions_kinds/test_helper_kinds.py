"""Every kind that goes through the root helper: found, ready, run and measured; and what was
refused, or did nothing, is never taken for done."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from kinds_kit import CATALOGUE, ScriptedHost, action
from worlds import WORLDS, World, nixos_links

from daemon.actions.action import Action, Risk
from daemon.actions.errors import ActionError, PreconditionError, PrivilegeError, TargetError
from daemon.actions.host.host import Limits
from daemon.actions.kind import Target
from daemon.actions.kinds.storage_logs import log_patterns
from daemon.actions.reversal import reversal_of

each_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)


def test_every_kind_has_a_world() -> None:
    assert set(WORLDS) == set(CATALOGUE.names())


@each_world
async def test_an_effect_is_found(world: World) -> None:
    host = world.make()
    kind = CATALOGUE.kind(world.action.kind)
    target = await kind.find(world.action, host)
    assert (target.name, target.type) == (world.action.target, kind.spec.target)
    await kind.ready(world.action, host)
    before = await kind.before(world.action, host)
    assert orjson.loads(orjson.dumps(before)) == before
    assert (await kind.check(world.action, host, before)).holds is not True
    host.helper.effect = lambda: world.effect(host)
    await kind.run(world.action, host)
    assert host.helper.asked == [(world.asks[0], dict(world.asks[1]))]
    check = await kind.check(world.action, host, before)
    assert check.holds is True, check.detail
    assert check.final
    orjson.dumps(check.measured)


@each_world
async def test_what_the_helper_would_not_begin_is_raised(world: World) -> None:
    """So that it is no success, even where somebody else did the same meanwhile."""
    host = world.make()
    host.helper.refuses, host.helper.begins = "another call is at it", False
    with pytest.raises(PreconditionError, match="did not do it: another call is at it"):
        await CATALOGUE.kind(world.action.kind).run(world.action, host)


@each_world
async def test_what_the_helper_could_not_do_is_not_done(world: World) -> None:
    host = world.make()
    kind = CATALOGUE.kind(world.action.kind)
    before = await kind.before(world.action, host)
    host.helper.refuses = "it is against a rule"
    output = await kind.run(world.action, host)
    assert "did not do it: it is against a rule" in output.text
    check = await kind.check(world.action, host, before)
    assert check.holds is not True
    assert check.detail


@each_world
async def test_what_says_done_and_changed_nothing_is_not_done(world: World) -> None:
    host = world.make()
    kind = CATALOGUE.kind(world.action.kind)
    before = await kind.before(world.action, host)
    await kind.run(world.action, host)
    assert (await kind.check(world.action, host, before)).holds is not True


@each_world
async def test_what_is_so_already_is_not_ready(world: World) -> None:
    host = world.make()
    world.effect(host)
    kind = CATALOGUE.kind(world.action.kind)
    again = {"rotate_log", "restart_container", "nixos_build", "nixos_test", "nixos_switch"}
    if kind.spec.name in again | {"security_updates"}:
        return  # there is nothing that they would not do again, or the list says
    with pytest.raises(ActionError):
        await kind.ready(world.action, host)


@each_world
async def test_without_the_helper_it_says_who_may_allow_it(world: World) -> None:
    host = world.make()
    host.helper.allowed = False
    kind = CATALOGUE.kind(world.action.kind)
    with pytest.raises(PrivilegeError, match="not allowed"):
        await kind.ready(world.action, host)


HOSTILE = ("../../etc/shadow", "$(id)", "-rf", "x; rm -rf /", "0", "/", "ａ", "web' or '1", "1:1:1")


@each_world
@pytest.mark.parametrize("target", HOSTILE)
async def test_what_is_not_in_the_inventory_is_refused(world: World, target: str) -> None:
    host = world.make()
    other = dataclasses.replace(world.action, target=target)
    with pytest.raises(TargetError):
        await CATALOGUE.kind(other.kind).find(other, host)


@each_world
def test_a_critical_target_is_high_risk(world: World) -> None:
    kind = CATALOGUE.kind(world.action.kind)
    target = Target(name=world.action.target, type=kind.spec.target, critical=True)
    assert kind.risk(world.action, target) is Risk.HIGH
    calm = Target(name=world.action.target, type=kind.spec.target)
    assert kind.risk(world.action, calm).rank >= kind.spec.risk.rank


@pytest.mark.parametrize(
    ("made", "risk"),
    [
        (action("block_address", "8.8.4.4"), Risk.LOW),
        (action("block_address", "8.8.4.4", seconds=100_000), Risk.MEDIUM),
        (action("block_address", "10.0.0.7"), Risk.HIGH),
        (action("block_network", "8.8.4.0/24"), Risk.MEDIUM),
        (action("block_network", "8.8.0.0/16"), Risk.HIGH),
        (action("renice_process", "1:1", nice=-1), Risk.MEDIUM),
        (action("clean_tmp", "/tmp", older_than_days=1), Risk.MEDIUM),
        (action("remount", "/srv", mode="ro"), Risk.HIGH),
    ],
    ids=lambda value: value.code if hasattr(value, "code") else value.value,
)
def test_parameters_and_targets_raise_the_risk(made: Action, risk: Risk) -> None:
    kind = CATALOGUE.kind(made.kind)
    assert kind.risk(made, Target(name=made.target, type=kind.spec.target)) is risk


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("block_address", "192.0.2.0/24"),
        ("block_address", "192.0.2.7/32"),
        ("block_address", "192.0.2.07"),
        ("block_address", "127.0.0.1"),
        ("block_address", "::1"),
        ("block_address", "fe80::1"),
        ("block_address", "224.0.0.1"),
        ("block_address", "198.51.100.7"),
        ("block_address", "2001:DB8::1"),
        ("block_network", "192.0.2.7"),
        ("block_network", "192.0.2.7/24"),
        ("block_network", "10.0.0.0/8"),
        ("block_network", "0.0.0.0/0"),
        ("block_network", "198.51.0.0/16"),
        ("unblock_address", "192.0.2.0/24"),
    ],
)
async def test_addresses_have_one_form_and_some_are_never_blocked(kind: str, target: str) -> None:
    host = ScriptedHost(limits=Limits(never_block=("198.51.100.0/24",)))
    with pytest.raises(TargetError):
        await CATALOGUE.kind(kind).find(action(kind, target), host)


async def test_what_the_helper_never_blocks_is_not_ready() -> None:
    world = WORLDS["block_address"]
    host = world.make()
    host.helper.looks["blocked"] = {"blocked": False, "left": 0, "why_never": "it is a gateway"}
    with pytest.raises(PreconditionError, match="a gateway"):
        await CATALOGUE.kind("block_address").ready(world.action, host)


def test_the_kernel_lifts_a_block() -> None:
    made = action("block_network", "192.0.2.0/24", seconds=600)
    inverse = CATALOGUE.kind("block_network").timed_inverse(made)
    assert inverse is not None
    assert (inverse.kind, inverse.target) == ("unblock_network", "192.0.2.0/24")
    assert (inverse.after_seconds, inverse.in_kernel) == (600.0, True)


async def test_another_process_of_that_number_was_not_ended() -> None:
    """The one that was meant has ended: that is measured, whoever has its number now."""
    host = WORLDS["end_process"].make()
    kind = CATALOGUE.kind("end_process")
    host.running[4711] = dataclasses.replace(host.running[4711], start=100)
    made = WORLDS["end_process"].action
    with pytest.raises(TargetError):
        await kind.find(made, host)
    with pytest.raises(PreconditionError):
        await kind.ready(made, host)
    assert (await kind.check(made, host, {})).holds is True


async def test_a_container_has_to_stay_up() -> None:
    world = WORLDS["restart_container"]
    host = world.make()
    kind = CATALOGUE.kind("restart_container")
    before = await kind.before(world.action, host)
    host.limits = Limits(steady_seconds=30.0)
    world.effect(host)
    started = 86_400.1
    host.at = started + 10
    assert (await kind.check(world.action, host, before)).holds is None
    host.at = started + 40
    assert (await kind.check(world.action, host, before)).holds is True
    for change in ({"running": False}, {"restarting": True}, {"health": "unhealthy"}):
        found = dict(host.helper.looks["containers"])
        host.helper.looks["containers"] = found | change
        assert (await kind.check(world.action, host, before)).holds is False, change
        host.helper.looks["containers"] = found


async def test_a_switch_knows_the_way_back() -> None:
    host = WORLDS["nixos_switch"].make()
    before = await CATALOGUE.kind("nixos_switch").before(WORLDS["nixos_switch"].action, host)
    assert before["generation"] == 8
    assert CATALOGUE.kind("nixos_switch").spec.locks_out


async def test_what_was_built_before_is_no_build_of_now() -> None:
    world = WORLDS["nixos_build"]
    host = world.make()
    kind = CATALOGUE.kind("nixos_build")
    host.programs["stat --format=%Y"] = "999000\n"
    before = await kind.before(world.action, host)
    assert (await kind.check(world.action, host, before)).holds is False


async def test_a_log_that_was_cut_is_rotated_and_an_empty_one_is_not_waited_for() -> None:
    world = WORLDS["rotate_log"]
    host = world.make()
    kind = CATALOGUE.kind("rotate_log")
    before = await kind.before(world.action, host)
    host.programs["stat --format"] = "5 10 /etc/hostname\n"  # copytruncate: the same file
    assert (await kind.check(world.action, host, before)).holds is True
    host.programs["stat --format"] = "5 0 /etc/hostname\n"
    with pytest.raises(PreconditionError):
        await kind.ready(world.action, host)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("/var/log/a.log {\n}\n", ["/var/log/a.log"]),
        ("/var/log/a.log\n/var/log/b.log\n{\n rotate 4\n}\n", ["/var/log/a.log", "/var/log/b.log"]),
        (
            '# c\n"/var/log/with space/*.log" /x/*.log {\n}',
            ["/var/log/with space/*.log", "/x/*.log"],
        ),
        ("weekly\nolddir /var/old\n", []),
        ("/a {\n postrotate\n  /bin/kill /b\n endscript\n}\n/c { }\n", ["/a", "/c"]),
        ("", []),
        ("{{{}}}", []),
    ],
)
def test_logs_are_what_stands_before_a_brace(text: str, patterns: list[str]) -> None:
    assert log_patterns(text) == patterns


async def test_packages_of_rpm_are_compared_with_their_epoch() -> None:
    kind = CATALOGUE.kind("security_updates")
    made = action("security_updates", "packages")
    before = {"manager": "dnf", "packages": ["openssl.x86_64=1:3.0.7-25", "zlib.x86_64=1.3-1"]}
    host = ScriptedHost(programs={"rpm --query": "1:3.0.7-25\n0:1.3-1\n"})
    assert (await kind.check(made, host, before)).holds is True
    host.programs["rpm --query"] = "1:3.0.7-24\n"
    check = await kind.check(made, host, before)
    assert check.holds is False
    assert "openssl.x86_64=1:3.0.7-25" in check.detail


async def test_a_container_whose_start_is_no_time_is_not_called_steady() -> None:
    world = WORLDS["restart_container"]
    host = world.make()
    kind = CATALOGUE.kind("restart_container")
    before = await kind.before(world.action, host)
    (verb,) = host.helper.looks
    host.helper.looks[verb] = {**host.helper.looks[verb], "started_at": "just now"}
    check = await kind.check(world.action, host, before)
    assert check.holds is None
    assert "that is no time" in check.detail


@pytest.mark.parametrize(
    ("running", "boots", "generation"), [("a", "b", 7), ("tried", "b", 8), ("tried", "lost", None)]
)
async def test_a_switch_knows_where_to_go_back_to(
    running: str, boots: str, generation: int | None
) -> None:
    """After a test no generation runs; then it is the one that boots next. Without any, a switch
    that nothing could take back is not begun."""
    world = WORLDS["nixos_switch"]
    host = world.make()
    host.programs = nixos_links(running, boots)
    kind = CATALOGUE.kind("nixos_switch")
    before = await kind.before(world.action, host)
    assert before["generation"] == generation
    target = await kind.find(world.action, host)
    if generation is None:
        with pytest.raises(PreconditionError, match="nothing could take this back"):
            reversal_of(
                world.action, spec=kind.spec, target=target, before=before, steady_seconds=1
            )
        return
    found = reversal_of(
        world.action, spec=kind.spec, target=target, before=before, steady_seconds=1
    )
    assert found is not None
    assert (found.kind, found.target) == ("nixos_rollback", str(generation))

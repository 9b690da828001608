"""Runbooks: as the operator writes them, and as they are carried out, step by step."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from kinds_kit import CATALOGUE, ScriptedHost
from pydantic import ValidationError
from worlds import WORLDS

from daemon.actions.action import Action, Blast, Risk
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import (
    ActionError,
    ParameterError,
    PreconditionError,
    TargetError,
    UnknownActionError,
)
from daemon.actions.host.host import HelperAnswer
from daemon.actions.kind import Kind, Target
from daemon.actions.kinds.runbooks import RunRunbook, kinds
from daemon.actions.runbook import Runbook, Step, actions_of, arguments_of
from daemon.actions.settings import ActionsSettings

TOML = """
[runbooks.calm]
description = "make a process nice, and block where it came from"
steps = [
  {action = "renice_process", target = "{process}", parameters = {nice = "{nice}"}},
  {action = "block_address", target = "{address}", parameters = {seconds = 600}},
]
[runbooks.calm.parameters.process]
description = "PID:START"
pattern = "[0-9]+:[0-9]+"
[runbooks.calm.parameters.nice]
type = "number"
description = "how nice"
default = 10
least = 5
most = 19
[runbooks.calm.parameters.address]
description = "whom to block"
"""
GIVEN = '{"process": "4711:99", "address": "192.0.2.7"}'


class Gate:
    """Denies the kinds that it is given."""

    def __init__(self, *denied: str) -> None:
        self.denied = set(denied)
        self.asked: list[str] = []

    async def why_not(self, step: Action, kind: Kind, target: Target) -> str | None:
        self.asked.append(step.code)
        return "a rule says so" if step.kind in self.denied else None


def _runbook() -> Runbook:
    settings = ActionsSettings.model_validate(tomllib.loads(TOML))
    return settings.runbooks["calm"].runbook("calm")


def _kind(gate: Gate | None = None, *runbooks: Runbook) -> RunRunbook:
    books = runbooks or (_runbook(),)
    return RunRunbook(runbooks=books, steps=CATALOGUE, gate=gate or Gate())


def _action(kind: RunRunbook, arguments: str = GIVEN, target: str = "calm") -> Action:
    return Catalogue(kinds=[kind]).action(
        host="web1", kind="run_runbook", target=target, parameters={"arguments": arguments}
    )


def _host(*effects: Callable[[ScriptedHost], None]) -> ScriptedHost:
    """Ready for both steps; the effects come about in this order, one a verb."""
    host = WORLDS["renice_process"].make()
    host.helper.looks |= WORLDS["block_address"].make().helper.looks
    left = list(effects)
    host.helper.effect = lambda: left.pop(0)(host) if left else None
    return host


RENICED, BLOCKED = WORLDS["renice_process"].effect, WORLDS["block_address"].effect


async def test_all_steps_are_done_and_measured() -> None:
    gate = Gate()
    kind = _kind(gate)
    host, made = _host(RENICED, BLOCKED), _action(_kind())
    target = await kind.find(made, host)
    assert (target.name, target.critical) == ("calm", False)
    await kind.ready(made, host)
    before = await kind.before(made, host)
    assert (await kind.check(made, host, before)).holds is False
    output = await kind.run(made, host)
    assert output.data == {"steps": 2}
    assert [verb for verb, _ in host.helper.asked] == ["process-renice", "block"]
    check = await kind.check(made, host, before)
    assert check.holds is True, check.detail
    assert gate.asked == ["renice_process:4711:99", "block_address:192.0.2.7"] * 2


async def test_it_stops_at_the_first_step_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _hurry(monkeypatch)
    kind = _kind()
    host, made = _host(lambda host: None, BLOCKED), _action(kind)
    before = await kind.before(made, host)
    with pytest.raises(ActionError, match=r"step 1 .* did not work"):
        await kind.run(made, host)
    assert [verb for verb, _ in host.helper.asked] == ["process-renice"]
    assert (await kind.check(made, host, before)).holds is False


async def test_what_one_step_refused_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    _hurry(monkeypatch)
    kind = _kind()
    host, made = _host(RENICED), _action(kind)
    before = await kind.before(made, host)
    with pytest.raises(ActionError, match=r"renice_process.*; step 2"):
        await kind.run(made, host)
    assert (await kind.check(made, host, before)).holds is False


async def test_a_step_that_was_refused_is_no_success_although_it_is_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody else did the same at that moment."""
    _hurry(monkeypatch)
    kind = _kind()
    host, made = _host(), _action(kind)

    async def meanwhile(verb: str, arguments: Any, *, timeout: float) -> HelperAnswer:
        if verb in host.helper.looks:
            return HelperAnswer(ok=True, detail="looked", data=host.helper.looks[verb])
        RENICED(host)
        return HelperAnswer(ok=False, detail="another call is at it", begun=False)

    monkeypatch.setattr(host.helper, "call", meanwhile)
    with pytest.raises(ActionError, match=r"step 1 .* was not begun: .*another call is at it"):
        await kind.run(made, host)


def test_without_the_daemon_no_more_than_one_step_goes_on() -> None:
    spec = _kind().spec
    assert spec.outlives == 60.0
    assert spec.timeout > 1_000


@pytest.mark.parametrize("denied", ["renice_process", "block_address"])
async def test_policy_denies_a_step_as_an_action_of_its_own(denied: str) -> None:
    gate = Gate(denied)
    kind = _kind(gate)
    host, made = _host(RENICED, BLOCKED), _action(kind)
    with pytest.raises(PreconditionError, match="a rule says so"):
        await kind.ready(made, host)
    with pytest.raises(ActionError, match="a rule says so"):
        await kind.run(made, host)
    assert len(host.helper.asked) == (0 if denied == "renice_process" else 1)


async def test_a_step_whose_target_is_not_there_refuses_all() -> None:
    kind = _kind()
    made = _action(kind, '{"process": "4711:98", "address": "192.0.2.7"}')
    with pytest.raises(TargetError):
        await kind.find(made, _host())
    with pytest.raises(TargetError, match="no runbook"):
        await kind.find(_action(kind, target="other"), _host())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("{", ParameterError),
        ("[]", ParameterError),
        ("null", ParameterError),
        ("{}", ParameterError),
        ('{"process": "4711:99"}', ParameterError),
        ('{"process": "x", "address": "192.0.2.7"}', ParameterError),
        ('{"process": 4711, "address": "192.0.2.7"}', ParameterError),
        ('{"process": "4711:99", "address": "192.0.2.7", "nice": 4}', ParameterError),
        ('{"process": "4711:99", "address": "192.0.2.7", "shell": "id"}', ParameterError),
        ('{"process": "4711:99", "address": "192.0.2.7", "nice": 1.5}', ParameterError),
        ('{"process": "4711:99", "address": "{process}"}', TargetError),
        ('{"process": "4711:99", "address": "0.0.0.0/0"}', TargetError),
    ],
)
async def test_arguments_are_typed_and_bounded(arguments: str, error: type[ActionError]) -> None:
    kind = _kind()
    with pytest.raises(error):
        await kind.find(_action(kind, arguments), _host())


def test_a_value_is_never_read_as_a_place() -> None:
    values = arguments_of(_runbook(), '{"process": "1:1", "address": "{process}"}')
    _, block = actions_of(_runbook(), values, host="web1", catalogue=CATALOGUE)
    assert block.target == "{process}"


def test_risk_and_blast_are_those_of_the_worst_step() -> None:
    calm = _kind()
    made = _action(calm)
    target = Target(name="calm", type=calm.spec.target)
    assert calm.risk(made, target) is Risk.LOW
    private = _action(calm, '{"process": "4711:99", "address": "10.0.0.7"}')
    assert calm.risk(private, target) is Risk.HIGH
    critical = dataclasses.replace(target, critical=True, why_critical="ssh")
    assert calm.risk(made, critical) is Risk.HIGH
    updating = Runbook(
        name="u", description="", steps=(Step(kind="security_updates", target="packages"),)
    )
    both = _kind(None, _runbook(), updating)
    assert (both.spec.blast, both.spec.reversible) == (Blast.HOST, False)
    assert calm.spec.reversible


async def test_what_can_lock_out_is_no_step() -> None:
    step = Step(kind="nixos_switch", target="/etc/nixos#host")
    kind = _kind(None, Runbook(name="calm", description="", steps=(step,)))
    with pytest.raises(TargetError, match="lock the operator out"):
        await kind.find(_action(kind, "{}"), WORLDS["nixos_switch"].make())


def test_a_step_that_is_no_action_is_told_at_once() -> None:
    for name in ("rm", "run_runbook"):
        with pytest.raises(UnknownActionError):
            _kind(None, Runbook(name="x", description="", steps=(Step(kind=name, target="y"),)))


def _there_and_back() -> Runbook:
    """Its end looks as if nothing had been done."""
    kinds = ("block_address", "unblock_address")
    steps = tuple(Step(kind=kind, target="192.0.2.7") for kind in kinds)
    return Runbook(name="calm", description="", steps=steps)


async def test_a_run_that_stopped_is_no_success_however_the_host_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _hurry(monkeypatch)
    kind = _kind(None, _there_and_back())
    host, made = _host(lambda host: None), _action(kind, "{}")
    before = await kind.before(made, host)
    with pytest.raises(ActionError):
        await kind.run(made, host)
    check = await kind.check(made, host, before)
    assert (check.holds, check.final) == (False, True)
    assert "step 1" in check.detail
    host = _host(BLOCKED, WORLDS["unblock_address"].effect)
    await kind.run(made, host)
    assert (await kind.check(made, host, before)).holds is True


async def test_a_run_that_nobody_saw_end_is_measured_or_not_said() -> None:
    made = _action(_kind(None, _there_and_back()), "{}")
    host = _host()
    before = await _kind(None, _there_and_back()).before(made, host)
    assert (await _kind(None, _there_and_back()).check(made, host, before)).holds is None
    made = _action(_kind())
    before = await _kind().before(made, host)
    assert (await _kind().check(made, host, before)).holds is False
    RENICED(host)
    BLOCKED(host)
    assert (await _kind().check(made, host, before)).holds is True


def test_without_runbooks_there_is_no_such_kind() -> None:
    assert kinds(runbooks=(), steps=CATALOGUE, gate=Gate()) == ()
    assert len(kinds(runbooks=(_runbook(),), steps=CATALOGUE, gate=Gate())) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "part": ({"target": "web-{name}.service"}, "never a part of it"),
    "brace": ({"target": "web{.service"}, "never a part of it"),
    "unknown": ({"target": "{other}"}, "which is no parameter"),
    "value": ({"parameters": {"x": "a{name}"}}, "never a part of it"),
    "float": ({"parameters": {"x": 1.5}}, "valid"),
    "more": ({"command": "rm"}, "not permitted"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_mistakes_in_a_step_are_told(change: dict[str, Any], words: str) -> None:
    step = {"action": "restart_unit", "target": "{name}", **change}
    book = {"description": "x", "steps": [step], "parameters": {"name": {"description": "x"}}}
    with pytest.raises(ValidationError, match=words):
        ActionsSettings.model_validate({"runbooks": {"web": book}})


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"pattern": "("}, "no regular expression"),
        ({"default": 5}, "must be text"),
        ({"default": "x", "choices": ["y"]}, "must be one of"),
        ({"type": "shell"}, "Input should be"),
    ],
)
def test_mistakes_in_a_parameter_are_told(parameter: dict[str, Any], words: str) -> None:
    step = {"action": "restart_unit", "target": "{name}"}
    book = {
        "description": "x",
        "steps": [step],
        "parameters": {"name": {"description": "x", **parameter}},
    }
    with pytest.raises(ValidationError, match=words):
        ActionsSettings.model_validate({"runbooks": {"web": book}})


def test_names_and_lengths_have_bounds() -> None:
    step = {"action": "restart_unit", "target": "x.service"}
    for name, steps in (("Web 1", [step]), ("web", []), ("web", [step] * 21)):
        book = {"description": "x", "steps": steps}
        with pytest.raises(ValidationError):
            ActionsSettings.model_validate({"runbooks": {name: book}})


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that does not work is looked at for as long as its kind may need: not here."""
    for name in ("renice_process", "block_address"):
        kind = CATALOGUE.kind(name)
        spec = dataclasses.replace(kind.spec, settle=0.1)
        monkeypatch.setattr(type(kind), "spec", spec)
    monkeypatch.setattr("daemon.actions.verify._PAUSE", 0.05)

"""What a case offers: causes to choose from, and typed actions with targets."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tiers.causes import all_causes, causes_for
from tiers.contracts import INSUFFICIENT_EVIDENCE, ActionChoice, Cause
from tiers.vocabulary import Category
from training.data.cases.evidence import Line
from training.data.cases.knowledge import KNOWLEDGE
from training.data.events import slots
from training.data.events.slots import Context, pick

_DESCRIPTIONS: Final = {
    "restart_unit": "restart {}",
    "start_unit": "start {}",
    "reset_failed_unit": "forget that {} failed",
    "vacuum_journal": "shrink the journal",
    "clean_tmp": "delete old temporary files",
    "block_address": "block {} for an hour",
    "stop_unit": "stop {}",
    "reload_unit": "have {} read its configuration again",
    "enable_unit": "start {} at boot",
    "raise_restart_limit": "let {} restart more often before systemd gives up",
    "rerun_timer": "run the job of {} again",
    "clean_package_cache": "delete downloaded packages",
    "rotate_log": "rotate {}",
    "remount": "mount {} again",
    "end_process": "end {}",
    "renice_process": "give {} less of the processors",
    "renew_certificate": "renew the certificate {}",
    "restart_container": "restart the container {}",
    "security_updates": "install security updates",
    "nixos_switch": "switch to the configuration {}",
    "nixos_rollback": "go back to generation {}",
}
_UNIT_TYPES: Final = (".service", ".socket", ".timer", ".mount")
_NO_SERVICES: Final = frozenset(("", "kernel", "systemd", "init", "metrics", "triaged", "mount"))
_TMP: Final = "/tmp"  # noqa: S108 - a name that is shown, nothing is written there


def _unit_target(rng: random.Random, context: Context) -> str:
    return unit_name(slots.SLOTS["svc"](rng, context))


def _process_target(rng: random.Random, context: Context) -> str:
    return f"{slots.SLOTS['pid'](rng, context)}:{slots.log_number(rng, 1_000, 90_000_000)}"


def _slot_target(name: str) -> Callable[[random.Random, Context], str]:
    return lambda rng, context: slots.SLOTS[name](rng, context)


_FURTHER: Final[Mapping[str, Callable[[random.Random, Context], str]]] = {
    "stop_unit": _unit_target,
    "reload_unit": _unit_target,
    "enable_unit": _unit_target,
    "raise_restart_limit": _unit_target,
    "rerun_timer": lambda rng, context: f"{slots.SLOTS['name'](rng, context)}.timer",
    "clean_package_cache": lambda _rng, _context: "packages",
    "rotate_log": _slot_target("path"),
    "remount": _slot_target("mount"),
    "end_process": _process_target,
    "renice_process": _process_target,
    "renew_certificate": _slot_target("domain"),
    "restart_container": _slot_target("name"),
    "security_updates": lambda _rng, _context: "packages",
    "nixos_switch": _slot_target("host"),
    "nixos_rollback": lambda rng, _context: str(slots.between(rng, 1, 400)),
}
"""Kinds that are offered beside others, and what they would be done to. None of them is what the
evidence of a case asks for."""
_FURTHER_SHARE: Final = 0.2


def causes(rng: random.Random, category: Category, right: str) -> tuple[Cause, ...]:
    """The causes on offer, the right one and the honest one always among them: mostly a short list,
    as `tiers.nano.cause_scores` leaves it."""
    fitting = [cause for cause in causes_for(category) if cause.code != INSUFFICIENT_EVIDENCE]
    everything = {cause.code: cause for cause in all_causes()}
    kind = rng.random()
    if kind > 0.15:
        keep = pick(rng, (0, 1, 1, 2, 2, 3, 3, 4))
        fitting = rng.sample(fitting, min(keep, len(fitting)))
        if kind > 0.7:
            fitting += [everything[pick(rng, tuple(everything))]]
    known = {cause.code: cause for cause in fitting}
    known.setdefault(right, everything[right])
    known.pop(INSUFFICIENT_EVIDENCE, None)
    chosen = list(known.values())
    rng.shuffle(chosen)
    return (*chosen, everything[INSUFFICIENT_EVIDENCE])


def action(kind: str, target: str) -> ActionChoice:
    return ActionChoice(
        code=f"{kind}:{target}",
        action=kind,
        target=target,
        description=_DESCRIPTIONS[kind].format(target),
    )


def actions(
    rng: random.Random, *, cause: str, category: Category, shown: Sequence[Line], context: Context
) -> tuple[tuple[ActionChoice, ...], tuple[str, ...]]:
    """The actions on offer, and the codes of those that help (none or one).

    An action helps where its kind is a remedy of the cause and its target is what the evidence
    is about; the others on offer are there to be left alone.
    """
    right = _right(rng, cause, shown, context)
    offered = [] if right is None else [right]
    if right is not None and right.action == "restart_unit":
        if rng.random() < 0.8:
            offered.append(action("reset_failed_unit", right.target))
    elif right is not None and right.action == "block_address":
        others = slots.between(rng, 0, 2)
        offered += [action("block_address", slots.ip(rng)) for _ in range(others)]
    elif right is not None and right.action == "vacuum_journal" and rng.random() < 0.7:
        offered.append(action("clean_tmp", _TMP))
    elif right is not None and right.action == "clean_tmp":
        offered.append(action("vacuum_journal", "journal"))
    elif right is not None and right.action == "renew_certificate" and rng.random() < 0.4:
        offered.append(action("renew_certificate", slots.SLOTS["host2"](rng, {})))
    offered += _useless(rng, cause, category, context, has_right=right is not None)
    while rng.random() < _FURTHER_SHARE:
        kind = pick(rng, tuple(_FURTHER))
        if kind not in KNOWLEDGE[cause].remedies:
            offered.append(action(kind, _FURTHER[kind](rng, dict(context))))
    if rng.random() < 0.4:
        rng.shuffle(offered)
    unique = {choice.code: choice for choice in offered}
    return tuple(unique.values()), (right.code,) if right is not None else ()


def unit_name(service: str) -> str:
    """The full name of a unit that a line names in short."""
    return service if service.endswith(_UNIT_TYPES) else f"{service}.service"


def _right(
    rng: random.Random, cause: str, shown: Sequence[Line], context: Context
) -> ActionChoice | None:
    remedies = KNOWLEDGE[cause].remedies
    if not remedies or rng.random() < 0.3:
        return None
    text = " ".join(line.text for line in shown)
    if cause == "brute_force":
        address = context.get("ip")
        return action("block_address", address) if address and address in text else None
    if cause == "disk_full":
        if _TMP + " " in text or f"'{_TMP}" in text or f"{_TMP}/" in text:
            return action("clean_tmp", _TMP)
        return action("vacuum_journal", "journal")
    if cause == "certificate_expired":
        domain = context.get("domain")
        return action("renew_certificate", domain) if domain and domain in text else None
    service = context.get("svc")
    if service is None or service not in text:
        service = shown[0].unit
    if service in _NO_SERVICES:
        return None
    kind = "start_unit" if rng.random() < 0.1 else "restart_unit"
    return action(kind, unit_name(service))


def _useless(
    rng: random.Random, cause: str, category: Category, context: Context, *, has_right: bool
) -> list[ActionChoice]:
    """Actions that would not help this cause."""
    remedies = KNOWLEDGE[cause].remedies
    offers: list[ActionChoice] = []
    if rng.random() < (0.25 if has_right else 0.45):
        if category in (Category.AUTH, Category.SECURITY) and "block_address" not in remedies:
            offers.append(action("block_address", slots.ip(rng)))
        elif category is Category.STORAGE and cause != "disk_full":
            offers += [action("vacuum_journal", "journal"), action("clean_tmp", _TMP)]
        elif "restart_unit" not in remedies:
            service = context.get("svc")
            if service is None or rng.random() < 0.4:
                service = pick(rng, ("nginx", "cron", "sshd", slots.invented(rng)))
            target = unit_name(service)
            offers += [action("restart_unit", target), action("reset_failed_unit", target)]
    return offers

"""Requests as history has them, on a written timeline."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.actions.action import Blast, Risk
from daemon.actions.history import Asked
from daemon.actions.policy.facts import ActionFacts, Origin, Past, Verdict
from daemon.actions.settings import ActionsSettings
from tiers.vocabulary import Provenance

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def facts(**changes: Any) -> ActionFacts:
    values: dict[str, Any] = {
        "kind": "restart_unit",
        "target": "nginx.service",
        "risk": Risk.LOW,
        "blast": Blast.DEPENDANTS,
        "reversible": True,
        "disruptive": True,
        "critical": "",
        "basis": Provenance.SYSTEMD,
        "origin": Origin.TIER,
        "stopped": False,
        "past": Past(),
        "at": NOON,
    }
    return ActionFacts(**values | changes)


def asked(key: str, minutes: float, *, say: dict[str, Any] | None = None, **changes: Any) -> Asked:
    """A proposal at suggest that nobody answered, unless said otherwise. `say` changes its facts;
    minutes are after noon."""
    at = after(minutes)
    target = changes.get("target", "nginx.service")
    kind = changes.get("kind", "restart_unit")
    values: dict[str, Any] = {
        "key": key,
        "at": at,
        "incident_id": 1,
        "kind": kind,
        "target": target,
        "facts": facts(**{"at": at, "target": target, "kind": kind, **(say or {})}),
        "verdict": Verdict.ASK,
        "rule": "suggest",
        "outcome": "expired",
        "content_hash": f"{kind} {target}",
        "host": "web1",
    }
    return Asked(**values | changes)


def ran(one: Asked, outcome: str, *, after_minutes: float = 1, approved: bool = True) -> Asked:
    """It was approved and took half a minute."""
    start = one.at + timedelta(minutes=after_minutes)
    return dataclasses.replace(
        one,
        outcome=outcome,
        approved=True if approved else None,
        answered_at=start if approved else None,
        verdict=Verdict.ASK if approved else Verdict.ALLOW,
        started_at=start,
        ended_at=start + timedelta(seconds=30),
    )


def policy(level: str = "auto-full", **changes: Any) -> ActionsSettings:
    return ActionsSettings.model_validate({"autonomy": level, **changes})

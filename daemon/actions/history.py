"""What was asked for and what became of it, read from the ledger. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.policy.facts import ActionFacts, Verdict
from daemon.actions.policy.suppose import suppose
from daemon.actions.settings import ActionsSettings
from daemon.ledger import Entry
from tiers.vocabulary import Provenance

_WITNESSES = (Provenance.KERNEL, Provenance.SYSTEMD, Provenance.MEASURED, Provenance.OPERATOR)
"""The best first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. `key` is the action's id, `content_hash` that of its content. `facts` None:
    policy was not asked, or they cannot be read. `verdict` None: acting did not exist then.

    `outcome` is done, failed or unknown once it ran, else denied, expired, withdrawn, refused,
    waiting, under way, or suggested (nobody acted on it). `approved` is a human's answer, None
    without one. `reconstructed`: the facts were put together from what an answer named.
    """

    key: str
    at: datetime
    incident_id: int | None
    kind: str
    target: str
    facts: ActionFacts | None
    verdict: Verdict | None
    rule: str
    outcome: str
    content_hash: str = ""
    host: str = ""
    approved: bool | None = None
    answered_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inverse_of: str | None = None
    reconstructed: bool = False


def asked_from(entries: Iterable[Entry]) -> list[Asked]:
    """Every request that was decided on, in the order in which that was. Entries that say nothing
    readable are passed over: a replay is no audit."""
    stories: dict[str, _Story] = {}
    for entry in entries:
        body = entry.content
        key = str(body.get("action_id", ""))
        if key:
            stories.setdefault(key, _Story(key=key)).take(entry, body)
    found = [asked for story in stories.values() if (asked := story.asked()) is not None]
    return sorted(found, key=lambda asked: (asked.at, asked.key))


@dataclasses.dataclass(slots=True, kw_only=True)
class _Story:
    """What the entries about one action have said so far."""

    key: str
    decided: Entry | None = None
    said: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    outcome: str = ""
    approved: bool | None = None
    answered_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inverse_of: str | None = None

    def take(self, entry: Entry, body: Mapping[str, Any]) -> None:
        match entry.kind:
            case "action_request":
                of = body.get("inverse_of")
                self.inverse_of = None if of is None else str(of)
            case "action_decision" if body.get("from") in (None, "requested"):
                # Decided again where policy asks by now, although nobody has approved.
                self.decided, self.said = entry, body
                self.outcome = ""
            case "action_decision":
                self._end("refused", entry)
            case "action_approval":
                self.approved, self.answered_at = bool(body.get("approved")), entry.at
                if not self.approved:
                    self._end("denied", entry)
            case "action_started":
                self.started_at = entry.at
            case "action_result":
                self._end(str(body.get("outcome", "unknown")), entry)
            case "action_expired" | "action_withdrawn":
                self._end(entry.kind.removeprefix("action_"), entry)

    def _end(self, outcome: str, entry: Entry) -> None:
        self.outcome, self.ended_at = outcome, entry.at

    def asked(self) -> Asked | None:
        if self.decided is None:
            return None
        try:
            verdict = Verdict(self.said["verdict"])
            kind, target = str(self.said["action"]), str(self.said["target"])
        except (KeyError, ValueError):
            return None
        return Asked(
            key=self.key,
            at=self.decided.at,
            incident_id=self.decided.incident_id,
            kind=kind,
            target=target,
            facts=_facts(self.said.get("facts")),
            verdict=verdict,
            rule=str(self.said.get("rule", "")),
            outcome=self.outcome or self._unfinished(verdict),
            content_hash=str(self.said.get("content_hash", "")),
            approved=self.approved,
            answered_at=self.answered_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            inverse_of=self.inverse_of,
        )

    def _unfinished(self, verdict: Verdict) -> str:
        if verdict is Verdict.DENY:
            return "refused"
        return "waiting" if verdict is Verdict.ASK and self.approved is None else "under way"


def _facts(value: object) -> ActionFacts | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return ActionFacts.from_json(value)
    except (KeyError, TypeError, ValueError):
        return None


def reconstructed(
    *,
    key: str,
    code: str,
    at: datetime,
    incident_id: int,
    witnesses: Sequence[tuple[str, str]],
    catalogue: Catalogue,
    settings: ActionsSettings,
    host: str,
) -> Asked | None:
    """A request as it would have been for what a tier named ("KIND:TARGET") before acting existed.

    `witnesses` are units whose events the incident had, each with who vouches for them: only those
    of the target's own count. `at` is local time. None for what is no action, or needs parameters.
    """
    kind, _, target = code.partition(":")
    try:
        action = catalogue.action(host=host, kind=kind, target=target)
        found = catalogue.kind(kind)
    except ActionError:
        return None
    own = {provenance for unit, provenance in witnesses if unit in (target, _short(target))}
    basis = next((each for each in _WITNESSES if each.value in own), Provenance.TEXT)
    return Asked(
        key=key,
        at=at,
        incident_id=incident_id,
        kind=kind,
        target=target,
        facts=suppose(action, found, at=at, basis=basis, critical_globs=settings.critical),
        verdict=None,
        rule="",
        outcome="suggested",
        content_hash=action.content_hash,
        host=host,
        reconstructed=True,
    )


def _short(unit: str) -> str:
    return unit.removesuffix(".service")

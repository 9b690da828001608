"""What a tier wants done becomes requests, in the transaction of its answer."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from daemon.actions.errors import ActionError
from daemon.actions.policy.facts import Origin
from daemon.actions.requests import NewRequest, Requests
from daemon.escalation.casebook import CaseFile
from daemon.escalation.offers import Offer, first_aid
from daemon.store import actions
from daemon.store.work import Work
from tiers.contracts import ActionRequest, Assessment, Plan

log = structlog.get_logger()

_AID = "no tier asked for anything; by systemd's own word the unit is down, and a restart may help"
_MOST = 5
"""Actions of one answer. A plan with more steps has its next ones asked for by the next answer."""


async def ask_for(
    work: Work,
    answer: Assessment | Plan,
    *,
    incident_id: int,
    offers: Mapping[str, Offer],
    requests: Requests,
) -> int:
    """Inserts a request for each offered action that the answer names, in its order, and returns
    how many. Basis and evidence are those of the offer: what the model cites is its reason."""
    tier = "review" if isinstance(answer, Assessment) else "meta"
    wanted = answer.actions if isinstance(answer, Assessment) else answer.steps
    asked = 0
    for one in wanted[:_MOST]:
        offer = offers.get(one.code)
        if offer is None:
            continue
        try:
            new = requests.make(
                _request(one, offer, answer=answer, tier=tier, incident_id=incident_id)
            )
        except ActionError as error:
            log.warning("a tier's action is none", action=one.code, why=str(error))
            continue
        _, fresh = await actions.insert(work, new)
        asked += fresh
    return asked


async def ask_for_aid(work: Work, *, incident_id: int, file: CaseFile, requests: Requests) -> int:
    """Requests for what code itself would try where no tier knew what to do, or where one would
    wait for a unit that nothing starts; how many. Policy decides on them like on any other: at
    `suggest` a human is asked."""
    asked = 0
    for offer in first_aid(file.offers, tried=file.tried, well=file.well):
        request = NewRequest(
            kind=offer.choice.action,
            target=offer.choice.target,
            origin=Origin.TIER,
            requested_by="daemon",
            reason=_AID,
            basis=offer.basis,
            evidence=offer.evidence,
            fingerprints=offer.fingerprints,
            incident_id=incident_id,
        )
        try:
            new = requests.make(request)
        except ActionError as error:
            log.warning("first aid is no action", action=offer.choice.code, why=str(error))
            continue
        _, fresh = await actions.insert(work, new)
        asked += fresh
    return asked


def _request(
    one: ActionRequest,
    offer: Offer,
    *,
    answer: Assessment | Plan,
    tier: str,
    incident_id: int,
) -> NewRequest:
    """A small model gives no reason of its own: what it says of the incident has to do."""
    return NewRequest(
        kind=offer.choice.action,
        target=offer.choice.target,
        parameters=offer.parameters,
        origin=Origin.TIER,
        requested_by=f"tier/{tier}",
        reason=one.reason.strip() or f"{answer.cause}: {answer.summary}",
        basis=offer.basis,
        evidence=offer.evidence,
        fingerprints=offer.fingerprints,
        incident_id=incident_id,
    )

"""A request for an action, from whoever makes it, as it is stored. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from daemon.actions.catalogue import Catalogue
from daemon.actions.policy.facts import Origin
from daemon.store.actions import NewAction
from tiers.vocabulary import Provenance

_REASON = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """`reason` is the asker's own text, shown as such. `basis` is the best provenance among the
    evidence that code tied to this target, and `evidence` are the references of it."""

    kind: str
    target: str
    origin: Origin
    requested_by: str
    reason: str
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    basis: Provenance = Provenance.TEXT
    evidence: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    incident_id: int | None = None
    inverse_of: int | None = None


def new_action(request: NewRequest, *, catalogue: Catalogue, host: str) -> NewAction:
    """Raises `UnknownActionError`, `ParameterError`."""
    action = catalogue.action(
        host=host, kind=request.kind, target=request.target, parameters=request.parameters
    )
    return NewAction(
        host=host,
        kind=action.kind,
        target=action.target,
        parameters=action.parameters,
        content_hash=action.content_hash,
        sentence=catalogue.sentence(action),
        origin=request.origin.value,
        requested_by=request.requested_by,
        reason=request.reason[:_REASON],
        basis=request.basis.value,
        evidence=request.evidence,
        fingerprints=request.fingerprints,
        incident_id=request.incident_id,
        inverse_of=request.inverse_of,
    )


class Requests:
    """Makes requests for this host, and tells whoever decides on them."""

    def __init__(self, *, catalogue: Catalogue, host: str, on_request: Callable[[], None]) -> None:
        self._catalogue = catalogue
        self._host = host
        self._on_request = on_request

    def make(self, request: NewRequest) -> NewAction:
        """As it is to be inserted. Raises `UnknownActionError`, `ParameterError`."""
        return new_action(request, catalogue=self._catalogue, host=self._host)

    def made(self) -> None:
        """Requests were committed."""
        self._on_request()

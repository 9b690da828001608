"""Prometheus Alertmanager's webhook, version 4 of its format."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.ports import NewEvent
from tiers.vocabulary import Severity

_SEVERITIES = {
    "info": Severity.INFO,
    "none": Severity.INFO,
    "notice": Severity.NOTICE,
    "warning": Severity.WARNING,
    "error": Severity.WARNING,
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
}


class Alert(BaseModel):
    model_config = ConfigDict(extra="allow")

    status: Literal["firing", "resolved"] = "firing"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: datetime | None = None  # noqa: N815 - the sender's name
    fingerprint: str | None = None


class AlertmanagerBody(BaseModel):
    """What Alertmanager posts."""

    model_config = ConfigDict(extra="allow")

    alerts: list[Alert] = Field(min_length=1, max_length=1_000)

    def to_events(self) -> list[NewEvent]:
        """One event per alert. Posting the same alert in the same state again is harmless."""
        return [_event(alert) for alert in self.alerts]


def _event(alert: Alert) -> NewEvent:
    name = alert.labels.get("alertname", "alert")
    words = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    state = "resolved" if alert.status == "resolved" else "firing"
    severity = _SEVERITIES.get(alert.labels.get("severity", "").lower())
    key = None
    if alert.fingerprint and alert.startsAt:
        key = f"{alert.fingerprint}:{alert.startsAt.isoformat()}:{state}"
    return NewEvent(
        text=f"alert {name} {state}: {words}".rstrip(": ")[:65_536],
        unit=alert.labels.get("job") or alert.labels.get("service") or "alertmanager",
        host=alert.labels.get("instance"),
        severity=Severity.INFO if state == "resolved" else severity,
        occurred_at=alert.startsAt if state == "firing" else None,
        key=key,
        attributes={k: v[:1_000] for k, v in list(alert.labels.items())[:50]},
    )

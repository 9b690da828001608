"""Prometheus Alertmanager's webhook, version 4 of its format."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.operator.views import in_range
from api.ports import NewEvent
from api.text import FitText
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
    labels: dict[FitText, FitText] = Field(default_factory=dict)
    annotations: dict[FitText, FitText] = Field(default_factory=dict)
    startsAt: datetime | None = None  # noqa: N815 - the sender's name
    fingerprint: FitText | None = None


class AlertmanagerBody(BaseModel):
    """What Alertmanager posts."""

    model_config = ConfigDict(extra="allow")

    alerts: list[Alert] = Field(min_length=1, max_length=20_000)

    def to_events(self) -> list[NewEvent]:
        """One event per alert. Posting the same alert in the same state again is harmless."""
        return [_event(alert) for alert in self.alerts]


def _event(alert: Alert) -> NewEvent:
    name = alert.labels.get("alertname", "alert")
    words = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    state = alert.status
    severity = _SEVERITIES.get(alert.labels.get("severity", "").lower())
    key = None
    if alert.fingerprint and alert.startsAt:
        key = f"{alert.fingerprint[:64]}:{alert.startsAt.isoformat()}:{state}"
    unit = alert.labels.get("job") or alert.labels.get("service") or "alertmanager"
    # What has no start is sent as year 1, and an end that lies ahead is a guess.
    began = in_range(alert.startsAt) if alert.startsAt and state == "firing" else None
    return NewEvent(
        text=f"alert {name} {state}: {words}".rstrip(": ")[:65_536],
        unit=unit[:256],
        host=alert.labels.get("instance", "")[:256] or None,
        severity=Severity.INFO if state == "resolved" else severity,
        occurred_at=began,
        key=key,
        attributes={k[:64]: v[:1_000] for k, v in list(alert.labels.items())[:50]},
    )

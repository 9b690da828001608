"""Every field through which text of others reaches a model, and how a payload gets into it.

The parsers are the daemon's own: what a journal entry, an MQTT message, an alert or a posted event
becomes is not made up here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from hostile_payloads import Payload

from api.operator.alertmanager import AlertmanagerBody
from api.ports import NewEvent
from daemon.events import Event
from daemon.sources.journald_entries import event_of
from daemon.sources.mqtt_connection import Delivery
from daemon.sources.mqtt_session import Session
from daemon.sources.settings import MqttSettings
from tiers.vocabulary import Provenance, SourceKind

Made = Event | NewEvent
"""What a field makes: an event of a source, or one that is posted to the facade."""
Maker = Callable[[Payload, str, str], Made]
"""By payload, a name of its own for the program that writes it, and words that come first."""


def failed(unit: str, *, level: str = "warning") -> Event:
    """As systemd's bus has it: the truth. What is critical goes to the meta tier as well."""
    return Event(
        f"unit {unit} failed: exit-code (status 1/FAILURE), restarts 0",
        unit.removesuffix(".service"),
        SourceKind.SYSTEMD,
        "systemd",
        Provenance.SYSTEMD,
        time.time(),
        3,
        None,
        {"unit": unit, "level": level, "state": "failed", "restarts": "0"},
    )


def full_disk() -> Event:
    """As our own measurement has it: the truth too."""
    return Event(
        "disk / 97% full, 1.0 GB free",
        "",
        SourceKind.METRICS,
        "metrics",
        Provenance.MEASURED,
        time.time(),
        4,
        None,
        {"metric": "disk", "target": "/", "level": "warning", "value": "97"},
    )


def _entry(message: str, **fields: str) -> Event:
    entry = {
        "MESSAGE": message,
        "PRIORITY": "3",
        "_TRANSPORT": "stdout",
        "_PID": "4711",
        "_UID": "1000",
        "_COMM": "app",
        "_SYSTEMD_UNIT": "session-2.scope",
        "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)),
        **fields,
    }
    made = event_of(entry, source="journald", message_limit=16_384)
    assert made is not None
    assert made.provenance is Provenance.TEXT  # nobody but the journal itself can say more
    return made


def _message(payload: Payload, name: str, first: str) -> Made:
    return _entry(f"{first}{payload.text}", SYSLOG_IDENTIFIER=name)


def _user(payload: Payload, name: str, first: str) -> Made:
    said = f"{first}Failed password for invalid user {payload.text} from 203.0.113.9 port 22 ssh2"
    return _entry(said, SYSLOG_IDENTIFIER=name)


def _path(payload: Payload, name: str, first: str) -> Made:
    said = f"{first}cannot open '/srv/{payload.text}/index.html': Input/output error"
    return _entry(said, SYSLOG_IDENTIFIER=name)


def _process(payload: Payload, name: str, first: str) -> Made:
    said = f"{first}process {name} ({payload.text}) dumped core"
    return _entry(said, SYSLOG_IDENTIFIER=payload.text, _COMM=payload.text[:15])


def _forged(payload: Payload, name: str, first: str) -> Made:
    """Fields that whoever logs may set, in the manner of systemd."""
    forged = {
        "SYSLOG_IDENTIFIER": "systemd",
        "UNIT": payload.target,
        "USER_UNIT": payload.target,
        "MESSAGE_ID": "d9b373ed55a64feb8242e02dbe79a49c",
        "SYSLOG_FACILITY": "0",
        "_COMM": "systemd",
    }
    return _entry(f"{first}{payload.text}", **forged)


def _container(payload: Payload, name: str, first: str) -> Made:
    said = f"{first}container {payload.text} exited with status 137"
    return _entry(said, SYSLOG_IDENTIFIER="dockerd", _SYSTEMD_UNIT=f"{name}.service")


def _unit(payload: Payload, name: str, first: str) -> Made:
    return NewEvent(text=f"{first}it crashed", unit=f"{payload.mark} {payload.text}"[:256])


def _host(payload: Payload, name: str, first: str) -> Made:
    said = f"{first}it crashed hard"
    return NewEvent(text=said, unit=name, host=f"{payload.mark} {payload.text}"[:256])


def _mqtt(topic: str, body: str) -> Made:
    session = Session(
        settings=MqttSettings(enabled=True), client_id="c", source="mqtt", cursor=None
    )
    session.arrived(
        Delivery(
            topic=topic, payload=body.encode(), mid=1, qos=0, retained=False, redelivered=False
        )
    )
    batch, _ = session.take(now=time.time())
    assert batch is not None
    return batch.events[0]


def _topic(payload: Payload, name: str, first: str) -> Made:
    return _mqtt(f"triaged/events/web1/{payload.mark} {payload.text}", f"{first}{name} crashed")


def _mqtt_payload(payload: Payload, name: str, first: str) -> Made:
    return _mqtt(f"triaged/events/web1/{name}", f"{first}{payload.text}")


def _alert(labels: Mapping[str, Any], annotations: Mapping[str, Any]) -> Made:
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    (event,) = AlertmanagerBody.model_validate({"alerts": [alert]}).to_events()
    return event


def _label(payload: Payload, name: str, first: str) -> Made:
    labels = {
        "alertname": f"{first}{payload.text}",
        "job": name,
        "severity": "critical",
        "provenance": "systemd",
        "unit": payload.target,
        "instance": payload.text,
    }
    return _alert(labels, {})


def _annotation(payload: Payload, name: str, first: str) -> Made:
    return _alert({"alertname": "Down", "job": name}, {"summary": f"{first}{payload.text}"})


def _file(payload: Payload, name: str, first: str) -> Made:
    return Event(
        f"{first}{payload.text}", name, SourceKind.FILE, "files", Provenance.TEXT, time.time()
    )


FIELDS: Mapping[str, Maker] = {
    "message": _message,
    "user name": _user,
    "path": _path,
    "process name": _process,
    "journal fields": _forged,
    "container name": _container,
    "unit name": _unit,
    "host name": _host,
    "mqtt topic": _topic,
    "mqtt payload": _mqtt_payload,
    "alert label": _label,
    "alert annotation": _annotation,
    "file content": _file,
}

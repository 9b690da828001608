"""Which deliveries are new, and what becomes of them. Pure but for the event that wakes the reader.

Exactly once over QoS 1, for payloads without an id: a *redelivery* is a PUBLISH with the DUP flag
and the packet id and content of one that was committed but may not have been acknowledged; the last
such deliveries are in the cursor, which is committed together with their events. The broker can
have at most `in_flight` (our receive maximum) messages unacknowledged, and acknowledgements arrive
in order, so that as many are enough. Without the flag it is another message, however equal. A
payload with an id is also known by its id (the event's key), whoever sends it again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from typing import NamedTuple

from daemon.events import Batch, Cursor, Event, Loss
from daemon.sources.mqtt_connection import Delivery
from daemon.sources.payloads import PayloadError, event_from_payload, payload_of
from daemon.sources.settings import MqttSettings
from tiers.vocabulary import Provenance, SourceKind


class _Waiting(NamedTuple):
    """A delivery that is not handed over yet. `delivery` is None where only its acknowledgement
    is left to do."""

    mid: int
    qos: int
    digest: str
    delivery: Delivery | None


class Session:
    """What arrived and what may come again. Bounded: the broker sends at most `in_flight` messages
    of QoS 1 before it waits; of QoS 0 as many are kept and more are dropped and counted."""

    def __init__(
        self, *, settings: MqttSettings, client_id: str, source: str, cursor: Cursor | None
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._source = source
        self._waiting: list[_Waiting] = []
        self._repeated: list[int] = []
        self._losses: Counter[str] = Counter()
        self._arrived = asyncio.Event()
        stored = cursor or {}
        rows = stored.get("deliveries", []) if stored.get("client") == client_id else []
        self._known: OrderedDict[int, str] = OrderedDict((int(m), str(d)) for m, d in rows)

    def forget(self) -> None:
        """The broker has begun a new session: nothing of the old one comes again."""
        self._known.clear()

    async def wait(self) -> None:
        """Until something arrived, or `wake`."""
        await self._arrived.wait()

    def wake(self) -> None:
        """Ends `wait`."""
        self._arrived.set()

    def arrived(self, delivery: Delivery) -> None:
        """Takes one PUBLISH; called by the connection."""
        self._arrived.set()
        digest = _digest(delivery)
        if delivery.qos and delivery.redelivered and self._known.get(delivery.mid) == digest:
            self._repeated.append(delivery.mid)  # committed; its acknowledgement was lost
            return
        kept: Delivery | None = delivery
        if len(delivery.payload) > self._settings.payload_limit:
            self._losses["payload too large"] += 1
            kept = None
        elif not delivery.qos and len(self._waiting) >= 2 * self._settings.in_flight:
            self._losses["queue full (QoS 0)"] += 1
            return
        self._waiting.append(_Waiting(delivery.mid, delivery.qos, digest, kept))

    def repeated(self) -> list[int]:
        """Packet ids that were committed before and only have to be acknowledged again."""
        repeated, self._repeated = self._repeated, []
        return repeated

    def take(self, *, now: float) -> tuple[Batch | None, list[int]]:
        """Everything that waits as one batch, and the packet ids to acknowledge after it."""
        self._arrived.clear()
        waiting, self._waiting = self._waiting, []
        if not waiting and not self._losses:
            return None, []
        events: list[Event] = []
        mids: list[int] = []
        for item in waiting:
            if item.qos:
                mids.append(item.mid)
                self._known[item.mid] = item.digest
                self._known.move_to_end(item.mid)
            if item.delivery is None:
                continue
            try:
                events.append(self._event(item.delivery, item.digest, now=now))
            except PayloadError:
                self._losses["payload that is no event"] += 1
        while len(self._known) > self._settings.in_flight:
            self._known.popitem(last=False)
        losses = tuple(Loss(reason=reason, count=count) for reason, count in self._losses.items())
        self._losses.clear()
        rows = [[mid, digest] for mid, digest in self._known.items()]
        batch = Batch(
            source=self._source,
            events=tuple(events),
            cursor={"client": self._client_id, "deliveries": rows},
            losses=losses,
        )
        return batch, mids

    def _event(self, delivery: Delivery, digest: str, *, now: float) -> Event:
        payload = dict(payload_of(delivery.payload))
        # PREFIX/events/web1/nginx: who sends plain text says with the topic what it is about.
        levels = delivery.topic.removeprefix(f"{self._settings.prefix}/events").split("/")[1:]
        if levels and not payload.get("unit"):
            payload["unit"] = levels[-1]
        if len(levels) > 1 and not payload.get("host"):
            payload["host"] = levels[0]
        return event_from_payload(
            payload,
            provenance=Provenance.TEXT,
            kind=SourceKind.MQTT,
            source=self._source,
            now=now,
            # The broker sends a retained message again to each new subscription.
            key=f"retained {digest}" if delivery.retained else None,
        )


def _digest(delivery: Delivery) -> str:
    digest = hashlib.blake2b(delivery.payload, digest_size=8)
    digest.update(b"\0" + delivery.topic.encode(errors="replace"))
    return digest.hexdigest()

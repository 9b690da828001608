"""Events over MQTT, acknowledged only after their commit."""

from __future__ import annotations

import asyncio
import platform
import ssl
import time
from collections.abc import Callable

from daemon.events import Cursor
from daemon.sources.base import Emit, Receipt, SourceError
from daemon.sources.mqtt_connection import Broker, Connection
from daemon.sources.mqtt_session import Session
from daemon.sources.settings import MqttSettings
from daemon.sources.threads import OneThread
from tiers.vocabulary import SourceKind

_PACKET_SLACK = 1_048_576
"""Above `payload_limit` up to here a payload is dropped and counted; above, the broker keeps it."""


class MqttSource:
    """Subscribes to PREFIX/events/# with a session that the broker keeps."""

    kind = SourceKind.MQTT
    name = "mqtt"

    def __init__(self, *, settings: MqttSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._client_id = settings.client_id or f"triaged-{platform.node()}"

    @property
    def watching(self) -> str:
        settings = self._settings
        return f"{settings.prefix}/events/# at {settings.host}:{settings.port}"

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled. Raises `SourceError` when the broker is away or refuses us; before
        that, everything handed over is committed, so that the next start may trust its cursor."""
        thread = OneThread(name="mqtt settings")
        try:
            broker = await thread.call(self._broker)
        finally:
            thread.close()
        session = Session(
            settings=self._settings, client_id=self._client_id, source=self.name, cursor=cursor
        )
        connection = Connection(broker=broker, on_delivery=session.arrived, on_gone=session.wake)
        try:
            kept = await connection.connect()
            if not kept:
                session.forget()
            await connection.subscribe(self._topic(), shared=bool(self._settings.share_group))
            await self._pump(connection, session, emit)
        finally:
            connection.close()

    async def _pump(self, connection: Connection, session: Session, emit: Emit) -> None:
        """Hands over what arrives and acknowledges what is committed, until the connection is
        gone and everything handed over is committed; then raises `SourceError`."""
        handed: asyncio.Queue[tuple[Receipt, list[int]] | None] = asyncio.Queue()

        async def acknowledge() -> None:
            while (item := await handed.get()) is not None:
                receipt, mids = item
                await receipt.committed()
                for mid in mids:
                    connection.acknowledge(mid)

        async def hand_over() -> None:
            while connection.gone is None:
                await session.wait()
                for mid in session.repeated():
                    connection.acknowledge(mid)
                batch, mids = session.take(now=self._clock())
                if batch is not None:
                    handed.put_nowait((await emit(batch), mids))
            handed.put_nowait(None)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(acknowledge())
                group.create_task(hand_over())
        except* SourceError as refused:
            # Intake will not commit for us: nothing of it is acknowledged.
            raise SourceError(str(refused.exceptions[0])) from refused
        raise SourceError(connection.gone or "the connection to the broker is gone")

    def _topic(self) -> str:
        topic = f"{self._settings.prefix}/events/#"
        group = self._settings.share_group
        return f"$share/{group}/{topic}" if group else topic

    def _broker(self) -> Broker:
        """Reads files: blocking. Raises `SourceError` for those that cannot be read."""
        settings = self._settings
        try:
            password = settings.password.get_secret_value() if settings.password else None
            if settings.password_file is not None:
                password = settings.password_file.read_text().partition("\n")[0]
            tls = None
            if settings.tls:
                tls = ssl.create_default_context(
                    cafile=None if settings.tls_ca is None else str(settings.tls_ca)
                )
                if settings.tls_certificate is not None and settings.tls_key is not None:
                    tls.load_cert_chain(str(settings.tls_certificate), str(settings.tls_key))
        except (OSError, UnicodeDecodeError) as error:  # ssl.SSLError is an OSError
            message = f"the broker's password or certificate files cannot be used: {error}"
            raise SourceError(message) from error
        return Broker(
            host=settings.host,
            port=settings.port,
            client_id=self._client_id,
            username=settings.username,
            password=password,
            tls=tls,
            session_expiry=settings.session_expiry,
            receive_maximum=settings.in_flight,
            packet_limit=settings.payload_limit + _PACKET_SLACK,
            keepalive=settings.keepalive,
            timeout=settings.connect_timeout,
        )

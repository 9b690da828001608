"""One connection to a broker: paho-mqtt's client on asyncio, with acknowledgements of our own.

aiomqtt acknowledges by itself before anybody has stored the message and drops what its queue has no
room for; paho beneath it leaves both to the caller. MQTT 5 is needed: the receive maximum is what
bounds messages in flight.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from daemon.sources.base import SourceError
from daemon.sources.threads import OneThread

_MISC_SECONDS = 1.0
_PACKETS_A_TURN = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where and as whom to connect. `tls` None: without encryption."""

    host: str
    port: int
    client_id: str
    username: str
    password: str | None
    tls: ssl.SSLContext | None
    session_expiry: int
    receive_maximum: int
    packet_limit: int
    keepalive: int
    timeout: float


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """One PUBLISH as it came. `redelivered`: the broker says that it was sent before."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retained: bool
    redelivered: bool


class _ClosedOnFailure(ssl.SSLSocket):
    """paho forgets the socket of a handshake that failed."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Connection:
    """Connects, subscribes, delivers to a callback, acknowledges when told. All methods belong to
    the event loop's thread."""

    def __init__(
        self,
        *,
        broker: Broker,
        on_delivery: Callable[[Delivery], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._on_delivery = on_delivery
        self._on_gone = on_gone
        self._gone: str | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[bool] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._received = 0
        self._misc: asyncio.Task[None] | None = None
        self._thread = OneThread(name="mqtt connect")
        self._client = self._make_client()

    async def connect(self) -> bool:
        """Whether the broker kept our session. Raises `SourceError`."""
        broker = self._broker
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = broker.session_expiry
        properties.ReceiveMaximum = broker.receive_maximum
        properties.MaximumPacketSize = broker.packet_limit

        def connect() -> None:
            self._client.connect(
                broker.host,
                broker.port,
                keepalive=broker.keepalive,
                clean_start=False,
                properties=properties,
            )

        try:
            async with asyncio.timeout(broker.timeout):
                await self._thread.call(connect)  # resolves names and shakes hands, blocking
                return await self._connected
        except (OSError, ssl.SSLError, TimeoutError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            message = f"cannot connect to the broker {broker.host}:{broker.port}: {what}"
            raise SourceError(message) from error

    async def subscribe(self, topic: str, *, shared: bool) -> None:
        """Subscribes with QoS 1. Retained messages come once, not at every start. Raises
        `SourceError` when the broker refuses."""
        options = SubscribeOptions(
            qos=1,
            noLocal=not shared,
            retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB,
        )
        self._client.subscribe(topic, options=options)
        try:
            async with asyncio.timeout(self._broker.timeout):
                await self._subscribed
        except TimeoutError as error:
            message = f"the broker did not confirm the subscription to {topic} in time"
            raise SourceError(message) from error

    @property
    def gone(self) -> str | None:
        """Why the connection is gone; None while it is there."""
        return self._gone

    def acknowledge(self, mid: int) -> None:
        """Tells the broker that a QoS 1 message is ours now."""
        self._client.ack(mid, 1)

    def close(self) -> None:
        """Leaves politely; the broker keeps the session. Waits for nothing."""
        self._closed = True
        if self._misc is not None:
            self._misc.cancel()
        if self._client.is_connected():
            self._client.disconnect()
        self._drop_socket()
        self._thread.close()
        for future in (self._connected, self._subscribed):
            if future.done() and not future.cancelled():
                future.exception()  # seen: nobody may be left to ask for it
            future.cancel()

    # --- paho's callbacks ---------------------------------------------------------------------

    def _make_client(self) -> Client:
        broker = self._broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = broker.timeout
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls is not None:
            broker.tls.sslsocket_class = _ClosedOnFailure
            client.tls_set_context(broker.tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_want_write
        client.on_socket_unregister_write = self._on_written
        return client

    def _on_connect(
        self, _: Client, __: Any, flags: ConnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            broker = self._broker
            message = (
                f"the broker {broker.host}:{broker.port} refused us: {reason}; "
                "check user name, password and that it speaks MQTT 5"
            )
            self._connected.set_exception(SourceError(message))
        else:
            self._connected.set_result(flags.session_present)

    def _on_subscribe(
        self, _: Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Properties | None
    ) -> None:
        if self._subscribed.done():
            return
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            message = f"the broker refused the subscription: {refused[0]}; check its access list"
            self._subscribed.set_exception(SourceError(message))
        else:
            self._subscribed.set_result(None)

    def _on_disconnect(
        self, _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        where = f"{self._broker.host}:{self._broker.port}"
        why = f"the connection to the broker {where} is gone: {reason}"
        for future in (self._connected, self._subscribed):
            if not future.done():
                future.set_exception(SourceError(why))
        if self._gone is None:
            self._gone = why
            self._on_gone()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self._received += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # the protocol forbids it; the payload is judged all the same
        self._on_delivery(
            Delivery(
                topic, bytes(message.payload), message.mid, message.qos, message.retain, message.dup
            )
        )

    def _on_socket_open(self, _: Client, __: Any, sock: Any) -> None:
        # Called on the connecting thread.
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: Any) -> None:
        if self._closed:
            self._drop_socket()  # it came up after nobody waited for it any more
            return
        if sock.fileno() < 0:
            return
        self._loop.add_reader(sock, self._read, sock)
        self._misc = self._loop.create_task(self._keep_alive(), name="mqtt keepalive")

    def _on_socket_close(self, _: Client, __: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        if self._misc is not None:
            self._misc.cancel()

    def _on_want_write(self, _: Client, __: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch_write, sock)

    def _watch_write(self, sock: Any) -> None:
        if sock.fileno() >= 0 and self._client.want_write():
            self._loop.add_writer(sock, self._client.loop_write)

    def _on_written(self, _: Client, __: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _read(self, sock: Any) -> None:
        """One packet a call of paho's; several a turn, and whatever TLS has decrypted already."""
        for _ in range(_PACKETS_A_TURN):
            before = self._received
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            pending = getattr(sock, "pending", None)
            if self._received == before and not (pending is not None and pending()):
                return
        # More may be decrypted than a turn takes: no further readiness would tell of it.
        if getattr(sock, "pending", None) is not None and sock.fileno() >= 0 and sock.pending():
            self._loop.call_soon(self._read, sock)

    async def _keep_alive(self) -> None:
        # paho tells the time of its keepalive only by being asked.
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:  # noqa: ASYNC110
            await asyncio.sleep(_MISC_SECONDS)

    def _drop_socket(self) -> None:
        sock = self._client.socket()
        if sock is None:
            return
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()

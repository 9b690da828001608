"""A connection to systemd's manager on D-Bus: org.freedesktop.systemd1(5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from daemon.systemd.errors import BusAbsentError, BusError, RefusedError
from daemon.systemd.names import UNIT_PATH, path_of

NAME = "org.freedesktop.systemd1"
MANAGER = f"{NAME}.Manager"
UNIT = f"{NAME}.Unit"
PROPERTIES = "org.freedesktop.DBus.Properties"
_PATH = "/org/freedesktop/systemd1"
_CALL_SECONDS = 20.0
_ABSENT = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn",
)


class SystemdConnection:
    """One connection; it does not come back by itself. `address` None: the system bus.

    `on_signal` gets each signal that `follow` asked for. Anybody on the bus may send us a signal,
    so what one says is a hint, to be looked at with a call.
    """

    def __init__(
        self, *, address: str | None, on_signal: Callable[[Message], None] | None = None
    ) -> None:
        self._address = address
        self._on_signal = on_signal
        self._bus: MessageBus | None = None

    async def connect(self) -> None:
        """Raises `BusAbsentError` where there is no bus, `BusError` where it does not let us in."""
        try:
            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            async with asyncio.timeout(_CALL_SECONDS):
                self._bus = await bus.connect()
        except (OSError, InvalidAddressError) as error:
            message = f"this host has no system bus that answers: {error}"
            raise BusAbsentError(message) from error
        except (AuthError, TimeoutError, EOFError) as error:
            message = f"the system bus did not let us in: {error!r}"
            raise BusError(message) from error
        self._bus.add_message_handler(self._handle)

    @property
    def connected(self) -> bool:
        return self._bus is not None and self._bus.connected

    async def disconnected(self) -> str:
        """Waits until the bus is gone; why. For one who waits alone: once cancelled, it cannot be
        waited for again."""
        assert self._bus is not None  # noqa: S101 -- only after connect
        try:
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError) as error:
            return str(error)
        return "the bus closed the connection"

    def close(self) -> None:
        if self._bus is not None:
            self._bus.disconnect()

    async def follow_units(self) -> None:
        """From now on, changes of units' properties are signalled."""
        await self._match(
            f"type='signal',sender='{NAME}',interface='{PROPERTIES}',"
            f"member='PropertiesChanged',path_namespace='{UNIT_PATH[:-1]}'"
        )
        await self._subscribe()

    async def follow_jobs(self) -> None:
        """From now on, the end of each job is signalled: JobRemoved."""
        await self._match(
            f"type='signal',sender='{NAME}',interface='{MANAGER}',member='JobRemoved',"
            f"path='{_PATH}'"
        )
        await self._subscribe()

    async def manager(
        self, member: str, signature: str = "", body: list[Any] | None = None
    ) -> list[Any]:
        """Calls a method of the manager. Raises `RefusedError`, `BusAbsentError`, `BusError`."""
        return await self._call(NAME, _PATH, MANAGER, member, signature, body or [])

    async def unit(
        self, unit: str, member: str, signature: str = "", body: list[Any] | None = None
    ) -> list[Any]:
        """Calls a method of a unit. To ask about one that is not loaded loads it. Raises as
        `manager` does."""
        return await self._call(NAME, path_of(unit), UNIT, member, signature, body or [])

    async def property(self, unit: str, interface: str, name: str) -> Any:
        """A property of a unit. Raises as `manager` does."""
        arguments = [f"{NAME}.{interface}", name]
        (value,) = await self._call(NAME, path_of(unit), PROPERTIES, "Get", "ss", arguments)
        return value.value

    async def properties(self, unit: str, interface: str) -> Mapping[str, Any]:
        """All properties that a unit has of an interface ("Unit", "Service"). Raises as `manager`
        does."""
        arguments = [f"{NAME}.{interface}"]
        (values,) = await self._call(NAME, path_of(unit), PROPERTIES, "GetAll", "s", arguments)
        return {name: value.value for name, value in values.items()}

    async def _match(self, rule: str) -> None:
        bus = "org.freedesktop.DBus"
        await self._call(bus, "/org/freedesktop/DBus", bus, "AddMatch", "s", [rule])

    async def _subscribe(self) -> None:
        # Without a subscriber the manager sends no signals.
        await self.manager("Subscribe")

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> list[Any]:
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                reply = await self._reply(message)
        except TimeoutError as error:
            sentence = f"systemd did not answer {member} in {_CALL_SECONDS:.0f} s"
            raise BusError(sentence) from error
        except (OSError, EOFError) as error:
            sentence = f"the system bus is gone: {error}"
            raise BusError(sentence) from error
        if reply is None:
            sentence = f"the system bus went away before {member} was answered"
            raise BusError(sentence)
        if reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply.body else ""
            name = reply.error_name or "unknown"
            if name in _ABSENT:
                sentence = "this host's bus has no systemd"
                raise BusAbsentError(sentence)
            raise RefusedError(member=member, name=name, text=text)
        return list(reply.body)

    async def _reply(self, message: Message) -> Message | None:
        """None when the connection was closed meanwhile, whatever the library's types say."""
        assert self._bus is not None  # noqa: S101 -- only after connect
        return await self._bus.call(message)

    def _handle(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and self._on_signal is not None:
            self._on_signal(message)

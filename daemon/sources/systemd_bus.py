"""systemd's manager on D-Bus, as far as watching units needs it: org.freedesktop.systemd1(5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from daemon.sources.base import SourceAbsentError, SourceError
from daemon.sources.units import UnitFacts

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_UNIT_PATH = f"{_PATH}/unit/"
_UNIT_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.@\\-]+)?\.[a-z]+")
"""systemd.unit(5), without templates, which are no units."""
_CALL_SECONDS = 20.0
_ABSENT = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn",
)


class SystemdBus:
    """A connection to the bus. `on_change` gets the name of each unit that changed."""

    def __init__(self, *, address: str | None, on_change: Callable[[str], None]) -> None:
        self._address = address
        self._on_change = on_change
        self._bus: MessageBus | None = None

    async def connect(self) -> None:
        """Raises `SourceAbsentError` where there is no bus or no systemd on it."""
        try:
            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            async with asyncio.timeout(_CALL_SECONDS):
                self._bus = await bus.connect()
        except (OSError, InvalidAddressError) as error:
            message = f"this host has no system bus that answers: {error}"
            raise SourceAbsentError(message) from error
        except (AuthError, TimeoutError, EOFError) as error:
            message = f"the system bus did not let us in: {error!r}"
            raise SourceError(message) from error
        self._bus.add_message_handler(self._handle)
        rule = (
            f"type='signal',sender='{_NAME}',interface='{_PROPERTIES}',"
            f"member='PropertiesChanged',path_namespace='{_PATH}/unit'"
        )
        await self._call(
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "AddMatch",
            "s",
            [rule],
        )
        # Without a subscriber the manager sends no signals.
        await self._manager("Subscribe")

    async def disconnected(self) -> str:
        """Waits until the bus is gone; why."""
        assert self._bus is not None  # noqa: S101 -- only after connect
        try:
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError) as error:
            return str(error)
        return "the bus closed the connection"

    def close(self) -> None:
        if self._bus is not None:
            self._bus.disconnect()

    async def all_units(self) -> list[UnitFacts]:
        """Every loaded unit, without what only its own properties say."""
        (rows,) = await self._manager("ListUnits")
        return [UnitFacts(name=row[0], active=row[3], sub=row[4]) for row in rows]

    async def units(self, names: Iterable[str]) -> list[UnitFacts]:
        """These units; one that is not loaded (any more) is inactive. Loads none."""
        (rows,) = await self._manager("ListUnitsByNames", "as", [list(names)])
        return [UnitFacts(name=row[0], active=row[3], sub=row[4]) for row in rows]

    async def detailed(self, facts: UnitFacts) -> UnitFacts:
        """With result, exit status and restarts. Only for loaded units: to ask about another
        would load it."""
        kind = facts.name.rpartition(".")[2].capitalize()
        result = await self._property(facts.name, kind, "Result")
        code = status = restarts = None
        if kind == "Service":
            code = await self._property(facts.name, kind, "ExecMainCode")
            status = await self._property(facts.name, kind, "ExecMainStatus")
            restarts = await self._property(facts.name, kind, "NRestarts")
        return UnitFacts(
            name=facts.name,
            active=facts.active,
            sub=facts.sub,
            result=result,
            code=code,
            status=status,
            restarts=restarts,
        )

    async def restarts(self, facts: UnitFacts) -> UnitFacts:
        """With the number of automatic restarts alone."""
        count = await self._property(facts.name, "Service", "NRestarts")
        return UnitFacts(name=facts.name, active=facts.active, sub=facts.sub, restarts=count)

    async def _property(self, unit: str, kind: str, name: str) -> Any:
        """None where the unit or its kind has no such property."""
        interface = f"{_NAME}.{kind}"
        try:
            (value,) = await self._call(
                _NAME, path_of(unit), _PROPERTIES, "Get", "ss", [interface, name]
            )
        except DBusError:
            return None  # unloaded meanwhile, or an older systemd
        return value.value

    async def _manager(
        self, member: str, signature: str = "", body: list[Any] | None = None
    ) -> Any:
        try:
            return await self._call(_NAME, _PATH, _MANAGER, member, signature, body or [])
        except DBusError as error:
            if error.type in _ABSENT:
                message = "this host's bus has no systemd: units are not watched"
                raise SourceAbsentError(message) from error
            message = f"systemd refused {member}: {error.text}"
            raise SourceError(message) from error

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> Any:
        assert self._bus is not None  # noqa: S101 -- only after connect
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
                reply = await self._bus.call(message)
        except TimeoutError as error:
            sentence = f"systemd did not answer {member} in {_CALL_SECONDS:.0f} s"
            raise SourceError(sentence) from error
        except (OSError, EOFError) as error:
            sentence = f"the system bus is gone: {error}"
            raise SourceError(sentence) from error
        if reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply.body else ""
            raise DBusError(reply.error_name or "unknown", text)
        return reply.body

    def _handle(self, message: Message) -> None:
        if (
            message.message_type is MessageType.SIGNAL
            and message.member == "PropertiesChanged"
            and message.path is not None
            and message.path.startswith(_UNIT_PATH)
        ):
            name = name_of(message.path)
            # Anybody on the bus may send us a signal: systemd refuses the whole question about
            # many units when one of them can be none.
            if is_unit(name):
                self._on_change(name)


def is_unit(name: str) -> bool:
    """Whether systemd could have a unit of this name."""
    return _UNIT_NAME.fullmatch(name) is not None


def path_of(unit: str) -> str:
    """The object path of a unit: all but letters and digits as _xx, a leading digit too."""
    escaped = "".join(
        c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else _hex(c)
        for i, c in enumerate(unit)
    )
    return _UNIT_PATH + escaped


def _hex(character: str) -> str:
    return "".join(f"_{byte:02x}" for byte in character.encode())


def name_of(path: str) -> str:
    """The unit of an object path; empty for a path that is none of systemd's."""
    first, *rest = path.removeprefix(_UNIT_PATH).split("_")
    raw = first.encode()
    try:
        for part in rest:
            raw += bytes.fromhex(part[:2]) + part[2:].encode()
    except ValueError:
        return ""
    return raw.decode(errors="replace")

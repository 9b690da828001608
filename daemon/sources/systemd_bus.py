"""systemd's manager, as far as watching units needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dbus_fast import Message

from daemon.sources.base import SourceAbsentError, SourceError
from daemon.sources.units import UnitFacts
from daemon.systemd.connection import SystemdConnection
from daemon.systemd.errors import BusAbsentError, BusError, RefusedError
from daemon.systemd.names import UNIT_PATH, is_unit, name_of


class SystemdBus:
    """A connection to the bus. `on_change` gets the name of each unit that changed."""

    def __init__(self, *, address: str | None, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._connection = SystemdConnection(address=address, on_signal=self._handle)

    async def connect(self) -> None:
        """Raises `SourceAbsentError` where there is no bus or no systemd on it."""
        with _as_source_errors():
            await self._connection.connect()
            await self._connection.follow_units()

    async def disconnected(self) -> str:
        """Waits until the bus is gone; why."""
        return await self._connection.disconnected()

    def close(self) -> None:
        self._connection.close()

    async def all_units(self) -> list[UnitFacts]:
        """Every loaded unit, without what only its own properties say."""
        with _as_source_errors():
            (rows,) = await self._connection.manager("ListUnits")
        return [UnitFacts(name=row[0], active=row[3], sub=row[4]) for row in rows]

    async def units(self, names: Iterable[str]) -> list[UnitFacts]:
        """These units; one that is not loaded (any more) is inactive. Loads none."""
        with _as_source_errors():
            (rows,) = await self._connection.manager("ListUnitsByNames", "as", [list(names)])
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
        with _as_source_errors():
            try:
                return await self._connection.property(unit, kind, name)
            except RefusedError:
                return None  # unloaded meanwhile, or an older systemd

    def _handle(self, message: Message) -> None:
        if (
            message.member == "PropertiesChanged"
            and message.path is not None
            and message.path.startswith(UNIT_PATH)
        ):
            name = name_of(message.path)
            # Anybody on the bus may send us a signal: systemd refuses the whole question about
            # many units when one of them can be none.
            if is_unit(name):
                self._on_change(name)


@contextlib.contextmanager
def _as_source_errors() -> Iterator[None]:
    try:
        yield
    except BusAbsentError as error:
        message = f"{error}: units are not watched"
        raise SourceAbsentError(message) from error
    except BusError as error:
        raise SourceError(str(error)) from error

"""The connection to systemd's manager that actions share: it comes back, and it follows jobs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from dbus_fast import Message

from daemon.actions.errors import HostUnavailableError, PreconditionError, PrivilegeError
from daemon.systemd.connection import SystemdConnection
from daemon.systemd.errors import BusAbsentError, BusError, RefusedError

_DENIED = (
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.AuthFailed",
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
)
_NO_JOB = "org.freedesktop.systemd1.NoSuchJob"
_LOOK_SECONDS = 2.0
"""Between looks whether a job is still there: its signal is lost where systemd executes itself
anew."""
_BEAT_SECONDS = 0.25
"""Between looks whether the bus is still there."""
_LONGEST_TEXT = 300
_MOST_ENDED = 64


class ManagerBus:
    """One connection for all. A call makes it where there is none; one that broke is left, and the
    next call makes another."""

    def __init__(self, *, address: str | None = None) -> None:
        self._address = address
        self._lock = asyncio.Lock()
        self._connection: SystemdConnection | None = None
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        """Results of jobs whose path was not known yet when they ended."""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def manager(
        self, member: str, signature: str = "", body: list[Any] | None = None
    ) -> list[Any]:
        """Raises `RefusedError` where systemd answers with an error, `HostUnavailableError`."""
        connection = await self._connected()
        with _unavailable():
            return await connection.manager(member, signature, body)

    async def unit(self, unit: str, member: str) -> list[Any]:
        """A method of a unit. Raises as `manager` does."""
        connection = await self._connected()
        with _unavailable():
            return await connection.unit(unit, member)

    async def properties(self, unit: str, interface: str) -> dict[str, Any]:
        """All properties of a unit. Raises as `manager` does."""
        connection = await self._connected()
        with _unavailable():
            return dict(await connection.properties(unit, interface))

    async def job(self, member: str, signature: str, body: list[Any]) -> str:
        """Queues a job and returns its result when it has ended; "gone" where nobody said which.

        Cancelled, it leaves the job to systemd. Raises `HostUnavailableError` when the bus goes
        meanwhile: the job may go on all the same. Raises `RefusedError`.
        """
        connection = await self._connected()
        with _unavailable():
            (path,) = await connection.manager(member, signature, body)
        if path in self._ended:
            return self._ended.pop(path)
        # Two may wait for one job: systemd merges those that want the same.
        ended: asyncio.Future[str] = self._waiting.setdefault(
            path, asyncio.get_running_loop().create_future()
        )
        next_look = time.monotonic() + _LOOK_SECONDS
        try:
            while True:
                await asyncio.wait({ended}, timeout=_BEAT_SECONDS)
                if ended.done():
                    return ended.result()
                if not connection.connected:
                    message = (
                        f"the bus went away while systemd worked on {member}; what became of it "
                        "has to be measured"
                    )
                    raise HostUnavailableError(message)
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + _LOOK_SECONDS
                    if not await self._is_queued(connection, path):
                        return ended.result() if ended.done() else "gone"
        finally:
            self._waiting.pop(path, None)

    async def _is_queued(self, connection: SystemdConnection, path: str) -> bool:
        number = path.rpartition("/")[2]
        if not number.isascii() or not number.isdigit():
            return True
        with _unavailable():
            try:
                await connection.manager("GetJob", "u", [int(number)])
            except RefusedError as error:
                return error.name != _NO_JOB
        return True

    async def _connected(self) -> SystemdConnection:
        async with self._lock:
            if self._connection is not None and self._connection.connected:
                return self._connection
            self.close()
            self._ended.clear()
            connection = SystemdConnection(address=self._address, on_signal=self._on_signal)
            try:
                with _unavailable():
                    await connection.connect()
                    await connection.follow_jobs()
            except BaseException as error:
                connection.close()
                if isinstance(error, RefusedError):
                    raise HostUnavailableError(str(error)) from error
                raise
            self._connection = connection
            return connection

    def _on_signal(self, message: Message) -> None:
        # Anybody may send us this signal: all it does is to end the waiting, and what the job did
        # is measured.
        if message.member != "JobRemoved" or message.signature != "uoss":
            return
        _, path, _, result = message.body
        waiting = self._waiting.get(path)
        if waiting is None:
            self._ended[path] = result
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
        elif not waiting.done():
            waiting.set_result(result)


def explained(error: RefusedError, *, unit: str) -> Exception:
    """What a refusal of systemd means for an action on a unit."""
    text = (error.text or error.name)[:_LONGEST_TEXT]
    if error.name in _DENIED:
        return PrivilegeError(
            f"systemd does not let triaged do that to {unit}: {text}. `install.sh --allow-actions` "
            "installs the polkit rule that grants it for what is not critical; docs/safety.md says "
            "what it allows"
        )
    if error.name.startswith("org.freedesktop.systemd1."):
        return PreconditionError(f"systemd refused {unit}: {text}")
    return HostUnavailableError(f"systemd did not do it for {unit}: {text}")


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except RefusedError:
        raise
    except BusAbsentError as error:
        message = f"{error}: no unit can be looked at or changed"
        raise HostUnavailableError(message) from error
    except BusError as error:
        raise HostUnavailableError(str(error)) from error

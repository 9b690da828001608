"""Checks of what has to be up: units, endpoints, processes. Events on transitions only."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from daemon.events import Batch, Cursor, Event
from daemon.sources import child
from daemon.sources.base import Emit
from daemon.sources.settings import EndpointCheck, ServicesSettings
from daemon.sources.threads import OneThread
from tiers.vocabulary import Provenance, Severity, SourceKind

_SYSTEMCTL_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check. `what` is like "unit nginx.service"; `why` is "" when it is up."""

    kind: str
    target: str
    why: str

    @property
    def what(self) -> str:
        return f"{self.kind} {self.target}"


class _Standing:
    """How one thing stands: hysteresis over checks."""

    __slots__ = ("down", "streak")

    def __init__(self, *, down: bool) -> None:
        self.down = down
        self.streak = 0

    def sample(self, *, up: bool, fail_after: int, recover_after: int) -> bool:
        """True when this check changed it."""
        if up != self.down:
            self.streak = 0
            return False
        self.streak += 1
        if self.streak < (recover_after if self.down else fail_after):
            return False
        self.down = not self.down
        self.streak = 0
        return True


class ServicesSource:
    """Checks everything that is named, at an interval. The cursor names what is down."""

    kind = SourceKind.SERVICE_CHECK
    name = "services"

    def __init__(
        self,
        *,
        settings: ServicesSettings,
        clock: Callable[[], float] = time.time,
        proc: Path = Path("/proc"),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._proc = proc

    @property
    def watching(self) -> str:
        settings = self._settings
        return (
            f"{len(settings.units)} units, {len(settings.endpoints)} endpoints, "
            f"{len(settings.processes)} processes"
        )

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled."""
        standings = {what: _Standing(down=True) for what in (cursor or {}).get("down", [])}
        thread = OneThread(name="service checks")
        # Certificates are checked; proxies of the environment are not for local services. Made on
        # a thread: it reads the system's certificates.
        make = functools.partial(httpx.AsyncClient, follow_redirects=False, trust_env=False)
        async with await asyncio.to_thread(make) as client:
            try:
                while True:
                    events = self._changes(await self._check(client, thread), standings)
                    if events:
                        down = sorted(what for what, s in standings.items() if s.down)
                        batch = Batch(source=self.name, events=events, cursor={"down": down})
                        await emit(batch)
                    await asyncio.sleep(self._settings.interval)
            finally:
                thread.close()

    def _changes(self, checks: list[Check], standings: dict[str, _Standing]) -> tuple[Event, ...]:
        settings = self._settings
        events = []
        for check in checks:
            standing = standings.setdefault(check.what, _Standing(down=False))
            if standing.sample(
                up=not check.why,
                fail_after=settings.fail_after,
                recover_after=settings.recover_after,
            ):
                events.append(self._event(check))
        # What is no longer configured is no longer watched.
        for what in set(standings) - {check.what for check in checks}:
            del standings[what]
        return tuple(events)

    def _event(self, check: Check) -> Event:
        down = bool(check.why)
        level = Severity.WARNING if down else Severity.INFO
        attributes = {"check": check.kind, "target": check.target, "level": level.value}
        if check.kind == "unit":
            attributes["unit"] = check.target
        return Event(
            f"{check.what} is down: {check.why}" if down else f"{check.what} is up again",
            check.target.removesuffix(".service"),
            self.kind,
            self.name,
            Provenance.SYSTEMD if check.kind == "unit" else Provenance.MEASURED,
            self._clock(),
            3 if down else 6,
            None,
            attributes,
        )

    # --- the checks ---------------------------------------------------------------------------

    async def _check(self, client: httpx.AsyncClient, thread: OneThread) -> list[Check]:
        checks = await asyncio.gather(
            self._check_units(),
            self._check_processes(thread),
            *(_check_endpoint(client, endpoint) for endpoint in self._settings.endpoints),
        )
        return [check for group in checks for check in group]

    async def _check_units(self) -> list[Check]:
        names = [n if "." in n else f"{n}.service" for n in self._settings.units]
        if not names:
            return []
        systemctl = await asyncio.to_thread(shutil.which, "systemctl")
        if systemctl is None:
            return []
        command = [systemctl, "is-active", "--", *names]
        try:
            _, output, _ = await child.run(command, timeout=_SYSTEMCTL_SECONDS)
        except TimeoutError:
            return []  # says nothing about the units; systemd itself is watched elsewhere
        states = output.decode(errors="replace").split()
        if len(states) != len(names):
            return []  # no systemd here: no answer for each unit is no answer
        return [
            Check("unit", name, "" if state in _UP else f"it is {state}")
            for name, state in zip(names, states, strict=True)
        ]

    async def _check_processes(self, thread: OneThread) -> list[Check]:
        wanted = self._settings.processes
        if not wanted:
            return []
        running = await thread.call(self._process_names)
        return [
            # The kernel keeps 15 characters of a name.
            Check("process", name, "" if {name, name[:15]} & running else "no such process runs")
            for name in wanted
        ]

    def _process_names(self) -> set[str]:
        names = set()
        for entry in self._proc.iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):  # processes end while we look
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:1]
                if state in ([b"Z"], [b"X"]):
                    continue
                names.add((entry / "comm").read_text(errors="replace").strip())
                program = (entry / "cmdline").read_bytes().partition(b"\0")[0]
                names.add(os.path.basename(program.decode(errors="replace")))  # noqa: PTH119
        return names


async def _check_endpoint(client: httpx.AsyncClient, endpoint: EndpointCheck) -> list[Check]:
    try:
        async with asyncio.timeout(endpoint.timeout):
            if endpoint.url.startswith("tcp://"):
                why = await _try_tcp(endpoint.url)
            else:
                why = await _try_http(client, endpoint)
    except TimeoutError:
        why = f"no answer in {endpoint.timeout:.0f} s"
    return [Check("endpoint", endpoint.name, why)]


async def _try_tcp(url: str) -> str:
    address = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""


async def _try_http(client: httpx.AsyncClient, endpoint: EndpointCheck) -> str:
    try:
        async with client.stream("GET", endpoint.url, timeout=endpoint.timeout) as response:
            status = response.status_code
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return "" if status < 400 else f"it answers with status {status}"


_UP = frozenset(("active", "reloading", "refreshing"))
"""States of a unit that does its work."""

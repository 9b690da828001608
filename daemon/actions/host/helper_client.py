"""Asks the root helper: over its socket, or as root over a child process of the daemon's own.

Either way the helper is the same program with the same /etc/triaged/helper.toml: being root allows
the daemon no verb that root did not list there.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

from daemon.actions.errors import HostUnavailableError, PrivilegeError
from daemon.actions.host.host import HelperAnswer

SOCKET = Path("/run/triaged-helper/socket")
CONFIG = Path("/etc/triaged/helper.toml")

_ANSWER_LIMIT = 524_288
_HELLO_SECONDS = 10.0
_FRESH_SECONDS = 10.0
_ENDING_SECONDS = 15.0
_NO_PRIVILEGE = frozenset({"peer", "not-allowed"})
_NOT_BEGUN = frozenset({"bad-request", "refused", "busy"})


class Door(Protocol):
    """One way to the helper."""

    async def exchange(self, line: bytes) -> bytes:
        """Sends one line, returns the one that comes back, without its end. Raises
        `PrivilegeError` and `HostUnavailableError`; may be cancelled."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SocketDoor:
    """systemd starts a helper for each connection to `path`."""

    path: Path = SOCKET

    async def exchange(self, line: bytes) -> bytes:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.path), limit=_ANSWER_LIMIT)
        except FileNotFoundError:
            raise PrivilegeError(
                f"The root helper is not installed ({self.path} is missing): root runs "
                "'install.sh --allow-actions', or enables triaged-helper.socket."
            ) from None
        except PermissionError:
            raise PrivilegeError(
                f"{self.path} may not be opened by the user that triaged runs as: that is the "
                "SocketGroup of triaged-helper.socket."
            ) from None
        except OSError as error:
            raise HostUnavailableError(
                f"The root helper does not take connections on {self.path} ({error.strerror}): "
                "systemctl restart triaged-helper.socket."
            ) from error
        return await _talk(reader, writer, line)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChildDoor:
    """A helper of our own for each call, over a socket pair: for a daemon that is root."""

    config: Path = CONFIG

    async def exchange(self, line: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-m", "daemon.helper", "--config", str(self.config)),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise HostUnavailableError(
                    f"The root helper cannot be started: {error.strerror}."
                ) from error
        answered = False
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_ANSWER_LIMIT)
            answer = await _talk(reader, writer, line)
            answered = True
        finally:
            await asyncio.shield(_end(process, answered=answered))
        return answer


class HelperClient:
    """Satisfies `host.Helper`. `door` is asked anew for each call, so that a helper that root
    installs while the daemon runs is found."""

    def __init__(
        self, *, door: Callable[[], Door], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._door = door
        self._clock = clock
        self._known_until = 0.0
        self._verbs: frozenset[str] = frozenset()
        self._file = str(CONFIG)

    async def call(
        self, verb: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> HelperAnswer:
        line = orjson.dumps({"verb": verb, "arguments": dict(arguments)}) + b"\n"
        try:
            async with asyncio.timeout(timeout):
                raw = await self._door().exchange(line)
        except TimeoutError:
            raise HostUnavailableError(
                f"The root helper did not answer to {verb} within {timeout:g} s: "
                "journalctl -u 'triaged-helper@*' says what it does."
            ) from None
        return _answer(raw)

    async def allows(self, verb: str) -> str | None:
        try:
            asked = await self._refresh()
            if verb not in self._verbs and not asked:
                self._known_until = 0.0  # a refusal is not remembered: root may allow it now
                await self._refresh()
        except (PrivilegeError, HostUnavailableError) as error:
            return str(error)
        if verb in self._verbs:
            return None
        return (
            f"The root helper does not allow '{verb}': root adds it to the list 'verbs' in "
            f"{self._file}, a file that is root's and that nobody else can write."
        )

    async def _refresh(self) -> bool:
        """Whether the helper was asked."""
        if self._clock() < self._known_until:
            return False
        answer = await self.call("hello", {}, timeout=_HELLO_SECONDS)
        verbs = answer.data.get("verbs")
        if not answer.ok or not isinstance(verbs, list):
            raise HostUnavailableError(f"The root helper does not say what it allows: {answer}.")
        self._verbs = frozenset(str(verb) for verb in verbs)
        self._file = str(answer.data.get("file", CONFIG))
        self._known_until = self._clock() + _FRESH_SECONDS
        return True


def helper_client(*, path: Path = SOCKET, config: Path = CONFIG) -> HelperClient:
    """The socket where there is one; else, for root, a child process."""

    def door() -> Door:
        if os.geteuid() == 0 and not path.exists():
            return ChildDoor(config=config)
        return SocketDoor(path=path)

    return HelperClient(door=door)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    try:
        writer.write(line)
        await writer.drain()
        return (await reader.readuntil(b"\n"))[:-1]
    except asyncio.IncompleteReadError:
        raise HostUnavailableError(
            "The root helper ended without an answer: journalctl -u 'triaged-helper@*'."
        ) from None
    except asyncio.LimitOverrunError:
        raise HostUnavailableError(
            f"The root helper answered with more than {_ANSWER_LIMIT} bytes."
        ) from None
    except OSError as error:
        raise HostUnavailableError(
            f"The connection to the root helper broke: {error.strerror}."
        ) from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _end(process: asyncio.subprocess.Process, *, answered: bool) -> None:
    """After its answer it ends by itself; else it is told to, and ends its own children first."""
    with contextlib.suppress(ProcessLookupError):
        if not answered:
            process.terminate()
    try:
        async with asyncio.timeout(_ENDING_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _answer(raw: bytes) -> HelperAnswer:
    try:
        value = orjson.loads(raw)
        ok, code, detail, data = value["ok"], value["code"], value["detail"], value["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        ok = None
    if (
        not isinstance(ok, bool)
        or not isinstance(code, str)
        or not isinstance(detail, str)
        or not isinstance(data, dict)
    ):
        raise HostUnavailableError(f"The root helper's answer is none: {raw[:200]!r}.")
    if code in _NO_PRIVILEGE:
        raise PrivilegeError(detail[:1].upper() + detail[1:] + ".")
    return HelperAnswer(ok=ok, detail=detail, data=data, begun=code not in _NOT_BEGUN)

"""Containers over the socket of Docker or Podman, which speaks Docker's API."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from daemon.helper.errors import FailedError, RefusedError

_LIMIT = 8_000_000


class Engine:
    """One engine. Raises `RefusedError` where there is none, `FailedError` where it fails."""

    def __init__(self, *, name: str, path: Path) -> None:
        self._name = name
        self._path = path

    def names(self) -> list[str]:
        """Of all containers, running or not."""
        listed = self._json("GET", "/containers/json?all=true&limit=1000")
        try:
            names = [str(each["Names"][0]).removeprefix("/") for each in listed]
        except (KeyError, IndexError, TypeError) as error:
            raise FailedError(f"{self._name} lists containers in an unknown form") from error
        return sorted(names)

    def look(self, container: str) -> dict[str, Any]:
        """Id, name, when it was started, whether it runs. Raises `RefusedError` for none."""
        found = self._json("GET", f"/containers/{container}/json")
        try:
            state = found["State"]
            return {
                "id": str(found["Id"]),
                "name": str(found["Name"]).removeprefix("/"),
                "started_at": str(state["StartedAt"]),
                "running": bool(state["Running"]),
                "restarting": bool(state.get("Restarting", False)),
                "status": str(state.get("Status", "")),
                "health": str((state.get("Health") or {}).get("Status", "")),
            }
        except (KeyError, TypeError) as error:
            raise FailedError(f"{self._name} describes {container} in an unknown form") from error

    def restart(self, identifier: str, *, grace: int, seconds: float) -> None:
        """`grace` is how many seconds it gets to stop before it is killed."""
        self._asked("POST", f"/containers/{identifier}/restart?t={grace}", seconds=seconds)

    def _json(self, method: str, path: str) -> Any:
        body = self._asked(method, path, seconds=20.0)
        try:
            return json.loads(body)
        except ValueError as error:
            raise FailedError(f"{self._name} answers with what is no JSON") from error

    def _asked(self, method: str, path: str, *, seconds: float) -> bytes:
        connection = _UnixConnection(self._path, seconds)
        try:
            connection.request(method, path, headers={"Host": "localhost"})
            response = connection.getresponse()
            body = response.read(_LIMIT + 1)
        except FileNotFoundError:
            raise RefusedError(f"this host has no {self._name} ({self._path} is missing)") from None
        except (OSError, http.client.HTTPException) as error:
            raise FailedError(f"{self._name} does not answer on {self._path}: {error}") from error
        finally:
            connection.close()
        if response.status == http.client.NOT_FOUND:
            raise RefusedError(f"{self._name} has no such container")
        if response.status >= 300 or len(body) > _LIMIT:
            words = body[:200].decode("utf-8", "replace")
            raise FailedError(f"{self._name} answers {response.status}: {words}")
        return body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

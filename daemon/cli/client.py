"""How commands talk to the running daemon: HTTP on the facade's port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import orjson

from daemon.cli.exits import CommandError, Exit


class DaemonClient:
    """Requests to the daemon; every failure becomes a sentence and an exit code."""

    def __init__(self, *, url: str, timeout: float = 30.0) -> None:
        key = os.environ.get("TRIAGED_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = url
        # Proxies of the environment are for the internet, not for the daemon next door.
        self._http = httpx.Client(base_url=url, timeout=timeout, headers=headers, trust_env=False)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path. Parameters that are None are left out."""
        return self._request("GET", path, params=_given(params))

    def post(self, path: str, body: Any = None, *, timeout: float | None = None) -> Any:
        """The JSON that a POST answers with."""
        return self._request("POST", path, json=body, timeout=timeout or httpx.USE_CLIENT_DEFAULT)

    def stream(self, path: str, body: Any) -> Iterator[dict[str, Any]]:
        """The `data:` payloads of a server-sent event stream, until `[DONE]`."""
        try:
            with self._http.stream("POST", path, json=body, timeout=None) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _failure(response)
                for line in response.iter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield orjson.loads(line[6:])
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _request(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise _failure(response)
        return response.json()

    def _unreachable(self, error: httpx.TransportError) -> CommandError:
        reason = str(error) or type(error).__name__
        return CommandError(
            f"no daemon answers at {self._url} ({reason}); start it with 'triaged run', "
            "or say where it is with --url",
            code=Exit.UNREACHABLE,
        )


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _failure(response: httpx.Response) -> CommandError:
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {response.status_code} from {response.url}"
    code = Exit.NOT_FOUND if response.status_code == 404 else Exit.FAILED
    return CommandError(message, code=code)

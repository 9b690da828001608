"""How commands talk to the running daemon: HTTP on the facade's port."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any

import httpx
import orjson

from api.text import fit
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import clean

# The first word of an answer may take a small machine minutes.
_STREAM = httpx.Timeout(30.0, read=600.0)


class DaemonClient:
    """Requests to the daemon; every failure becomes a sentence and an exit code."""

    def __init__(self, *, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        """`$TRIAGED_API_KEY` comes before `key`."""
        # The base URL of chats is what people have at hand.
        url = url.rstrip("/").removesuffix("/v1")
        key = os.environ.get("TRIAGED_API_KEY", "").strip() or key
        headers = {b"Authorization": b"Bearer " + os.fsencode(key)} if key else {}
        self._url = url
        try:
            # Proxies of the environment are for the internet, not for the daemon next door.
            self._http = httpx.Client(
                base_url=url, timeout=timeout, headers=headers, trust_env=False
            )
        except httpx.InvalidURL as error:
            message = f"{url!r} is not the address of a daemon ({error}); write http://HOST:PORT"
            raise CommandError(message, code=Exit.USAGE) from error

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path. Parameters that are None are left out."""
        return self._request("GET", path, params=_fit(_given(params)))

    def post(self, path: str, body: Any = None, *, timeout: float | None = None) -> Any:
        """The JSON that a POST answers with."""
        seconds = timeout or httpx.USE_CLIENT_DEFAULT
        return self._request("POST", path, json=_fit(body), timeout=seconds)

    def stream(
        self, path: str, body: Any, *, headers: Mapping[str, str] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """The `data:` payloads of a server-sent event stream, until `[DONE]`. Closing this ends
        the request."""
        try:
            with self._http.stream(
                "POST", path, json=_fit(body), headers=headers, timeout=_STREAM
            ) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _failure(response)
                for line in response.iter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield orjson.loads(line[6:])
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        except orjson.JSONDecodeError as error:
            raise self._stranger() from error

    def _request(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            # A daemon signs whatever it answers with the request's id; a server of models does not.
            if response.status_code == 404 and "x-request-id" not in response.headers:
                raise self._stranger()
            raise _failure(response)
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger() from error

    def _stranger(self) -> CommandError:
        return CommandError(
            f"what answers at {self._url} is not triaged; say where it is with --url",
            code=Exit.UNREACHABLE,
        )

    def _unreachable(self, error: Exception) -> CommandError:
        if isinstance(error, httpx.ReadTimeout):
            return CommandError(f"the daemon at {self._url} did not answer in time")
        reason = str(error) or type(error).__name__
        return CommandError(
            f"no daemon answers at {self._url} ({reason}); start it with 'triaged run', "
            "or say where it is with --url",
            code=Exit.UNREACHABLE,
        )


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _fit(value: Any) -> Any:
    """What was typed may hold bytes that are no UTF-8, which JSON cannot."""
    match value:
        case str():
            return fit(value)
        case dict():
            return {key: _fit(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_fit(entry) for entry in value]
        case _:
            return value


def _failure(response: httpx.Response) -> CommandError:
    kind: object = None
    try:
        told = response.json()["error"]
        message, kind = str(told["message"]), told.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"HTTP {response.status_code} from {response.url}"
    if response.status_code == 401:
        message += " (this command takes it from $TRIAGED_API_KEY)"
    code = Exit.NOT_FOUND if response.status_code == 404 else Exit.FAILED
    if kind == "invalid_value":  # a word that was typed, where there are others
        code = Exit.USAGE
    return CommandError(clean(message), code=code)

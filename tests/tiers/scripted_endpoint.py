"""An endpoint on loopback that answers exactly what a test says, or hangs, or hangs up.

For what a real llama-server does only when it is broken: the wire is real, the words are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections import deque
from typing import Any

MODELS = {"object": "list", "data": [{"id": "scripted", "meta": {"n_ctx": 4096}}]}


@dataclasses.dataclass(frozen=True)
class Reply:
    """`hang` keeps the connection open after the body; `cut` closes it in the middle of what
    Content-Length promised."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    cut: bool = False
    pause: float = 0.0


def json_reply(document: Any, *, status: int = 200, **more: Any) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), **more)


def chat_reply(text: str, *, finish: str = "stop", calls: list[Any] | None = None) -> Reply:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = calls
    return json_reply(
        {
            "model": "scripted",
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        }
    )


def tool_call(name: str, arguments: Any, *, call_id: str = "c1") -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def sse(*chunks: Any, done: bool = True, **more: Any) -> Reply:
    lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    body = b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")
    return Reply(body=body, kind="text/event-stream", **more)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "model": "scripted",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def stream_reply(text: str, *, calls: list[Any] | None = None) -> Reply:
    """A streamed answer in two pieces, or one that calls tools."""
    half = len(text) // 2
    chunks = [delta(role="assistant", content=None)]
    chunks += [delta(content=part) for part in (text[:half], text[half:]) if part]
    for index, call in enumerate(calls or []):
        chunks.append(delta(tool_calls=[{"index": index, **call}]))
    chunks.append(delta("tool_calls" if calls else "stop"))
    chunks.append({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
    return sse(*chunks)


class ScriptedEndpoint:
    """Replies to `POST`s in the order of `script`; look-ups (`models`, `tokenize`, ...) have fixed
    answers unless `fixed` says otherwise. `requests` holds (path, decoded body), `headers` the
    headers of each."""

    def __init__(self) -> None:
        self.script: deque[Reply] = deque()
        self.fixed: dict[str, Reply] = {
            "/v1/models": json_reply(MODELS),
            "/health": json_reply({"status": "ok"}),
            "/apply-template": Reply(status=404, body=b"{}"),
        }
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.disconnects = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[Any]:
        """The bodies of the calls that took a reply of the script."""
        return [body for path, body in self.requests if path not in self.fixed]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.disconnects += 1
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        path = line.split()[1].decode()
        headers = {}
        while (header := await reader.readline()).strip():
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        self.headers.append(headers)
        length = int(headers.get("content-length", 0))
        raw = await reader.readexactly(length) if length else b""
        self.requests.append((path, json.loads(raw) if raw else None))
        if path in self.fixed:
            reply = self.fixed[path]
        elif self.script:
            reply = self.script.popleft()
        else:
            reply = json_reply({"error": {"message": "the script is over"}}, status=418)
        await asyncio.sleep(reply.pause)
        size = len(reply.body) + (100 if reply.hang or reply.cut else 0)
        head = f"HTTP/1.1 {reply.status} Said\r\nContent-Type: {reply.kind}\r\n"
        head += f"Content-Length: {size}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        writer.write(head.encode() + b"\r\n" + reply.body)
        await writer.drain()
        if reply.hang:
            if not await reader.read(1):
                self.disconnects += 1
            return False
        return not reply.cut

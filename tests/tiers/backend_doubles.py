"""Servers on loopback with the shapes and quirks of Ollama, vLLM and a gateway.

They can be killed and started again on the same port, made to hang, and made to answer garbage. The
wire is real; what the model says follows from what it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

VERDICT = {"severity": "critical", "category": "memory", "escalate": True, "probability": 0.97}
ASSESSMENT = {
    "summary": "The disk is full.",
    "evidence": ["E1"],
    "cause": "disk_full",
    "severity": "critical",
    "disposition": "escalate",
    "actions": [],
    "confidence": 0.9,
}
ANSWER = "The disk is full, says the tool."
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many", 503: "Unavailable"}


class BackendDouble:
    """Subclasses give `answer` and the ways in which they write a chat. `asked` holds (path, body)
    of every request, `chats` the bodies of chats."""

    model = "model"

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, Any]] = []
        self.hangs = False
        """Takes requests and never answers any."""
        self.stalls = False
        """Answers look-ups, but no chat."""
        self.garbage = False
        self.cut_after: int | None = None
        """Chunks after which a stream is cut."""
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [body for path, body in self.asked if path == "/v1/chat/completions"]

    async def start(self) -> None:
        """The first time at any port, from then on at the same one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """As a process that is gone: connections break, new ones are refused."""
        if self._server is None:
            return
        self._server.close()
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._server = None

    def said(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message that the model answers a chat with."""
        talk = body["messages"]
        if body.get("tools") and not any(each["role"] == "tool" for each in talk):
            names = [tool["function"]["name"] for tool in body["tools"]]
            name = "disk_usage" if "disk_usage" in names else names[0]
            return {"content": None, "tool_calls": [(name, {"path": "/"}), (name, {"path": "/v"})]}
        wanted = body.get("response_format", {}).get("json_schema", {}).get("schema")
        words = json.dumps(wanted) if wanted else json.dumps(talk)
        if wanted or "JSON schema" in words:
            found = ASSESSMENT if "disposition" in words else VERDICT
            return {"content": json.dumps(found)}
        if body.get("response_format"):
            return {"content": "{}"}
        return {"content": ANSWER}

    async def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and document; a list is a stream of chunks."""
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            del self._open[task]
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        method, path, _ = line.decode().split()
        length = 0
        while (header := await reader.readline()).strip():
            name, _, value = header.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
        raw = await reader.readexactly(length) if length else b""
        body = json.loads(raw) if raw else None
        self.asked.append((path, body))
        chat = path == "/v1/chat/completions"
        if self.hangs or (self.stalls and chat):
            await reader.read()
            return False
        if self.garbage and chat:
            status, said = 200, "<html><body>Welcome to nginx!</body></html>"
        else:
            status, said = await self.answer(method, path, body)
        if not isinstance(said, list):
            text = said if isinstance(said, str) else json.dumps(said)
            _head(writer, status, f"Content-Length: {len(text.encode())}")
            writer.write(text.encode())
            await writer.drain()
            return True
        _head(writer, status, "Transfer-Encoding: chunked")
        for number, chunk in enumerate([*said, "[DONE]"]):
            if number == self.cut_after:
                await writer.drain()
                return False
            text = f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n"
            writer.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _head(writer: asyncio.StreamWriter, status: int, length: str) -> None:
    reason = _REASONS.get(status, "Said")
    writer.write(
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
    )


def usage_of(body: dict[str, Any]) -> dict[str, int]:
    prompt = len(json.dumps(body["messages"])) // 4
    return {"prompt_tokens": prompt, "completion_tokens": 12, "total_tokens": prompt + 12}


def _chunk(model: str, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _whole(model: str, message: dict[str, Any], finish: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **more,
    }


class OllamaShaped(BackendDouble):
    """Knows several models, must be told which; no tokenizer; the context is told elsewhere, and
    only once the model is loaded; calls without ids, all numbered 0."""

    model = "qwen3:8b"
    context = 8192

    def __init__(self) -> None:
        super().__init__()
        self.loaded = False

    async def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match path:
            case "/v1/models":
                names = ("llama3:latest", self.model)
                data = [{"id": name, "object": "model", "owned_by": "library"} for name in names]
                return 200, {"object": "list", "data": data}
            case "/api/ps":
                held = [{"name": self.model, "model": self.model, "context_length": self.context}]
                return 200, {"models": held if self.loaded else []}
            case "/api/show":
                return 200, {"parameters": 'stop "x"\nnum_ctx                        6144'}
            case "/v1/chat/completions":
                return self._chat(body)
        return 404, "404 page not found"

    def _chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["model"] != self.model:
            message = f"model '{body['model']}' not found"
            return 404, {"error": {"message": message, "type": "not_found_error", "code": None}}
        self.loaded = True
        said = self.said(body)
        calls = [
            {"index": 0, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
            for n, a in said.get("tool_calls", ())
        ]
        finish = "tool_calls" if calls else "stop"
        content = said["content"] or ""
        if not body.get("stream"):
            message: dict[str, Any] = {"role": "assistant", "content": content}
            if calls:
                message["tool_calls"] = calls
            return 200, _whole(self.model, message, finish, usage=usage_of(body))
        chunks = [_chunk(self.model, role="assistant", content="", reasoning="Hm.")]
        chunks += [_chunk(self.model, role="assistant", content=w + " ") for w in content.split()]
        chunks += [_chunk(self.model, role="assistant", tool_calls=[call]) for call in calls]
        chunks.append(_chunk(self.model, finish, role="assistant", content=""))
        if body.get("stream_options", {}).get("include_usage"):
            chunks.append({**_chunk(self.model), "choices": [], "usage": usage_of(body)})
        return 200, chunks


class VllmShaped(BackendDouble):
    """Counts tokens in a way of its own, says how long prompts may be, and writes the arguments of
    calls piece by piece."""

    model = "Qwen/Qwen3-8B"
    longest = 16384

    async def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match path:
            case "/v1/models":
                entry = {"id": self.model, "object": "model", "owned_by": "vllm"}
                return 200, {"object": "list", "data": [{**entry, "max_model_len": self.longest}]}
            case "/tokenize":
                count = len(json.dumps(body)) // 5
                return 200, {"count": count, "max_model_len": self.longest, "tokens": [1] * count}
            case "/v1/chat/completions":
                return self._chat(body)
        return 404, {"detail": "Not Found"}

    def _chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        size = len(json.dumps(body["messages"])) // 5
        if size + body["max_tokens"] > self.longest:
            message = (
                f"This model's maximum context length is {self.longest} tokens. However, you "
                f"requested {size + body['max_tokens']} tokens."
            )
            error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
            return 400, {"error": error}
        said = self.said(body)
        called = said.get("tool_calls", ())
        finish = "tool_calls" if called else "stop"
        if not body.get("stream"):
            message_: dict[str, Any] = {"role": "assistant", "content": said["content"]}
            message_["reasoning_content"] = None
            message_["tool_calls"] = [
                {"id": f"chatcmpl-tool-{number}", "type": "function",
                 "function": {"name": name, "arguments": json.dumps(arguments)}}
                for number, (name, arguments) in enumerate(called)
            ]  # fmt: skip
            return 200, _whole(self.model, message_, finish, usage=usage_of(body))
        chunks = [_chunk(self.model, role="assistant", content="")]
        chunks += [
            _chunk(self.model, content=word + " ") for word in (said["content"] or "").split()
        ]
        for index, (name, arguments) in enumerate(called):
            first = {"index": index, "id": f"chatcmpl-tool-{index}", "type": "function"}
            chunks.append(_chunk(self.model, tool_calls=[{**first, "function": {"name": name}}]))
            text = json.dumps(arguments)
            for part in (text[:4], text[4:]):
                piece = {"index": index, "function": {"arguments": part}}
                chunks.append(_chunk(self.model, tool_calls=[piece]))
        chunks.append(_chunk(self.model, finish))
        chunks.append({**_chunk(self.model), "choices": [], "usage": usage_of(body)})
        return 200, chunks


class GatewayShaped(VllmShaped):
    """Refuses what it does not know by name, takes JSON mode but no schema, writes JSON into a
    fence, and tells neither usage nor why a stream ended. It lists no models."""

    model = "large"
    known = frozenset(
        {"model", "messages", "stream", "max_tokens", "tools", "tool_choice", "response_format"}
    )

    async def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": f"no route {path}", "code": "not_found"}}
        for name in body.keys() - self.known:
            message = f"Unrecognized request argument supplied: {name}"
            return 400, {"error": {"message": message, "type": "invalid_request_error"}}
        form = body.get("response_format", {}).get("type")
        if form == "json_schema":
            message = "Invalid parameter: 'response_format' of type 'json_schema' is not supported"
            return 400, {"error": {"message": message, "type": "invalid_request_error"}}
        status, said = self._chat(body)
        if form and isinstance(said, dict):
            message_ = said["choices"][0]["message"]
            text = message_["content"].removesuffix("}")
            message_["content"] = f"Here it is:\n```json\n{text},\n}}\n```"
        if isinstance(said, dict):
            said.pop("usage", None)
        else:
            said = [chunk for chunk in said if chunk["choices"]]
            said[-1]["choices"][0]["finish_reason"] = None
        return status, said


@contextlib.asynccontextmanager
async def running(*doubles: BackendDouble) -> AsyncIterator[None]:
    """Starts them, and ends what is left of them."""
    for double in doubles:
        await double.start()
    try:
        yield
    finally:
        for double in doubles:
            await double.kill()

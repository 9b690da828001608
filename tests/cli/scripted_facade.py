"""A facade at the edge of a test: it says what it was told to, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Say = Callable[[dict[str, Any]], Sequence[object]]
"""From a request's body to what is streamed: chunks (dict), raw lines (bytes), pauses (seconds)."""


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def finish(reason: str = "stop") -> list[object]:
    return [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
        b"data: [DONE]\n\n",
    ]


class ScriptedFacade:
    """`asked` are (headers, body) of chat requests; `cut` is set when a reader went away."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.cut = threading.Event()
        self.url = ""

    def questions(self) -> list[str]:
        return [body["messages"][-1]["content"] for _, body in self.asked]


@contextlib.contextmanager
def scripted_facade(say: Say) -> Iterator[ScriptedFacade]:
    facade = ScriptedFacade(say)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = [{"id": "triaged"}, {"id": "tier/meta"}]
            self._json(200, {"object": "list", "data": data})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            facade.asked.append((dict(self.headers), body))
            if body["model"] not in ("triaged", "tier/meta"):
                self._json(404, {"error": {"message": f"There is no model {body['model']!r}."}})
                return
            self.send_response(200)
            self.end_headers()
            try:
                for part in facade.say(body):
                    if isinstance(part, int | float):
                        self._pause(part)
                    else:
                        raw = part if isinstance(part, bytes) else b"data: %s\n\n" % _dumped(part)
                        self.wfile.write(raw)
                        self.wfile.flush()
            except OSError:
                facade.cut.set()

        def _pause(self, seconds: float) -> None:
            """Comments go out meanwhile: a connection that was closed is noticed."""
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                self.wfile.write(b": \n\n")
                self.wfile.flush()
                time.sleep(0.02)

        def _json(self, status: int, value: object) -> None:
            raw = _dumped(value)
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        facade.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield facade
        finally:
            server.shutdown()
            thread.join()


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()

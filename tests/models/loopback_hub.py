"""A hub of models on loopback: the part of its interface that a download uses, and its failures."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import re
import threading
import time
from typing import Any, Self

REPOSITORY = "someone/Model-GGUF"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclasses.dataclass
class Served:
    """One file, and what goes wrong with it. The first requests for its content are cut after
    `cuts` bytes each; `stall` seconds pass before a cut."""

    content: bytes
    sha256: str = ""
    size: int = 0
    cuts: list[int] = dataclasses.field(default_factory=list)
    stall: float = 0.0
    ranges: bool = True

    def __post_init__(self) -> None:
        self.sha256 = self.sha256 or hashlib.sha256(self.content).hexdigest()
        self.size = self.size or len(self.content)


class LoopbackHub:
    """Use as a context manager. `status` other than 200 is the answer to everything."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.status = 200
        self.error_code = ""
        self.asked: list[tuple[str, str, str | None]] = []
        self.tokens: set[str] = set()
        self._released = threading.Event()

    def __enter__(self) -> Self:
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append((request.command, request.path, request.headers.get("Range")))
        if token := request.headers.get("Authorization"):
            self.tokens.add(token)
        path = request.path.partition("?")[0]
        if self.status != 200:
            body = json.dumps({"error": "no"}).encode()
            request.send_response(self.status)
            if self.error_code:
                request.send_header("X-Error-Code", self.error_code)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        elif path == f"/api/models/{REPOSITORY}":
            tags = ["gguf", "license:apache-2.0"]
            self._json(request, {"id": REPOSITORY, "sha": REVISION, "tags": tags, "siblings": []})
        elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self._json(request, [self._listed(name, file) for name, file in self.files.items()])
        elif match := re.fullmatch(rf"/{REPOSITORY}/resolve/[^/]+/(.+)", path):
            self._content(request, self.files[match[1]])
        else:
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()

    def _listed(self, name: str, file: Served) -> dict[str, Any]:
        oid = "0" * 40
        entry: dict[str, Any] = {"type": "file", "oid": oid, "size": file.size, "path": name}
        if file.sha256 != "none":
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 134}
        return entry

    def _json(self, request: http.server.BaseHTTPRequestHandler, document: Any) -> None:
        body = json.dumps(document).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _content(self, request: http.server.BaseHTTPRequestHandler, file: Served) -> None:
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        if wanted and file.ranges:
            start = int(wanted[1])
        body = file.content[start:]
        request.send_response(206 if start else 200)
        if start:
            size = len(file.content)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if file.cuts:
            request.wfile.write(body[: file.cuts.pop(0)])
            request.wfile.flush()
            if file.stall:
                self._released.wait(file.stall)
            request.close_connection = True
            request.connection.shutdown(2)
            return
        request.wfile.write(body)


def wait_until(condition: Any, *, seconds: float = 10.0) -> None:
    """Polls; fails when the time is over."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)

"""Open WebUI in a process of its own, driven over its HTTP API as its pages do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 240.0
"""Its first start makes a database and imports much."""


class WebUI:
    """What a browser does with Open WebUI."""

    def __init__(self, *, url: str, log: Path) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.log = log

    def sign_up(self, *, name: str, email: str) -> None:
        body = {"name": name, "email": email, "password": "correct horse battery staple"}
        token = self._json(self.http.post("/api/v1/auths/signup", json=body))["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def models(self) -> list[str]:
        return [entry["id"] for entry in self._json(self.http.get("/api/models"))["data"]]

    def ask(self, question: str, *, model: str = "triaged", **params: Any) -> Chat:
        """A new chat, with all that Open WebUI asks for beside it."""
        return Chat(self, model=model).ask(question, **params)

    def get(self, path: str) -> Any:
        return self._json(self.http.get(path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._json(self.http.post(path, json=body))

    def until(self, true: Callable[[], bool], *, what: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not {what}:\n{self.log.read_text()[-3_000:]}"
            time.sleep(0.1)

    def _json(self, response: httpx.Response) -> Any:
        assert response.is_success, f"{response.request.url}: {response.text}"
        return response.json()


class Chat:
    """One chat of Open WebUI."""

    def __init__(self, webui: WebUI, *, model: str) -> None:
        self._webui = webui
        self._model = model
        self._talk: list[dict[str, str]] = []
        self._last: str | None = None
        self.id = ""

    def ask(self, question: str, *, wait: bool = True, **params: Any) -> Chat:
        """Sends a question and, unless told otherwise, waits for the whole answer."""
        if self._last is not None:
            self._talk.append({"role": "assistant", "content": self.answer()["content"]})
        self._talk.append({"role": "user", "content": question})
        asked, answered = str(uuid.uuid4()), str(uuid.uuid4())
        sent = self._webui.post(
            "/api/chat/completions",
            {
                "model": self._model,
                "messages": self._talk,
                "stream": True,
                "params": params,
                "chat_id": self.id or None,
                "parent_id": self._last,
                "session_id": "test",
                "user_message": {
                    "id": asked,
                    "parentId": self._last,
                    "childrenIds": [answered],
                    "role": "user",
                    "content": question,
                    "models": [self._model],
                },
                "message_ids": [{"model_id": self._model, "message_id": answered}],
                "background_tasks": {
                    "title_generation": True,
                    "tags_generation": True,
                    "follow_up_generation": True,
                },
            },
        )
        self.id, self._last = sent["chat_id"], answered
        if wait:
            self._webui.until(lambda: bool(self.answer().get("done")), what="answered")
        return self

    def whole(self) -> dict[str, Any]:
        """The chat as Open WebUI keeps it."""
        found: dict[str, Any] = self._webui.get(f"/api/v1/chats/{self.id}")
        return found

    def answer(self) -> dict[str, Any]:
        """The last answer: content, statusHistory, followUps, done."""
        found: dict[str, Any] = self.whole()["chat"]["history"]["messages"].get(self._last, {})
        return found

    def stop(self) -> None:
        """The stop button."""
        self._webui.post(f"/api/tasks/chat/{self.id}/stop")


@contextlib.contextmanager
def started(*, program: Path, data: Path, url: str, key: str) -> Iterator[WebUI]:
    """Open WebUI with an empty database, on a free port of loopback, offline."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = data / "open-webui.log"
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(data),
        "DATA_DIR": str(data),
        "OPENAI_API_BASE_URL": url,
        "OPENAI_API_KEY": key,
        "ENABLE_FORWARD_USER_INFO_HEADERS": "true",
        "ENABLE_OLLAMA_API": "false",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
        "WEBUI_SECRET_KEY": "for this test",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=data,
            env=environ,
            stdout=output,
            stderr=output,
        )
    webui = WebUI(url=f"http://127.0.0.1:{port}", log=log)

    def healthy() -> bool:
        assert process.poll() is None, f"it ended:\n{log.read_text()[-3_000:]}"
        with contextlib.suppress(httpx.TransportError):
            return webui.http.get("/health").is_success
        return False

    try:
        webui.until(healthy, what="ready", seconds=START_SECONDS)
        yield webui
    finally:
        webui.http.close()
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

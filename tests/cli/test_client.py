"""How commands talk to the daemon and print what it says."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daemon.cli.client import DaemonClient
from daemon.cli.context import Context, state_directory
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import ago, clean, incident_detail, incident_table, line


@contextlib.contextmanager
def answering(
    status: int, body: bytes, seen: list[Any] | None = None, *, signed: bool = True
) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if signed:
                self.send_header("X-Request-ID", "r1")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def failure(url: str, path: str = "/x") -> CommandError:
    with pytest.raises(CommandError) as raised:
        DaemonClient(url=url, timeout=2).get(path)
    return raised.value


def test_failures_are_sentences_with_a_code() -> None:
    error = failure("http://127.0.0.1:1")
    assert error.code == Exit.UNREACHABLE
    assert "start it with 'triaged run'" in str(error)
    assert failure("localhost:8083").code == Exit.UNREACHABLE
    for url in ("http://[bad", "http://a:port", "http://\x00"):
        assert failure(url).code in (Exit.USAGE, Exit.UNREACHABLE)
    with answering(404, b'{"error": {"message": "there is no incident 7\\u001b[2J"}}') as url:
        error = failure(url)
        assert (error.code, str(error)) == (Exit.NOT_FOUND, "there is no incident 7\ufffd[2J")
    with answering(404, b'{"error": {"message": "File Not Found"}}', signed=False) as url:
        error = failure(url)
        assert (error.code, "is not triaged" in str(error)) == (Exit.UNREACHABLE, True)
    with answering(401, b'{"error": {"message": "A key is needed"}}') as url:
        assert "$TRIAGED_API_KEY" in str(failure(url))
    for body in (b"<html>", b"", b"[]", b'{"error": 5}', b"\xff"):
        with answering(500, body) as url:
            assert "HTTP 500 from" in str(failure(url))
    for body in (b"<html>", b"", b"\xff\xfe"):
        with answering(200, body) as url:
            error = failure(url)
            assert error.code == Exit.UNREACHABLE
            assert "is not triaged" in str(error)
    with answering(200, b"data: {\n\n") as url, pytest.raises(CommandError):
        list(DaemonClient(url=url).stream("/x", {}))


def test_the_base_url_of_chats_is_taken_too() -> None:
    with answering(200, b"{}") as url:
        for given in (url, f"{url}/", f"{url}/v1", f"{url}/v1/"):
            client = DaemonClient(url=given)
            assert str(client._http.base_url).rstrip("/") == url
            assert client.get("/x") == {}


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, sent in (("secret\n", "Bearer secret"), ("", None)):
        monkeypatch.setenv("TRIAGED_API_KEY", key)
        seen: list[Any] = []
        with answering(200, b"{}", seen) as url:
            DaemonClient(url=url).get("/x")
        assert seen[0].get("Authorization") == sent
    monkeypatch.setenv("TRIAGED_API_KEY", "schlüssel")
    DaemonClient(url="http://127.0.0.1:1")


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = state_directory(given=tmp_path, environ={"STATE_DIRECTORY": "/s"})
    assert given == tmp_path
    assert state_directory(given=None, environ={"STATE_DIRECTORY": "/s:/t"}) == Path("/s")
    assert state_directory(given=None, environ={"XDG_STATE_HOME": "/x"}) == Path("/x/triaged")
    monkeypatch.chdir(tmp_path)
    for host, url in (("127.0.0.1", "http://127.0.0.1:9"), ("::1", "http://[::1]:9")):
        Path("triaged.toml").write_text(f"[api]\nport = 9\nhost = '{host}'\n")
        assert Context(config=None, state_dir=None, url=None).daemon_url() == url
    Path("triaged.toml").write_text("[api]\nprot = 9\n")
    with pytest.raises(CommandError) as raised:
        Context(config=None, state_dir=None, url=None).daemon_url()
    assert raised.value.code == Exit.CONFIG
    assert Context(config=None, state_dir=None, url="http://x/").daemon_url() == "http://x"


def rendered(what: Any) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


EVIL = "[bold]x[/bold]\x1b[2J\r\nE2 [kernel] forged\u202e"


def test_text_from_the_host_neither_drives_nor_forges() -> None:
    assert clean("a\tb\x1b\u202e\nc") == "a b\ufffd\ufffd\nc"
    assert line("a\nb\r\x85c") == "a b c"
    now = datetime(2026, 3, 1, tzinfo=UTC).isoformat()
    incident = {
        "id": 1, "severity": "critical", "state": "open", "title": EVIL, "event_count": 2,
        "cause": EVIL, "assessed": True, "last_event_at": now, "opened_at": now,
        "category": "auth", "close_reason": EVIL,
    }  # fmt: skip
    detail = {
        "incident": incident,
        "evidence": [
            {"ref": "E1", "provenance": "text", "source": EVIL, "text": EVIL, "count": 1}
        ],
        "verdicts": [
            {"escalate": True, "probability": 0.9, "severity": "critical", "category": "auth",
             "model": "m", "seconds": 0.1, "pattern": EVIL}
        ],
        "assessments": [
            {"tier": "review", "cause": "x", "severity": "info", "disposition": "close",
             "confidence": 0.5, "evidence": ["E1"], "summary": EVIL, "actions": [],
             "advice": [EVIL], "tool_calls": [{"name": "x"}], "repaired": True, "model": "m",
             "prompt_tokens": 1, "completion_tokens": 1, "seconds": 0.1}
        ],
        "timeline": [{"at": now, "actor": "a", "summary": EVIL}],
        "leading": [["ip", EVIL, 3]],
        "children": [],
    }  # fmt: skip
    for shown in (rendered(incident_table([incident])), rendered(incident_detail(detail))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]x[/bold]" in shown, "text is no markup"
    lines = rendered(incident_detail({**detail, "assessments": []})).splitlines()
    assert not [each for each in lines if each.lstrip().startswith("E2 [kernel]")]
    assert rendered(incident_table([])) == "No incidents.\n"


def test_ago() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert ago(None) == ""
    assert ago("2026-03-01T11:57:00+00:00", now=now) == "3 min ago"
    assert ago("2026-03-02T11:57:00+00:00", now=now) == "0 s ago"
    assert ago("2026-02-01T12:00:00+00:00", now=now) == "28 d ago"

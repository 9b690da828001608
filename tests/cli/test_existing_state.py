"""What reads existing state makes none: the wrong user's command says so, and where to look."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli.exits import CommandError, Exit
from daemon.cli.main import app
from daemon.local_key import local_key

READERS = (
    ("audit", "verify"),
    ("audit", "list"),
    ("audit", "export"),
    ("backup",),
    ("backup", "out.tar"),
    ("replay",),
)


class _Daemon(http.server.BaseHTTPRequestHandler):
    """Answers as a daemon does that knows no key of ours."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 401)
        self.send_header("x-request-id", "1")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the terminal of the tests."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRIAGED__API__PORT", "9")
    return tmp_path / "state"


@pytest.fixture
def port(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Daemon) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setenv("TRIAGED__API__PORT", str(server.server_port))
        yield server.server_port
        server.shutdown()
        thread.join()


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--state-dir", str(folder), *arguments])


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_a_reader_makes_no_state(folder: Path, arguments: tuple[str, ...]) -> None:
    for made in (False, True):
        if made:
            folder.mkdir()
        error = run(folder, *arguments).exception
        assert isinstance(error, CommandError)
        assert error.code is Exit.NOT_FOUND
        assert f"no triaged state in {folder}" in str(error)
        assert "--state-dir" in str(error)
        assert not folder.exists() or not list(folder.iterdir())
        assert not (folder.parent / "out.tar").exists()


def test_a_daemon_that_answers_elsewhere_is_named(folder: Path, port: int) -> None:
    for arguments in (("audit", "verify"), ("keys", "list")):
        error = run(folder, *arguments).exception
        assert isinstance(error, CommandError)
        assert error.code is Exit.NOT_FOUND
        assert f"http://127.0.0.1:{port} uses another state" in str(error).replace("and ", "")


def test_a_key_before_the_first_start_says_where_it_is(folder: Path) -> None:
    added = run(folder, "keys", "add", "first")
    assert added.exit_code == 0
    assert str(folder / "keys.toml") in added.stderr
    assert "every request needs a key" in added.stderr


def test_a_key_that_no_running_daemon_reads_is_no_promise(folder: Path, port: int) -> None:
    added = run(folder, "keys", "add", "first")
    assert added.exit_code == 0
    assert "uses another state" in added.stderr
    assert "every request needs a key" not in added.stderr
    with local_key(folder, host="127.0.0.1", port=port):
        ours = run(folder, "keys", "add", "second")
    assert "another state" not in ours.stderr

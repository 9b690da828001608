"""Who may ask, what a request is, and what root's file has to be like."""

from __future__ import annotations

import json
import os
import pwd
import random
import socket
import subprocess
import sys
import time

import pytest
from helper_kit import RealHelper

NOBODY = pwd.getpwnam("nobody").pw_uid
DAEMON = pwd.getpwnam("daemon").pw_uid


def test_hello_is_answered_and_says_what_is_allowed(helper: RealHelper) -> None:
    helper.allow("process-end")
    said = helper.call("hello")
    assert said.ok
    assert said.data["verbs"] == ["process-end"]


def test_every_call_leaves_one_line(helper: RealHelper) -> None:
    said = helper.call("process-end", pid=1, start=0, signal="te\nrm\x1b[31m\x7f\u2028")
    assert said.log.count("\n") == 1
    assert 'verb="process-end" uid=0 pid=' in said.log
    assert "outcome=not-allowed" in said.log
    assert all(32 <= ord(char) < 127 for char in said.log[:-1])


def test_nothing_is_allowed_by_default(helper: RealHelper) -> None:
    said = helper.call("process-end", pid=1, start=0, signal="kill")
    assert said.code == "not-allowed"
    assert "process-end" in said.detail


def test_without_a_file_nothing_is_allowed(helper: RealHelper) -> None:
    helper.config.unlink()
    said = helper.call("process-end", pid=1, start=0, signal="kill")
    assert said.code == "not-allowed"
    assert 'verbs = ["process-end"]' in said.detail


def test_only_the_named_user_may_ask(helper: RealHelper) -> None:
    helper.allow("process-end", user="daemon")
    assert helper.call("hello", user=DAEMON).ok
    stranger = helper.call("hello", user=NOBODY)
    assert stranger.code == "peer"
    assert f"uid={NOBODY}" in stranger.log


def test_a_named_user_who_does_not_exist_lets_nobody_in(helper: RealHelper) -> None:
    helper.allow(user="no-such-user")
    assert helper.call("hello", user=NOBODY).code == "peer"
    assert helper.call("hello").ok  # root


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_write_allows_nothing(helper: RealHelper, mode: int) -> None:
    helper.allow("process-end")
    helper.config.chmod(mode)
    said = helper.call("hello")
    assert said.code == "not-allowed"
    assert "chown root:root" in said.detail


def test_a_file_of_another_owner_allows_nothing(helper: RealHelper) -> None:
    helper.allow("process-end")
    os.chown(helper.config, NOBODY, -1)
    assert helper.call("hello").code == "not-allowed"


def test_a_folder_that_others_write_allows_nothing(helper: RealHelper) -> None:
    helper.allow("process-end")
    helper.root.chmod(0o777)
    assert helper.call("hello").code == "not-allowed"
    os.chown(helper.root, NOBODY, -1)
    helper.root.chmod(0o755)
    assert helper.call("hello").code == "not-allowed"


def test_a_link_and_a_pipe_are_no_configuration(helper: RealHelper) -> None:
    real = helper.root / "real.toml"
    helper.config.rename(real)
    helper.config.symlink_to(real)
    assert helper.call("hello").code == "not-allowed"
    helper.config.unlink()
    os.mkfifo(helper.config, 0o600)
    assert helper.call("hello").code == "not-allowed"


@pytest.mark.parametrize(
    "text",
    [
        "verbs = [",
        'verbs = "process-end"',
        'verbs = ["process-en"]',
        "verbs = [1]",
        'verb = ["process-end"]',
        'never_block = ["nonsense"]',
        'folders = ["relative"]',
        'folders = ["/srv/../etc"]',
        'verbs = ["process-end"]\nverbs = []',
        "\xff",
        "#" * 70_000,
    ],
)
def test_a_mistake_in_the_file_allows_nothing(helper: RealHelper, text: str) -> None:
    helper.config.write_bytes(text.encode("latin-1"))
    said = helper.call("process-end", pid=1, start=0, signal="kill")
    assert said.code == "not-allowed"
    assert str(helper.config) in said.detail


def test_random_bytes_are_no_request(helper: RealHelper) -> None:
    noise = random.Random(7)
    for _ in range(8):
        said = helper.send(noise.randbytes(10_000))
        assert said.code == "bad-request"
        assert said.log.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'"process-end"\n',
        b'{"verb": "hello"}\n',
        b'{"verb": "hello", "arguments": []}\n',
        b'{"verb": "hello", "arguments": {}, "more": 1}\n',
        b'{"verb": "hello", "arguments": {"a": 1, "a": 2}}\n',
        b'{"verb": "hello", "verb": "process-end", "arguments": {}}\n',
        b'{"verb": 7, "arguments": {}}\n',
        b'{"verb": "../../bin/sh", "arguments": {}}\n',
        b'{"verb": "hello\\u0000", "arguments": {}}\n',
        b'{"verb": "HELLO", "arguments": {}}\n',
        b'{"verb": "no-such-verb", "arguments": {}}\n',
        b'{"verb": "hello", "arguments": {"a": NaN}}\n',
        b'{"verb": "hello", "arguments": {"a": 1.5}}\n',
        b'{"verb": "hello", "arguments": {"a": 1e999}}\n',
        b'{"verb": "hello", "arguments": {"a": ' + b"9" * 5_000 + b"}}\n",
        b"[" * 60_000 + b"\n",
        b'{"a":' * 10_000 + b"\n",
        b'{"verb": "hello", "arguments": {"a": "' + b"x" * 70_000 + b'"}}\n',
        b'{"verb": "hello", "arguments": {"a": "\xff"}}\n',
        '{"verb": "hello", "arguments": {}}\n'.encode("utf-16"),
        b'{"verb": "hello", "arguments": {}}',
    ],
)
def test_what_is_no_request_is_answered_with_why(helper: RealHelper, line: bytes) -> None:
    said = helper.send(line)
    assert said.code == "bad-request"
    assert said.detail
    assert said.log.count("\n") == 1


def test_an_unknown_argument_is_refused(helper: RealHelper) -> None:
    assert helper.call("hello", command="rm").code == "refused"


def test_a_peer_that_says_nothing_is_left(helper: RealHelper) -> None:
    process, connection = helper.start()
    with connection, process:
        began = time.monotonic()
        assert b"bad-request" in connection.makefile("rb").readline()
        assert time.monotonic() - began < 15
        process.wait(timeout=10)
        assert process.stderr is not None
        assert b"no whole line" in process.stderr.read()


def test_a_peer_that_goes_away_ends_nothing_else(helper: RealHelper) -> None:
    process, connection = helper.start()
    with process:
        connection.sendall(b'{"verb": "hello", "arguments": {}}\n')
        connection.close()
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert log == b""  # a greeting is no news


def test_only_the_first_line_counts(helper: RealHelper) -> None:
    line = json.dumps({"verb": "hello", "arguments": {}}).encode() + b"\n"
    said = helper.send(line + b'{"verb": "process-end", "arguments": {"pid": 1}}\n')
    assert said.ok
    assert "process-end" not in said.log


def test_the_helper_needs_a_unix_socket(helper: RealHelper) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    with listener, client, server:
        argv = [sys.executable, "-I", "-m", "daemon.helper", "--config", str(helper.config)]
        subprocess.run(argv, stdin=server, stderr=subprocess.DEVNULL, timeout=10, check=False)
        server.close()
        assert b'"peer"' in client.recv(65_536)


def test_without_a_socket_it_says_so(root_only: None) -> None:
    argv = [sys.executable, "-I", "-m", "daemon.helper"]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"no socket" in ended.stderr

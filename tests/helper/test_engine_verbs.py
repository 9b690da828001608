"""Containers over an engine's socket, mounts of this machine, and NixOS's links."""

# ruff: noqa: S607 -- tools of the machine

from __future__ import annotations

import http.server
import json
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helper_kit import RealHelper

from daemon.helper import generations
from daemon.helper.errors import RefusedError


class Engine(socketserver.ThreadingUnixStreamServer):
    """Docker's API, as far as it is asked: one container, `web`, with an id."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.asked: list[str] = []
        self.started = 1
        self.broken = b""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Engine

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as the base has it)
        self.server.asked.append(f"{self.command} {self.path}")

    def do_GET(self) -> None:
        if self.server.broken:
            self.wfile.write(self.server.broken)
            return
        if self.path.startswith("/containers/json"):
            self._say(200, [{"Names": ["/web"]}, {"Names": ["/db"]}])
        elif self.path in {"/containers/web/json", "/containers/abc123/json"}:
            state = {"StartedAt": f"2026-01-0{self.server.started}T00:00:00.123456789Z"}
            state |= {"Running": True, "Status": "running"}
            self._say(200, {"Id": "abc123", "Name": "/web", "State": state})
        else:
            self._say(404, {"message": "No such container"})

    def do_POST(self) -> None:
        self.server.started += 1
        self._say(204, None)

    def _say(self, status: int, value: Any) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def engine(helper: RealHelper) -> Iterator[Engine]:
    path = helper.root / "docker.sock"
    with Engine(path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        helper.allow("container-restart", docker=str(path))
        yield server
        server.shutdown()
        thread.join()


def test_a_container_is_restarted_by_its_id(helper: RealHelper, engine: Engine) -> None:
    said = helper.call("container-restart", engine="docker", container="web")
    assert said.ok, said.detail
    assert "POST /containers/abc123/restart?t=10" in engine.asked
    assert said.data["before"]["started_at"] != said.data["after"]["started_at"]


def test_a_container_is_named_as_it_is_called(helper: RealHelper, engine: Engine) -> None:
    for name in ("abc123", "none"):
        said = helper.call("container-restart", engine="docker", container=name)
        assert said.code == "refused", said.detail
    assert not any(asked.startswith("POST") for asked in engine.asked)


def test_only_listed_containers_are_restarted(helper: RealHelper, engine: Engine) -> None:
    path = str(helper.root / "docker.sock")
    helper.allow("container-restart", docker=path, containers=["db*"])
    said = helper.call("container-restart", engine="docker", container="web")
    assert said.code == "refused"
    assert "not among the 'containers'" in said.detail


def test_containers_are_listed(helper: RealHelper, engine: Engine) -> None:
    assert helper.call("containers", engine="docker").data["names"] == ["db", "web"]
    one = helper.call("containers", engine="docker", container="web")
    assert one.data["running"] is True
    podman = helper.call("containers", engine="podman")
    assert podman.code == "refused"
    assert "no podman" in podman.detail


@pytest.mark.parametrize(
    "broken",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!",
    ],
)
def test_an_engine_that_talks_rubbish_fails(
    helper: RealHelper, engine: Engine, broken: bytes
) -> None:
    engine.broken = broken
    said = helper.call("container-restart", engine="docker", container="web")
    assert said.code == "failed", said.detail


@pytest.fixture
def mounted(helper: RealHelper) -> Iterator[Path]:
    point = helper.root / "data"
    point.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,nodev", "tmpfs", str(point)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    if str(point) not in Path("/proc/1/mountinfo").read_text():
        subprocess.run(["umount", str(point)], check=True)
        pytest.skip("these tests have a view of mounts of their own")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_mount_is_made_read_only_and_writable(helper: RealHelper, mounted: Path) -> None:
    helper.allow("remount", mounts=[str(mounted)])
    assert helper.call("remount", point=str(mounted), mode="ro").ok
    with pytest.raises(OSError, match="Read-only"):
        (mounted / "file").touch()
    assert helper.call("remount", point=str(mounted), mode="rw").ok
    (mounted / "file").touch()
    options = subprocess.run(
        ["findmnt", "-no", "OPTIONS", str(mounted)], capture_output=True, text=True, check=True
    )
    assert "nodev" in options.stdout


def test_only_listed_mounts_are_mounted_again(helper: RealHelper, mounted: Path) -> None:
    helper.allow("remount", mounts=["/", "/proc", "/srv/none"])
    for point, mode in (
        (str(mounted), "ro"),
        ("/", "ro"),
        ("/proc", "rw"),
        ("/srv/none", "rw"),
        (f"{mounted}/", "ro"),
    ):
        assert helper.call("remount", point=point, mode=mode).code == "refused", point
    (mounted / "file").touch()


@pytest.fixture
def nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Generations 7 and 8, of which 8 runs."""
    store, profiles = tmp_path / "store", tmp_path / "profiles"
    profiles.mkdir()
    for number in (7, 8):
        system = store / f"system{number}"
        system.mkdir(parents=True)
        (profiles / f"system-{number}-link").symlink_to(system)
    (profiles / "system-9-link").symlink_to("/etc")
    (tmp_path / "running").symlink_to(store / "system8")
    monkeypatch.setattr(generations, "_STORE", store)
    monkeypatch.setattr(generations, "PROFILE", profiles / "system")
    monkeypatch.setattr(generations, "RUNNING", tmp_path / "running")
    return tmp_path


def test_generations_are_those_that_lead_into_the_store(nix: Path) -> None:
    assert generations.current() == 8
    assert generations.switcher(7) == nix / "store/system7/bin/switch-to-configuration"
    for number in (9, 10):
        with pytest.raises(RefusedError):
            generations.system_of(number)
    (nix / "running").unlink()
    assert generations.current() is None


@pytest.mark.parametrize("text", ["", "0", "-1", "7x", "07", "７", "7\n", "../7", "9" * 9])
def test_what_is_no_generation_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        generations.number_of(text)


def test_nixos_builds_what_root_names_and_nothing_else(helper: RealHelper) -> None:
    helper.allow("nixos")
    said = helper.call("nixos", operation="build")
    assert said.code == "refused"
    assert "names no configuration" in said.detail
    helper.allow("nixos", flake="/etc/nixos#host")
    seen = helper.root / "seen"
    helper.program("nix", f'#!/bin/sh\necho "$@" > {seen}\necho "no such thing"\nexit 1\n')
    said = helper.call("nixos", operation="switch")
    assert said.code == "failed"
    assert "no such thing" in said.detail
    expected = "path:/etc/nixos#nixosConfigurations.host.config.system.build.toplevel\n"
    assert seen.read_text().endswith(expected)
    for flake in ("github:someone/else#host", "/etc/nixos", "/etc/nixos#ho st", "#host"):
        helper.allow("nixos", flake=flake)
        assert helper.call("nixos", operation="build").code == "refused", flake

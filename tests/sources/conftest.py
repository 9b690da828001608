"""Fixtures of the tests of sources."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.sources.kept import Keeper

MOSQUITTO = "/usr/sbin/mosquitto"


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def missing(what: str) -> None:
    """Skips the test for a missing part; fails where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and in CI nothing may be")
    pytest.skip(f"{what} is missing")


class Journal:
    """A real systemd-journald with files and sockets of its own."""

    def __init__(self, *, namespace: str) -> None:
        self.namespace = namespace
        machine = Path("/etc/machine-id").read_text().strip()
        self.directory = Path(f"/var/log/journal/{machine}.{namespace}")
        self.runtime = Path(f"/run/systemd/journal.{namespace}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, boot: str | None = None, folder: Path | None = None) -> None:
        """With `boot` it believes to run in another boot of the host (needs a `folder`)."""
        command = ["/lib/systemd/systemd-journald", self.namespace]
        if boot is not None and folder is not None:
            (folder / "boot_id").write_text(f"{boot}\n")
            script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, str(folder / "boot_id"), *command]
        shutil.rmtree(self.runtime, ignore_errors=True)
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not (self.runtime / "socket").exists() or not list(self.directory.glob("*.journal")):
            if time.monotonic() > deadline:
                self.stop()
                pytest.fail("systemd-journald did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def send(self, message: str | bytes, **fields: str) -> None:
        """One entry over journald's native protocol."""
        raw = message.encode() if isinstance(message, str) else message
        lines = b"MESSAGE\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
        lines += b"".join(f"{key}={value}\n".encode() for key, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self.runtime / "socket"))
            sender.send(lines)

    def remove(self) -> None:
        self.stop()
        for folder in (self.directory, self.runtime):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def journal() -> Iterator[Journal]:
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd-journald").exists():
        missing("systemd-journald, run by root,")
    Path("/var/log/journal").mkdir(exist_ok=True)
    made = Journal(namespace=f"triaged-test-{os.getpid()}-{time.monotonic_ns()}")
    made.start()
    try:
        yield made
    finally:
        made.remove()


class Mosquitto:
    """A real broker on a loopback port, with its state on disk."""

    def __init__(self, *, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.extra = ""

    def start(self) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"persistence true\npersistence_location {self.folder}/\nautosave_interval 1\n"
            "max_queued_messages 0\nmax_packet_size 268435455\n"
            f"{self.extra or 'allow_anonymous true'}\n"
        )
        self.folder.chmod(0o777)
        with (self.folder / "mosquitto.log").open("wb") as log:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log
            )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail(f"mosquitto: {(self.folder / 'mosquitto.log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def publish(
        self,
        *payloads: bytes | str,
        topic: str = "triaged/events/test",
        qos: int = 1,
        retain: bool = False,
    ) -> None:
        """Publishes with a client of its own, and waits until the broker has everything."""
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            for info in [client.publish(topic, p, qos=qos, retain=retain) for p in payloads]:
                info.wait_for_publish(10)
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(MOSQUITTO).exists():
        missing("mosquitto")
    broker = Mosquitto(folder=tmp_path)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()

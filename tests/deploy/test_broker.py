"""Mosquitto's files with a real Mosquitto: who gets in, and who hears what."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import psutil
import pytest
from compose_kit import DOCKER

WHO = {"triaged": "one", "web1": "two", "web2": "three"}


@pytest.fixture
def broker(tmp_path: Path, unused_tcp_port: int) -> Iterator[int]:
    """The broker of compose.yaml, with paths of this test and passwords as the page makes them."""
    path = os.environ["PATH"] + ":/usr/sbin"
    program = shutil.which("mosquitto", path=path)
    hasher = shutil.which("mosquitto_passwd", path=path)
    if program is None or hasher is None:
        if os.environ.get("CI"):
            pytest.fail("mosquitto is not installed; .ci/run installs it")
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "mosquitto_passwords"
    passwords.write_text("".join(f"{name}:{word}\n" for name, word in WHO.items()))
    subprocess.run([hasher, "-U", passwords], check=True)
    assert "one" not in passwords.read_text().split(":")
    config = (DOCKER / "mosquitto.conf").read_text()
    for theirs, ours in (
        ("listener 1883", f"listener {unused_tcp_port} 127.0.0.1"),
        ("/run/secrets/mosquitto_passwords", f"{passwords}"),
        ("/mosquitto/config/mosquitto.acl", f"{DOCKER / 'mosquitto.acl'}"),
        ("/mosquitto/data/", f"{tmp_path}/"),
    ):
        assert theirs in config
        config = config.replace(theirs, ours)
    if os.geteuid() == 0:
        config += "user root\n"
    (tmp_path / "mosquitto.conf").write_text(config)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", tmp_path / "mosquitto.conf"], stderr=log)
    deadline = time.monotonic() + 10
    while not psutil.Process(process.pid).net_connections():
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield unused_tcp_port
    process.terminate()
    process.wait(timeout=10)


def client(port: int, name: str, word: str | None = None) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", port, username=name, password=word or WHO[name], timeout=5,
        protocol=aiomqtt.ProtocolVersion.V5,
    )  # fmt: skip


async def test_nobody_gets_in_without_a_password(broker: int) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with client(broker, "web1", "wrong"):
            pass
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", broker, timeout=5):
            pass


async def test_each_host_writes_below_its_own_name(broker: int) -> None:
    async with client(broker, "triaged") as triaged, client(broker, "web1") as web1:
        await triaged.subscribe("triaged/events/#", qos=1)
        for topic in ("triaged/events/web2/x", "triaged/events", "other", "triaged/events/web1/x"):
            await web1.publish(topic, topic, qos=1)
        heard = await anext(aiter(triaged.messages))
        assert f"{heard.topic}" == "triaged/events/web1/x", "and nothing before it"


async def test_the_health_check_is_answered(broker: int) -> None:
    async with client(broker, "triaged") as triaged:
        await triaged.subscribe("$SYS/broker/uptime")
        assert (await anext(aiter(triaged.messages))).payload.endswith(b" seconds")

"""MQTT against a real mosquitto: acknowledged after the commit, each message once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.events import Batch
from daemon.sources.base import Receipt, SourceError
from daemon.sources.mqtt import MqttSource
from daemon.sources.settings import MqttSettings
from tests.sources.conftest import missing
from tests.sources.kept import Keeper

if TYPE_CHECKING:
    from tests.sources.conftest import Mosquitto


def source(broker: Mosquitto, **settings: Any) -> MqttSource:
    defaults: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": broker.port,
        "client_id": "triaged-test",
        "keepalive": 5,
        "connect_timeout": 5,
    }
    return MqttSource(settings=MqttSettings(**(defaults | settings)))


class Slow(Keeper):
    """An intake whose commits wait for `commit`; a kill before that loses them."""

    def __init__(self) -> None:
        super().__init__()
        self.commit = asyncio.Event()
        self.committed_batches: list[Batch] = []

    async def emit(self, batch: Batch) -> Receipt:
        self.batches.append(batch)
        slow = self

        class Later:
            async def committed(self) -> None:
                await slow.commit.wait()
                slow.committed_batches.append(batch)
                slow.cursor = batch.cursor

        return Later()


async def publish(broker: Mosquitto, *payloads: bytes | str, **how: Any) -> None:
    await asyncio.to_thread(broker.publish, *payloads, **how)


async def subscribed(keeper: Keeper, broker: Mosquitto) -> None:
    """Until what is published arrives."""
    while not keeper.events:
        await publish(broker, "are you there", qos=0)
        await asyncio.sleep(0.02)


async def test_plain_text_and_json(mosquitto: Mosquitto, keeper: Keeper) -> None:
    async with keeper.running(source(mosquitto)):
        await subscribed(keeper, mosquitto)
        keeper.batches.clear()
        payload = {"text": "disk broke", "unit": "smartd.service", "severity": "critical"}
        payload |= {"host": "web1", "id": "4711", "at": "2026-01-02T03:04:05Z"}
        await publish(mosquitto, json.dumps(payload))
        await publish(mosquitto, "plain words", topic="triaged/events/web2/nginx")
        await keeper.until(lambda: len(keeper.texts) == 2)
    first, second = keeper.events
    assert (first.text, first.unit, first.priority) == ("disk broke", "smartd", 2)
    assert first.provenance == "text"
    assert first.key is not None
    assert first.occurred_at == 1767323045.0
    assert first.attributes == {"host": "web1", "severity": "critical"}
    assert (second.unit, second.attributes, second.key) == ("nginx", {"host": "web2"}, None)


async def test_what_comes_while_away_waits_at_the_broker(
    mosquitto: Mosquitto, keeper: Keeper
) -> None:
    async with keeper.running(source(mosquitto)):
        await subscribed(keeper, mosquitto)
    keeper.batches.clear()
    await publish(mosquitto, *(f"message {n}" for n in range(2000)))
    async with keeper.running(source(mosquitto, in_flight=50)):
        await keeper.until(lambda: len(keeper.texts) >= 2000)
        await asyncio.sleep(0.1)
    assert sorted(keeper.texts) == sorted(f"message {n}" for n in range(2000))


async def test_not_acknowledged_before_the_commit_and_redelivered(mosquitto: Mosquitto) -> None:
    slow = Slow()
    slow.commit.set()
    async with slow.running(source(mosquitto)):
        await subscribed(slow, mosquitto)
    slow.commit.clear()
    slow.batches.clear()
    await publish(mosquitto, "one", "two", "two")
    async with slow.running(source(mosquitto)):
        await slow.until(lambda: len(slow.texts) == 3)
        await asyncio.sleep(0.2)
    # Killed before the commit: the cursor is the old one, and everything comes again.
    assert slow.texts == ["one", "two", "two"]
    slow.batches.clear()
    slow.commit.set()
    async with slow.running(source(mosquitto)):
        await slow.until(lambda: len(slow.texts) == 3)
        await asyncio.sleep(0.2)
    assert slow.texts == ["one", "two", "two"], "two equal messages are two events"
    async with slow.running(source(mosquitto)):
        await asyncio.sleep(0.3)
    assert slow.texts == ["one", "two", "two"]


async def test_killed_between_commit_and_acknowledgement(mosquitto: Mosquitto) -> None:
    slow = Slow()
    slow.commit.set()
    async with slow.running(source(mosquitto)):
        await subscribed(slow, mosquitto)
    slow.commit.clear()
    slow.batches.clear()
    await publish(mosquitto, "once", "once", "other")
    async with slow.running(source(mosquitto)):
        await slow.until(lambda: len(slow.texts) == 3)
    # The commit happened, but the process died before it could acknowledge.
    slow.cursor = slow.batches[-1].cursor
    slow.commit.set()
    async with slow.running(source(mosquitto)):
        await asyncio.sleep(0.3)
        assert len(slow.texts) == 3, "a redelivery is no new event"
        await publish(mosquitto, "once")
        await slow.until(lambda: len(slow.texts) == 4)
    assert sorted(slow.texts) == ["once", "once", "once", "other"]
    async with slow.running(source(mosquitto)):
        await asyncio.sleep(0.3)
    assert len(slow.texts) == 4, "and it was acknowledged then"


async def test_in_flight_is_bounded(mosquitto: Mosquitto) -> None:
    slow = Slow()
    async with slow.running(source(mosquitto, in_flight=20)):
        await asyncio.sleep(0.3)
        await publish(mosquitto, *(f"message {n}" for n in range(500)))
        await slow.until(lambda: len(slow.texts) >= 20)
        await asyncio.sleep(0.2)
        assert len(slow.texts) == 20
        slow.commit.set()
        await slow.until(lambda: len(slow.texts) == 500)


async def test_hostile_payloads_are_counted(mosquitto: Mosquitto, keeper: Keeper) -> None:
    async with keeper.running(source(mosquitto, payload_limit=2000)):
        await subscribed(keeper, mosquitto)
        keeper.batches.clear()
        hostile = [
            b"x" * 500_000,
            b"",
            b"\0\1\2\3" * 100,
            b'{"text": 5}',
            b'{"text":"a","unit":[]}',
        ]
        hostile += [
            b'{"text": "\\ud800 lone"}',
            b"{not json",
            b"bad \xff utf8",
            b"nul \0 inside it " * 9,
        ]
        await publish(mosquitto, *hostile, "last")
        await keeper.until(lambda: "last" in keeper.texts)
    assert keeper.losses == {"payload too large": 1, "payload that is no event": 4}
    assert sum(batch.received for batch in keeper.batches) == len(hostile) + 1
    assert all("\0" not in text for text in keeper.texts)
    for text in keeper.texts:
        text.encode()


async def test_retained_messages_have_a_key(mosquitto: Mosquitto, keeper: Keeper) -> None:
    await publish(mosquitto, "kept", retain=True)
    async with keeper.running(source(mosquitto)):
        await keeper.until(lambda: keeper.texts == ["kept"])
    assert keeper.events[0].key is not None
    async with keeper.running(source(mosquitto)):
        await asyncio.sleep(0.2)
    assert keeper.texts == ["kept"]


async def test_broker_away_then_back(mosquitto: Mosquitto, keeper: Keeper) -> None:
    async with keeper.running(source(mosquitto)) as task:
        await subscribed(keeper, mosquitto)
        mosquitto.stop()
        with pytest.raises(SourceError, match="is gone"):
            await asyncio.wait_for(task, 10)
    with pytest.raises(
        SourceError, match=f"cannot connect to the broker 127.0.0.1:{mosquitto.port}"
    ):
        await source(mosquitto).run(cursor=keeper.cursor, emit=keeper.emit)
    mosquitto.start()
    keeper.batches.clear()
    async with keeper.running(source(mosquitto)):
        await subscribed(keeper, mosquitto)


async def test_wrong_password_and_unreadable_password_file(
    mosquitto: Mosquitto, keeper: Keeper
) -> None:
    mosquitto.stop()
    mosquitto.extra = "allow_anonymous false"
    mosquitto.start()
    with pytest.raises(SourceError, match="refused us: Not authorized"):
        await source(mosquitto, username="a", password="b").run(cursor=None, emit=keeper.emit)
    settings = {"username": "a", "password_file": mosquitto.folder / "nothing"}
    with pytest.raises(SourceError, match="cannot be used"):
        await source(mosquitto, **settings).run(cursor=None, emit=keeper.emit)


async def test_two_daemons_take_turns(mosquitto: Mosquitto) -> None:
    one, two = Keeper(), Keeper()
    async with contextlib.AsyncExitStack() as stack:
        for number, keeper in enumerate((one, two)):
            made = source(mosquitto, client_id=f"triaged-{number}", share_group="g")
            await stack.enter_async_context(keeper.running(made))
        await asyncio.sleep(0.3)
        await publish(mosquitto, *(f"message {n}" for n in range(100)))
        await one.until(lambda: len(one.texts) + len(two.texts) >= 100)
    assert one.texts
    assert two.texts
    assert sorted(one.texts + two.texts) == sorted(f"message {n}" for n in range(100))


@pytest.fixture
def certificate() -> Iterator[Path]:
    """A folder with cert.pem and key.pem for localhost, outside pytest's folder, which the
    broker's own user may not enter."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "key.pem").chmod(0o644)
        yield folder


async def test_tls_checks_the_certificate(
    mosquitto: Mosquitto, keeper: Keeper, certificate: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mosquitto.stop()
    mosquitto.extra = (
        f"allow_anonymous true\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
        f"certfile {certificate}/cert.pem\nkeyfile {certificate}/key.pem"
    )
    mosquitto.start()
    trusted = {"host": "localhost", "port": port, "tls": True}
    with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
        await source(mosquitto, **trusted).run(cursor=None, emit=keeper.emit)
    trusting = source(mosquitto, **trusted, tls_ca=certificate / "cert.pem")
    async with keeper.running(trusting):
        await subscribed(keeper, mosquitto)
        keeper.batches.clear()
        await publish(mosquitto, *(f"message {n}" for n in range(300)))
        await keeper.until(lambda: len(keeper.texts) >= 300)

"""What systemd says of models that it runs, and how the status shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from daemon import model_units
from daemon.cli import status as command
from daemon.model_units import ModelUnits, parse, served_by_systemd
from tiers.config import TierSettings
from tiers.vocabulary import TierName

SHOWN = """\
MainPID=4711
NRestarts=2
Id=llama-meta.service
ActiveState=active
MemoryCurrent=209715200

MainPID=0
NRestarts=0
Id=llama-review.service
ActiveState=failed
MemoryCurrent=[not set]

MemoryCurrent=18446744073709551615
"""


def test_what_systemctl_shows_is_read() -> None:
    found = dict(parse(SHOWN.split("\n\n")))
    meta, review = found["llama-meta.service"], found["llama-review.service"]
    assert (meta.active, meta.pid, meta.memory, meta.restarts) == (True, 4711, 200 * 2**20, 2)
    assert (review.active, review.pid, review.memory) == (False, None, None)
    assert len(found) == 2
    assert parse(["", "rubbish", "=", "Id"]) == []


def test_only_what_systemd_runs_here_is_asked_for() -> None:
    tiers = {
        TierName.TRIGGER: TierSettings(port=1),
        TierName.REVIEW: TierSettings(port=2, served_by="service"),
        TierName.META: TierSettings(endpoint="http://10.0.0.1:1", served_by="service"),
    }
    assert served_by_systemd(tiers) == [TierName.REVIEW]


async def test_without_systemd_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_units.shutil, "which", lambda _: None)
    units = ModelUnits(tiers=[TierName.META])
    await units.run()
    assert units.use(TierName.META) is None


def test_the_status_shows_what_each_tier_uses(capsys: pytest.CaptureFixture[str]) -> None:
    work = {"running": 1.0, "waiting": 0.0, "prompt_tokens": 12345.0, "output_tokens": 67.0}
    tiers = [
        {"tier": "meta", "pid": 4711, "rss_bytes": 200 * 2**20, "restarts": 2, "model": "m",
         "work": work},
        {"tier": "review", "pid": None, "rss_bytes": None, "restarts": 0, "model": "[x]",
         "work": None},
    ]  # fmt: skip
    console = Console(width=120)
    with console.capture() as shown:
        console.print(command._tiers(tiers))
    head, meta, review = (line.split() for line in shown.get().splitlines())
    assert head[:4] == ["tier", "process", "memory", "restarts"]
    assert meta == ["meta", "4711", "200", "MiB", "2", "1", "0", "12,345", "tok", "67", "tok", "m"]
    assert review == ["review", "-", "-", "0", "-", "-", "-", "-", "[x]"]


def test_units_are_those_that_are_shipped() -> None:
    folder = Path(__file__).parents[2] / "deploy" / "systemd"
    for tier in TierName:
        assert (folder / model_units.unit_of(tier)).is_file()

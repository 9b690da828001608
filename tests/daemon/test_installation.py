"""Mistakes of an installation, each named with what mends it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from daemon import installation
from daemon.config.settings import Settings
from daemon.findings import Level
from daemon.installation import Unit, examine_unit, parse_unit

ME = pwd.getpwuid(os.geteuid()).pw_name
SHOWN = f"""\
LoadState=loaded
ActiveState=active
UnitFileState=enabled
Result=success
NRestarts=0
NeedDaemonReload=no
MainPID=4711
User={ME}
SupplementaryGroups=systemd-journal adm
PrivateDevices=yes
ProtectHome=read-only
IPAddressAllow=127.0.0.0/8 ::1/128
IPAddressDeny=0.0.0.0/0 ::/0
LoadCredential=
"""


def _unit(**changed: str) -> Unit:
    found = parse_unit(SHOWN)
    return Unit(properties={**found.properties, **changed})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    monkeypatch.setattr(installation, "CREDENTIALS", credentials)
    return tmp_path


def _look(folder: Path, unit: Unit, **settings: Any) -> list[str]:
    config = folder / "triaged.toml"
    config.touch(mode=0o644)
    state = folder / "state"
    state.mkdir(exist_ok=True)
    found = examine_unit(
        unit, settings=Settings.model_validate(settings), config=config, state_dir=state
    )
    return [f.words for f in found if f.level in (Level.PROBLEM, Level.WARNING)]


def test_a_whole_installation_has_no_findings(folder: Path) -> None:
    unit = _unit(LoadCredential=f"secret:{folder / 'credentials'}")
    found = _look(folder, unit)
    assert [words for words in found if "runs as root" not in words] == []
    assert unit.pid == 4711
    assert unit.loopback_only


@pytest.mark.parametrize(
    ("changed", "mends"),
    [
        ({"NeedDaemonReload": "yes"}, "systemctl daemon-reload"),
        ({"ActiveState": "failed", "Result": "watchdog"}, "journalctl -u triaged"),
        ({"ActiveState": "activating", "NRestarts": "3"}, "again and again"),
        ({"UnitFileState": "disabled"}, "systemctl enable"),
        ({"User": "no-such-user"}, "systemd-sysusers"),
        ({"User": ""}, "set User=triaged"),
    ],
)
def test_what_is_wrong_with_the_unit(folder: Path, changed: dict[str, str], mends: str) -> None:
    assert any(mends in words for words in _look(folder, _unit(**changed)))


def test_a_remote_endpoint_needs_a_way_out(folder: Path) -> None:
    mqtt = {"mqtt": {"enabled": True, "host": "broker.example"}}
    (found,) = [w for w in _look(folder, _unit(), sources=mqtt) if "root" not in w]
    assert "broker.example" in found
    assert "IPAddressAllow=" in found
    opened = _unit(IPAddressAllow="10.0.0.0/8 127.0.0.0/8")
    assert not [w for w in _look(folder, opened, sources=mqtt) if "broker" in w]
    tiers = {"review": {"endpoint": "http://10.1.2.3:9000", "model": "m"}}
    assert any("10.1.2.3" in w for w in _look(folder, _unit(), tiers=tiers))


def test_models_have_to_be_where_the_service_can_read_them(folder: Path) -> None:
    tiers = {"review": {"model": "/home/ann/model.gguf"}}
    (found,) = [w for w in _look(folder, _unit(), tiers=tiers) if "model.gguf" in w]
    assert "/srv/triaged/models" in found
    hidden = _look(folder, _unit(ProtectHome="yes"), tiers=tiers)
    assert any("hidden" in words for words in hidden)


def test_a_gpu_behind_private_devices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = folder / "gpu"
    device.touch()
    monkeypatch.setattr(installation, "_GPU_DEVICES", (str(device),))
    tiers = {"review": {"model": "/srv/triaged/models/large.gguf"}}
    assert any("--gpu" in words for words in _look(folder, _unit(), tiers=tiers))
    tiers["review"]["gpu_layers"] = 0  # type: ignore[assignment]
    assert not any("--gpu" in words for words in _look(folder, _unit(), tiers=tiers))


def test_secrets_and_their_folder(folder: Path) -> None:
    store = {"dsn": "postgresql://triaged:word@localhost/triaged"}
    assert any("store.dsn_file" in words for words in _look(folder, _unit(), store=store))
    unit = _unit(LoadCredential=f"secret:{folder / 'credentials'}")
    (folder / "credentials").chmod(0o755)
    assert any("chmod 700" in words for words in _look(folder, unit))
    (folder / "credentials").rmdir()
    assert any("is missing" in words for words in _look(folder, unit))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_files_of_another_user_in_the_state(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state" / "logs").mkdir()
    os.chown(folder / "state" / "logs", 12345, 12345)
    (found,) = [w for w in _look(folder, _unit()) if "logs" in w]
    assert f"chown -R {ME}:" in found

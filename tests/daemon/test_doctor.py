"""What the doctor finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import doctor
from daemon.config.settings import Settings
from daemon.doctor import Level


def access(monkeypatch: pytest.MonkeyPatch, *, uid: int, **api: object) -> doctor.Finding:
    monkeypatch.setattr(doctor.os, "geteuid", lambda: uid)
    (finding,) = doctor._access(Settings.model_validate({"api": api}))
    return finding


def test_root_without_keys_on_loopback_is_open_to_local_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-key\n")
    keys.chmod(0o600)
    found = access(monkeypatch, uid=0, port=8099)
    assert found.level is Level.NOTE
    assert "8099" in found.words
    assert "api.keys_file" in found.words
    assert access(monkeypatch, uid=1000).level is Level.OK
    assert access(monkeypatch, uid=0, keys_file=str(keys)).level is Level.OK


def test_a_state_folder_of_others_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    assert doctor._state(folder)[0].level in (Level.OK, Level.WARNING)
    if doctor.os.geteuid() == 0:
        folder.chmod(0o777)
        (found,) = doctor._state(folder)
        assert found.level is Level.PROBLEM
        assert "0777" in found.words

"""`triaged keys` on a key file, and the key of whoever may read the state folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from api.keys.file import read_keys
from api.keys.key import Key, Purpose, digest_of
from api.roles import Role
from daemon.cli.exits import CommandError, Exit
from daemon.cli.keys import expiry
from daemon.cli.main import app
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.facade import access_held, open_access
from daemon.local_key import local_key, read_local_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose daemon does not run, at a port where nobody answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGED__API__PORT", "9")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "state"


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--state-dir", str(folder), "keys", *arguments])


def failure(folder: Path, *arguments: str) -> CommandError:
    result = run(folder, *arguments)
    assert isinstance(result.exception, CommandError), result.output
    return result.exception


def kept(folder: Path) -> Sequence[Key]:
    found = read_keys(folder / "keys.toml", named=False)
    return found.keys if found is not None else ()


def test_add_list_revoke(folder: Path) -> None:
    assert "triaged keys add NAME" in run(folder, "list").stdout
    added = run(
        folder, "add", "webui", "--role", "operator", "--expires", "90d", "--forwards-users",
        "--requests-per-minute", "60", "--tokens-per-day", "1000", "--concurrent", "4",
        "--user-role", "admin=operator", "--user-role", "*=viewer", "--note", "in the [kitchen]",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    secret = added.stdout.strip()
    assert secret.startswith("tri_"), "nothing but the key stands on stdout"
    assert "on loopback too" in added.stderr
    (key,) = kept(folder)
    assert key.digest == digest_of(secret.encode())
    assert (key.name, key.role, key.forwards_users) == ("webui", Role.OPERATOR, True)
    assert key.user_roles == {"admin": Role.OPERATOR, "*": Role.VIEWER}
    assert key.expires is not None
    assert timedelta(days=89) < key.expires - datetime.now(tz=UTC) <= timedelta(days=90)
    assert (folder / "keys.toml").stat().st_mode & 0o777 == 0o600
    assert secret not in (folder / "keys.toml").read_text()

    second = run(folder, "add", "scrape", "--only", "metrics", "--json")
    made = json.loads(second.stdout)
    assert made["role"] == "viewer"
    assert made["key"].startswith("tri_")
    assert "on loopback too" not in second.stderr
    run(folder, "add", "hook", "--only", "events")
    assert kept(folder)[2].role is Role.OPERATOR, "posting events takes one"

    listed = run(folder, "list")
    assert secret not in listed.output
    assert "[kitchen]" in listed.stdout, "a note is no markup"
    assert "the daemon does not answer" in listed.stderr
    shown = json.loads(run(folder, "list", "--json").stdout)
    assert [entry["name"] for entry in shown] == ["webui", "scrape", "hook"]
    assert shown[0]["limits"] == {
        "requests_per_minute": 60, "tokens_per_day": 1000, "concurrent": 4
    }  # fmt: skip
    assert shown[0]["note"] == "in the [kitchen]"
    assert shown[0]["today"] is None
    assert shown[2]["only"] == Purpose.EVENTS
    assert key.digest.hex() not in str(shown)

    assert run(folder, "revoke", "webui").exit_code == 0
    assert [each.name for each in kept(folder)] == ["scrape", "hook"]
    run(folder, "revoke", "scrape", "--json")
    assert "remove the file" in run(folder, "revoke", "hook").stderr
    assert kept(folder) == []
    assert run(folder, "list").stdout.startswith("No keys: ")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("add", "Web UI"), "up to 32 small letters", Exit.USAGE),
        (("add", "local"), "taken by triaged itself", Exit.USAGE),
        (("add", "x", "--expires", "soon"), "write 12h, 90d", Exit.USAGE),
        (("add", "x", "--expires", "2020-01-01"), "that is over", Exit.USAGE),
        (("add", "x", "--user-role", "admin=viewer"), "needs --forwards-users", Exit.USAGE),
        (("add", "x", "--forwards-users", "--user-role", "admin=root"), "=viewer", Exit.USAGE),
        (("add", "x", "--note", "n" * 201), "at most 200", Exit.USAGE),
        (("add", "there"), "there is a key 'there'", Exit.FAILED),
        (("revoke", "gone"), "there is no key 'gone'", Exit.NOT_FOUND),
    ],
)
def test_what_cannot_be_done(
    folder: Path, arguments: tuple[str, ...], said: str, code: Exit
) -> None:
    run(folder, "add", "there")
    before = (folder / "keys.toml").read_text()
    error = failure(folder, *arguments)
    assert said in str(error)
    assert error.code is code
    assert (folder / "keys.toml").read_text() == before


def test_roles_and_numbers_are_checked_by_the_command_line(folder: Path) -> None:
    for arguments in (
        ("--role", "root"), ("--requests-per-minute", "0"), ("--tokens-per-day", "x"),
        ("--only", "chat"),
    ):  # fmt: skip
        assert run(folder, "add", "x", *arguments).exit_code == 2
    assert run(folder).exit_code in (0, 2)
    assert not (folder / "keys.toml").exists()


def test_a_broken_file_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    path = folder / "keys.toml"
    path.write_text("[keys.x]\nrole = 'root'\n")
    path.chmod(0o600)
    for arguments in (("add", "y"), ("revoke", "x"), ("list",)):
        assert f"{path}:2: keys.x.role" in str(failure(folder, *arguments))
    assert "root" in path.read_text()


def test_a_file_of_a_secret_manager_is_left_to_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("a-key-of-some-length\n")
    path.chmod(0o600)
    monkeypatch.setenv("TRIAGED__API__KEYS_FILE", str(path))
    name = f"plain-{digest_of(b'a-key-of-some-length').hex()[:8]}"
    assert name in run(folder, "list").stdout
    assert "has a key a line" in str(failure(folder, "add", "x"))
    assert "take the line out" in str(failure(folder, "revoke", name))
    assert path.read_text() == "a-key-of-some-length\n"
    # An empty one may become a file of keys.
    path.write_text("")
    assert run(folder, "add", "x").exit_code == 0
    assert "[keys.x]" in path.read_text()


def test_when_a_key_ends() -> None:
    assert expiry("12h", now=NOW) == NOW + timedelta(hours=12)
    assert expiry("1y", now=NOW) == NOW + timedelta(days=365)
    assert expiry("2027-01-31", now=NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert expiry("2027-01-31T10:00:00+02:00", now=NOW).astimezone(UTC).hour == 8
    for said in ("", "0d", "-1d", "90", "d", "99999y", "2026-02-30", "9" * 5_000 + "d"):
        with pytest.raises(CommandError):
            expiry(said, now=NOW)


def test_the_key_of_whoever_may_read_the_state_folder(tmp_path: Path) -> None:
    with local_key(tmp_path, host="127.0.0.1", port=8083) as key:
        path = tmp_path / "local.key"
        assert path.stat().st_mode & 0o777 == 0o600
        for url in ("http://127.0.0.1:8083", "http://localhost:8083", "http://[::1]:8083"):
            secret = read_local_key(tmp_path, url=url)
            assert secret is not None
            assert digest_of(secret.encode()) == key.digest
        assert key.role is Role.ADMIN
        for url in (
            "http://127.0.0.1:8084", "http://evil.example:8083", "http://127.0.0.1",
            "http://localhost.evil.example:8083", "http://[bad", "http://a:port", "",
        ):  # fmt: skip
            assert read_local_key(tmp_path, url=url) is None
    assert not path.exists()
    assert read_local_key(tmp_path, url="http://127.0.0.1:8083") is None
    with local_key(tmp_path, host="192.0.2.7", port=1):
        assert read_local_key(tmp_path, url="http://192.0.2.7:1")
        assert read_local_key(tmp_path, url="http://192.0.2.8:1") is None


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_text("precious")
    (tmp_path / "local.key").symlink_to(goal)
    assert read_local_key(tmp_path, url="http://127.0.0.1:1") is None
    with local_key(tmp_path, host="127.0.0.1", port=1):
        assert not (tmp_path / "local.key").is_symlink()
    assert goal.read_text() == "precious"
    os.mkfifo(tmp_path / "local.key")
    assert read_local_key(tmp_path, url="http://127.0.0.1:1") is None


def settings(**api: Any) -> Settings:
    return Settings.model_validate({"api": api})


def test_a_daemon_that_others_reach_needs_keys(tmp_path: Path) -> None:
    outside = settings(host="0.0.0.0")  # noqa: S104
    with pytest.raises(StartError, match="triaged keys add NAME"):
        open_access(outside, tmp_path)
    with pytest.raises(StartError, match="does not exist"):
        open_access(settings(keys_file=str(tmp_path / "gone")), tmp_path)
    (tmp_path / "keys.toml").write_text("[")
    (tmp_path / "keys.toml").chmod(0o600)
    with pytest.raises(StartError, match=r"keys.toml:1: not valid TOML"):
        open_access(settings(), tmp_path)
    (tmp_path / "keys.toml").write_text("")
    with access_held(outside, tmp_path) as access:
        assert access.keyless is None
        secret = read_local_key(tmp_path, url="http://127.0.0.1:8083")
        assert secret is not None
        assert access.ring.find(secret.encode()) is not None


def test_what_callers_without_a_key_may_is_configured(tmp_path: Path) -> None:
    access = open_access(
        settings(keyless={"role": "viewer", "concurrent": 2, "forwards_users": True}), tmp_path
    )
    assert access.keyless is not None
    assert access.keyless.role is Role.VIEWER
    assert access.keyless.limits.concurrent == 2
    assert access.keyless.forwards_users
    default = open_access(settings(), tmp_path).keyless
    assert default is not None
    assert default.role is Role.OPERATOR

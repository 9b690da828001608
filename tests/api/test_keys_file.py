"""The key file: read with suspicion, changed by one at a time, followed while the daemon runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from facade_kit import eventually

from api.keys.file import edit_keys, read_keys
from api.keys.key import Key, Limits, Purpose, digest_of, new_secret
from api.keys.parse import (
    HEAD,
    KeyFileError,
    parse_keys,
    render_key,
    unfit_name,
    with_key,
    without_key,
)
from api.keys.ring import KeyRing
from api.roles import Role

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HASH = "0" * 64


def key(name: str = "webui", *, secret: str = "s", role: Role = Role.OPERATOR) -> Key:  # noqa: S107
    return Key(name=name, role=role, digest=digest_of(secret.encode()), created=NOW)


def full() -> Key:
    return Key(
        name="full",
        role=Role.ADMIN,
        digest=digest_of(b"x"),
        created=NOW,
        expires=NOW + timedelta(days=90),
        limits=Limits(requests_per_minute=60, tokens_per_day=10**6, concurrent=4),
        forwards_users=True,
        user_roles={"admin": Role.OPERATOR, "*": Role.VIEWER, 'od"d\\': Role.VIEWER},
        only=Purpose.EVENTS,
        note='the "one" in\tthe\nkitchen \\ \x1b[2J \U0001f600',
    )


def test_what_is_written_is_read() -> None:
    text = with_key(with_key("", key()), full())
    assert text.startswith(HEAD)
    assert "\x1b" not in text
    assert list(parse_keys(text, path="keys.toml").keys) == [key(), full()]
    # The form is recognised by what stands in the file, too.
    assert list(parse_keys(text, path="keys").keys) == [key(), full()]


def test_secrets_are_long_random_and_recognisable() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert one.startswith("tri_")
    assert len(bytes.fromhex(one.removeprefix("tri_"))) == 32
    assert one not in repr(key(secret=one))
    assert digest_of(one.encode()).hex() not in repr(key(secret=one))


def test_comments_stay_where_a_key_is_taken_out() -> None:
    text = (
        "# mine\n[keys.one] # Alice's\nrole = 'viewer'\nsha256 = '" + HASH + "'\n\n"
        "# Bob's\n[ keys . 'two' ]\nrole = 'admin'\nsha256 = '" + HASH + "'\n"
        "[keys.two.user_roles]\nadmin = 'viewer'\n[keys.three]\nrole = 'viewer'\n"
        f"sha256 = '{HASH}' # last\n"
    )
    cut = without_key(text, "two", path="k.toml")
    assert [each.name for each in parse_keys(cut, path="k.toml").keys] == ["one", "three"]
    assert "# mine" in cut
    assert "# Alice's" in cut
    assert "# last" in cut
    # Laid out so that lines tell nothing: written anew, and nothing but the key is lost.
    one, other = f"a = {{role='viewer', sha256='{HASH}'}}", f"b = {{role='admin', sha256='{HASH}'}}"
    odd = f"keys = {{ {one}, {other} }}"
    cut = without_key(odd, "a", path="k.toml")
    assert [(each.name, each.role) for each in parse_keys(cut, path="k.toml").keys] == [
        ("b", Role.ADMIN)
    ]
    assert parse_keys(without_key(cut, "b", path="k.toml"), path="k.toml").keys == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[keys.a]\nrole = 'root'\nsha256 = '" + HASH + "'", "k.toml:2: keys.a.role: input should"),
        ("\n[keys.a]\nrole = 'admin'\n", "k.toml:2: keys.a.sha256: is missing"),
        ("[keys.a]\nrole='admin'\n\nsha256 = 'abc'", "k.toml:4: keys.a.sha256: must be 64 hexa"),
        (
            f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nrate = 5",
            "k.toml:4: keys.a.rate: there is no",
        ),
        (f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nconcurrent = 0", "k.toml:4: keys.a.concurrent"),
        (f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nconcurrent = true", "keys.a.concurrent"),
        (f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nforwards_users = 'yes'", "forwards_users"),
        (f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nonly = 'chat'", "k.toml:4: keys.a.only"),
        (f"[keys.a]\nrole='admin'\nsha256='{HASH}'\nexpires = 'soon'", "k.toml:4: keys.a.expires"),
        ("[keys.Big]\nrole = 'admin'", "k.toml:1: keys.Big: a key's name has up to 32 small"),
        ("x = 1\n[keys.local]\nrole = 'admin'", "k.toml:1: 'x': only tables [keys.NAME]"),
        ("[keys.local]\nrole = 'admin'", "keys.local: 'local' is taken by triaged itself"),
        ("[keys.'a b']\nrole = 'admin'", "a key's name has up to 32"),
        ("keys = 5", "k.toml:1: keys: write [keys.NAME]"),
        ("[keys]\na = 5", "keys.a"),
        ("[keys.a\nrole = 1", "k.toml:1: not valid TOML"),
        ("[keys.a]\nrole = ", "k.toml:2: not valid TOML"),
        ("[keys.a]\n[keys.a]\n", "k.toml:2: not valid TOML"),
        ("keys = " + "[" * 50_000, "brackets are nested too deep"),
        ("keys = " + "9" * 10_000, "k.toml: not usable"),
        ("\n".join(f"[keys.k{n}]" for n in range(1_001)), "holds 1001 keys; at most 1000"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_mistakes_name_the_line(text: str, said: str) -> None:
    with pytest.raises(KeyFileError) as raised:
        parse_keys(text, path="k.toml")
    assert said in str(raised.value)
    assert HASH not in str(raised.value)


def test_names() -> None:
    assert not unfit_name("web-ui_2")
    for name in ("", "-x", "x" * 33, "a.b", "a b", "Ä", "a\n", "local", "daemon", "x]"):
        assert unfit_name(name), name


def test_a_key_a_line_still_works() -> None:
    found = parse_keys(
        "first-key-of-the-file==\r\n\n# not a key\n  other-key-of-the-file \n", path="k"
    )
    assert found.plain
    assert [each.digest for each in found.keys] == [
        digest_of(b"first-key-of-the-file=="),
        digest_of(b"other-key-of-the-file"),
    ]
    assert {each.role for each in found.keys} == {Role.ADMIN}
    assert all(each.name.startswith("plain-") for each in found.keys)
    assert not found.concerns
    assert "can be guessed" in parse_keys("short\n", path="k").concerns[0]


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_hostile_files(tmp_path: Path) -> None:
    good = put(tmp_path / "good.toml", render_key(key()))
    link = tmp_path / "link.toml"
    link.symlink_to(good)
    dangling = tmp_path / "dangling.toml"
    dangling.symlink_to(tmp_path / "gone")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    cases = [
        (link, False, "is a link, which is not followed"),
        (dangling, False, "is a link, which is not followed"),
        (pipe, True, "is no file"),
        (tmp_path, True, "is no file"),
        (Path("/dev/null"), True, "is no file"),
        (put(tmp_path / "w.toml", "", 0o620), True, "can be changed by other users (mode 0620)"),
        (put(tmp_path / "o.toml", "", 0o606), False, "can be changed by other users"),
        (put(tmp_path / "big.toml", "#" * 1_048_577), True, "larger than 1048576 bytes"),
    ]
    binary = tmp_path / "binary"
    binary.write_bytes(b"ok\n\xff\xfe")
    binary.chmod(0o600)
    cases.append((binary, True, f"{binary}:2: not UTF-8"))
    for path, named, said in cases:
        with pytest.raises(KeyFileError) as raised:
            read_keys(path, named=named)
        assert said in str(raised.value)
    assert read_keys(tmp_path / "gone", named=True) is None
    found = read_keys(link, named=True)  # secret managers hand over links
    assert found is not None
    assert found.keys == [key()]
    plain = read_keys(put(tmp_path / "plain", "a-key-of-some-length\n", 0o644), named=True)
    assert plain is not None
    assert "chmod 600" in plain.concerns[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_of_others(tmp_path: Path) -> None:
    path = put(tmp_path / "keys.toml", render_key(key()))
    os.chown(path, 4_711, 4_711)
    with pytest.raises(KeyFileError, match="belongs to user 4711"):
        read_keys(path, named=False)
    found = read_keys(path, named=True)
    assert found is not None
    assert "belongs to user 4711" in found.concerns[0]
    # Root adds a key for the daemon's user, who must be able to read it afterwards.
    edit_keys(path, lambda text: with_key(text, key("more", secret="m")), named=True)
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (4_711, 0o600)
    fresh = tmp_path / "folder" / "keys.toml"
    fresh.parent.mkdir()
    os.chown(fresh.parent, 4_711, 4_711)
    edit_keys(fresh, lambda text: with_key(text, key()), named=True)
    assert fresh.stat().st_uid == 4_711


def test_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.toml"
    edit_keys(path, lambda text: with_key(text, key()), named=False)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()

    def broken(text: str) -> str:
        return text + "["

    def failing(text: str) -> str:
        raise RuntimeError(text)

    with pytest.raises(KeyFileError):
        edit_keys(path, broken, named=False)
    with pytest.raises(RuntimeError):
        edit_keys(path, failing, named=False)
    assert path.read_text() == before
    assert {entry.name for entry in path.parent.iterdir()} == {"keys.toml", "keys.toml.lock"}
    # A link in the state folder is not written through; one that the operator named is kept.
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    with pytest.raises(KeyFileError, match="link"):
        edit_keys(link, lambda text: text, named=False)
    edit_keys(link, lambda text: with_key(text, key("more", secret="m")), named=True)
    assert link.is_symlink()
    assert len(parse_keys(path.read_text(), path="k.toml").keys) == 2


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"

    def add(number: int) -> None:
        new = key(f"k{number}", secret=str(number))
        edit_keys(path, lambda text: with_key(text, new), named=False)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    found = read_keys(path, named=False)
    assert found is not None
    assert {each.name for each in found.keys} == {f"k{n}" for n in range(40)}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def ring(path: Path, clock: Clock | None = None) -> KeyRing:
    return KeyRing(path=path, named=False, now=clock or Clock())


def settle(held: KeyRing) -> None:
    """An editor must have left the file alone for one look."""
    held.look()
    held.look()


def test_the_ring_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    held = ring(path)
    assert not held.needed
    assert held.find(b"s") is None
    put(path, render_key(key()))
    settle(held)
    assert held.needed
    assert held.find(b"s") == key()
    assert held.find(b"t") is None
    # A hand's mistake leaves the last good keys in force, and is told.
    put(path, "[keys.webui]\nrole = 'viewer'")
    settle(held)
    assert held.find(b"s") == key()
    assert "keys.webui.sha256: is missing" in held.problem
    put(path, render_key(key("other", secret="t")))
    settle(held)
    assert held.problem == ""
    assert held.find(b"s") is None
    assert not held.in_force(key())
    # Removing the file opens no door.
    path.unlink()
    settle(held)
    assert held.needed
    assert held.find(b"t") is not None
    assert "is gone" in held.problem
    put(path, "")
    settle(held)
    assert held.needed
    assert not held.keys


def test_a_file_in_the_middle_of_being_written_is_left_alone(tmp_path: Path) -> None:
    path = put(tmp_path / "keys.toml", render_key(key()))
    held = ring(path)
    put(path, "")
    held.look()
    assert held.find(b"s") is not None, "seen for the first time: perhaps half"
    put(path, render_key(key()) + render_key(key("more", secret="m")))
    held.look()
    assert len(held.keys) == 1
    held.look()
    assert len(held.keys) == 2


def test_a_key_expires(tmp_path: Path) -> None:
    clock = Clock()
    ends = Key(name="x", role=Role.VIEWER, digest=digest_of(b"x"), expires=NOW + timedelta(hours=1))
    held = ring(put(tmp_path / "keys.toml", render_key(ends)), clock)
    assert held.find(b"x") == ends
    assert held.in_force(ends)
    clock.now += timedelta(hours=1)
    assert held.find(b"x") is None
    assert not held.in_force(ends)
    assert held.needed


def test_a_role_that_was_changed_is_another_key(tmp_path: Path) -> None:
    path = put(tmp_path / "keys.toml", render_key(key()))
    held = ring(path)
    put(path, render_key(key(role=Role.VIEWER)))
    settle(held)
    assert not held.in_force(key())


def test_a_broken_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        ring(put(tmp_path / "keys.toml", "["))


async def test_following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.keys.ring._LOOK_SECONDS", 0.01)
    path = tmp_path / "keys.toml"
    held = ring(path)
    looks = 0

    def changed() -> None:
        nonlocal looks
        looks += 1

    task = asyncio.create_task(held.follow(changed))
    edit_keys(path, lambda text: with_key(text, key()), named=False)
    await eventually(lambda: held.needed and looks > 2)
    task.cancel()
    await asyncio.wait({task})

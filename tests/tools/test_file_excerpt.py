"""What may be read, against everything that tries to make it something else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.tools import files
from daemon.tools.files import file_excerpt
from daemon.tools.toolbox import ToolError

SECRET = "root:$6$hash"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """An allowed folder beside a secret."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "secret-place").mkdir()
    (tmp_path / "private").write_text(SECRET)
    (tmp_path / "logs" / "app.log").write_text("one\ntwo\nthree\n")
    return tmp_path / "logs"


async def test_the_last_lines(call, logs: Path) -> None:  # type: ignore[no-untyped-def]
    result = await call("file_excerpt", path=f"{logs}/app.log", lines=2)
    assert result.data["lines"] == ["two", "three"]
    assert result.summary.endswith("app.log: two | three")
    assert result.provenance == "text"


def _link(logs: Path) -> str:
    (logs / "x").symlink_to(logs.parent / "private")
    return f"{logs}/x"


def _linked_folder(logs: Path) -> str:
    (logs / "x").symlink_to(logs.parent)
    return f"{logs}/x/private"


def _hard_link(logs: Path) -> str:
    os.link(logs.parent / "private", logs / "x")
    return f"{logs}/x"


def _circle(logs: Path) -> str:
    (logs / "a").symlink_to(logs / "b")
    (logs / "b").symlink_to(logs / "a")
    return f"{logs}/a"


def _pipe(logs: Path) -> str:
    os.mkfifo(logs / "x")
    return f"{logs}/x"


def _socket(logs: Path) -> str:
    here = Path.cwd()
    os.chdir(logs)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("x")
    os.chdir(here)
    return f"{logs}/x"


def _binary(logs: Path) -> str:
    (logs / "x").write_bytes(b"\x7fELF\0\0")
    return f"{logs}/x"


def _named(name: str) -> Callable[[Path], str]:
    def make(logs: Path) -> str:
        (logs / name).write_text(SECRET)
        return f"{logs}/{name}"

    return make


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda logs: f"{logs}/../private", "may not be read"),
        (lambda logs: f"{logs}/./../logs/../private", "may not be read"),
        (lambda logs: f"{logs}2/app.log", "may not be read"),
        (lambda _: "/etc/shadow", "may not be read"),
        (lambda _: "/proc/self/environ", "may not be read"),
        (lambda logs: f"/proc/self/root{logs.parent}/private", "may not be read"),
        (lambda _: "logs/app.log", "not an absolute path"),
        (lambda _: "~/app.log", "not an absolute path"),
        (lambda logs: f"{logs}/none", "does not exist"),
        (lambda logs: f"{logs}/", "may not be read"),
        (lambda logs: f"{logs}/{'x' * 300}", "cannot be read"),
        (_link, "may not be read"),
        (_linked_folder, "may not be read"),
        (_hard_link, "several names"),
        (_circle, "cannot be read"),
        (_pipe, "is not a file"),
        (_socket, "cannot be read"),
        (_binary, "is not a text file"),
        (_named("server.key"), "may not be read"),
        (_named("server.key.1"), "may not be read"),
        (_named("cert.PEM"), "may not be read"),
        (_named(".env"), "may not be read"),
        (_named("id_ed25519"), "may not be read"),
        (_named("shadow-"), "may not be read"),
        (_named("passwords.txt"), "may not be read"),
        (_named("api-token"), "may not be read"),
    ],
)
async def test_what_may_not_be_read(
    call: Any, logs: Path, make: Callable[[Path], str], why: str
) -> None:
    result = await call("file_excerpt", path=make(logs))
    assert not result.ok
    assert why in result.summary
    assert SECRET not in str(result)


async def test_a_file_that_is_named_is_read_where_its_name_leads(call, logs: Path) -> None:  # type: ignore[no-untyped-def]
    target = logs.parent / "usr-lib-os-release"
    target.write_text("NAME=x\n")
    (logs.parent / "etc" / "named").symlink_to(target)
    assert (await call("file_excerpt", path=f"{logs.parent}/etc/named")).data["lines"] == ["NAME=x"]
    os.link(target, logs / "other")
    assert (await call("file_excerpt", path=f"{logs.parent}/etc/named")).ok
    assert not (await call("file_excerpt", path=f"{logs}/other")).ok


async def test_a_folder_that_becomes_a_link_in_between(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = logs / "inside"
    inside.mkdir()
    (inside / "private").write_text("harmless")
    tool = file_excerpt(readable=(f"{logs}/**",))
    opened = files._open

    def swapped(real: str, path: str, allowed: files.Allowed) -> int:
        inside.rename(logs / "moved")
        inside.symlink_to(logs.parent)
        return opened(real, path, allowed)

    monkeypatch.setattr(files, "_open", swapped)
    with pytest.raises(ToolError, match="changed while it was opened"):
        await tool(path=f"{inside}/private")


async def test_sizes(call, logs: Path) -> None:  # type: ignore[no-untyped-def]
    (logs / "empty").touch()
    assert (await call("file_excerpt", path=f"{logs}/empty")).summary.endswith("empty is empty.")
    with (logs / "sparse").open("wb") as file:
        file.truncate(50_000_000_000)
    assert "not a text file" in (await call("file_excerpt", path=f"{logs}/sparse")).summary
    (logs / "one-line").write_text("x" * 3_000_000)
    result = await call("file_excerpt", path=f"{logs}/one-line")
    assert result.ok
    assert result.data["lines"] == ["x" * 2_000]
    (logs / "many").write_text("".join(f"{n} {'y' * 900}\n" for n in range(20_000)))
    result = await call("file_excerpt", path=f"{logs}/many", lines=1_000)
    assert result.data["lines"][-1].startswith("19999 ")
    assert "19999 " in result.summary, "the newest line is the last that may be cut"
    (logs / "latin").write_bytes(b"caf\xe9\r\nn\x1b[2Jext\xc2\x85\n")
    result = await call("file_excerpt", path=f"{logs}/latin")
    assert result.summary.endswith("caf\ufffd | n\ufffd[2Jext")


async def test_a_file_that_others_may_not_read(call, logs: Path) -> None:  # type: ignore[no-untyped-def]
    (logs / "mine").write_text("x")
    (logs / "mine").chmod(0)
    result = await call("file_excerpt", path=f"{logs}/mine")
    assert result.ok == (os.geteuid() == 0)

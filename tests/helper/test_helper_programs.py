"""Programs that hang, flood or leave children, and locks that somebody holds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.helper import locks
from daemon.helper.errors import BusyError, FailedError, TimeError
from daemon.helper.programs import Programs


@pytest.fixture
def folder(tmp_path: Path, root_only: None) -> Path:
    return tmp_path


def _program(folder: Path, script: str) -> Programs:
    path = folder / "program"
    path.write_text(script)
    path.chmod(0o755)
    return Programs(folders=(folder, Path("/usr/bin"), Path("/bin")))


def test_one_that_hangs_is_killed_with_its_children(folder: Path) -> None:
    note = folder / "pids"
    programs = _program(
        folder,
        f"#!/bin/sh\ntrap '' TERM\n(trap '' TERM; while :; do sleep 0.1; done) &\n"
        f"echo $$ $! > {note}\nwhile :; do sleep 0.1; done\n",
    )
    began = time.monotonic()
    with pytest.raises(TimeError, match="did not end within"):
        programs.run(["program"], seconds=0.7)
    assert time.monotonic() - began < 20
    for pid in map(int, note.read_text().split()):
        end = time.monotonic() + 5
        while _alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not _alive(pid)


def test_a_flood_is_cut(folder: Path) -> None:
    programs = _program(folder, "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x\n")
    output = programs.run(["program"], seconds=60, limit=1_000)
    assert (len(output.text), output.cut, output.status) == (1_000, True, 0)
    assert len(output.last) == 300


def test_what_is_no_text_is_no_trouble(folder: Path) -> None:
    output = _program(folder, "#!/bin/sh\nprintf '\\377\\000\\n'\n").run(["program"], seconds=10)
    assert output.text == "\ufffd\x00\n"


def test_words_go_in_and_nobody_has_to_read_them(folder: Path) -> None:
    programs = _program(folder, "#!/bin/sh\ncat\n")
    assert programs.run(["program"], seconds=10, stdin=b"in\n").text == "in\n"
    (folder / "program").write_text("#!/bin/sh\nexit 4\n")
    assert programs.run(["program"], seconds=10, stdin=b"x" * 1_000_000).status == 4


def test_a_missing_program_has_a_sentence(folder: Path) -> None:
    with pytest.raises(FailedError, match="this host has no other"):
        Programs(folders=(folder,)).run(["other"], seconds=1)
    with pytest.raises(FailedError, match="cannot be started"):
        _program(folder, "not a program").run(["program"], seconds=1)


def test_arguments_are_words_and_never_a_command_line(folder: Path) -> None:
    programs = _program(folder, '#!/bin/sh\nfor word; do echo "<$word>"; done\n')
    words = ["a b", "$(id)", "`id`", ";", "&&", "*", "'", '"', "\n", "--", ""]
    output = programs.run(["program", *words], seconds=10)
    assert output.text == "".join(f"<{word}>\n" for word in words)


def test_a_lock_is_held_over_processes(folder: Path) -> None:
    with (
        locks.held(folder / "locks", "unit web.service"),
        pytest.raises(BusyError, match=r"works on unit web\.service"),
        locks.held(folder / "locks", "unit web.service", seconds=0.2),
    ):
        pass
    with locks.held(folder / "locks", "unit web.service", seconds=0.2):
        pass


def test_a_folder_of_locks_that_is_anothers_is_not_used(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "link").symlink_to(folder / "open")
    for name in ("open", "link"):
        with pytest.raises(FailedError), locks.held(folder / name, "x"):
            pass


def test_a_lock_file_that_is_a_link_is_not_followed(folder: Path) -> None:
    (folder / "locks").mkdir(mode=0o700)
    precious = folder / "precious"
    for number in range(256):
        (folder / "locks" / f"{number:03d}").symlink_to(precious)
    with pytest.raises(FailedError), locks.held(folder / "locks", "x"):
        pass
    assert not precious.exists()


def test_a_verb_has_a_deadline_of_its_own() -> None:
    """In a process of its own, because the tests' own clock rings the same bell."""
    code = (
        "import time\n"
        "from daemon.helper.context import Verb\n"
        "from daemon.helper.errors import TimeError\n"
        "from daemon.helper.main import _deadline\n"
        "verb = Verb(name='slow', seconds=0.2, run=None)\n"
        "try:\n"
        "    with _deadline(verb):\n"
        "        time.sleep(30)\n"
        "except TimeError as error:\n"
        "    print(error)\n"
    )
    argv = [sys.executable, "-I", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "slow did not end within 0.2 s\n"


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False

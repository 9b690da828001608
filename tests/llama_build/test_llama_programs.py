"""What programs say of themselves, which of them is taken, and what is passed to it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from llama_fakes import ALL_FLAGS, calls, program, talking_server

from tiers.runtime import binary
from tiers.runtime.binary import MINIMUM_BUILD, candidates, find_binary
from tiers.runtime.capabilities import capabilities_in, flags_in, read_capabilities
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.flags import OPTIONAL_FLAGS, REQUIRED_FLAGS, ServerFlags
from tiers.runtime.known import KnownPrograms
from tiers.runtime.own_builds import PROGRAM

TOO_OLD = f"0.5.0 (build {MINIMUM_BUILD - 1}, commit abc)"
HELP = """----- common params -----

-t,    --threads N                      number of threads (see also --threads-batch)
                                        --not-an-option is only mentioned here
-fit,  --fit [on|off]                   fit
--slots, --no-slots                     slots
--port PORT                             port
"""


@pytest.mark.parametrize(
    ("said", "build"),
    [
        ("version: 0.6.0-dev (build 11549, commit 9d34231)\nbuilt with GNU 12 for Linux", 11549),
        ("version: 6123 (9d34231)\nbuilt with cc for x86_64", 6123),
        ("version: 0.6.0 (build 0, commit unknown)", None),  # an archive
        ("version: 0.6.0 (build 1, commit abc)", None),  # a shallow clone
        ("version: custom", None),
    ],
)
def test_the_build_number_is_read(said: str, build: int | None) -> None:
    found = capabilities_in(said, flags=frozenset())
    assert found.build == build
    assert found.version


def test_options_are_read_and_mentions_are_not() -> None:
    assert flags_in(HELP) == {"--threads", "--fit", "--slots", "--no-slots", "--port"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("echo hello", "does not tell its version"),
        ("echo 'version: 1 (x)'", "does not tell its options"),
        ("echo 'Illegal instruction' >&2; kill -ILL $$", "triaged llama build"),
        (
            "echo 'libcudart.so: error while loading shared libraries' >&2; exit 127",
            "A library that this build needs is missing",
        ),
        ("exit 3", "ended with 3"),
        ("exec sleep 60", "did not answer"),
    ],
)
def test_what_is_no_usable_program_says_why(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(MisconfiguredError, match=words):
        read_capabilities(program(tmp_path / PROGRAM, lines), seconds=0.5)


def test_a_file_that_is_no_program_says_so(tmp_path: Path) -> None:
    path = tmp_path / PROGRAM
    path.write_bytes(b"\0\1\2\3")
    path.chmod(0o755)
    with pytest.raises(MisconfiguredError, match="no program for this machine"):
        read_capabilities(path)


def test_what_steers_llama_server_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_ARG_TOOLS", "all")
    path = program(tmp_path / PROGRAM, 'echo "version: [$LLAMA_ARG_TOOLS]"; echo "--port"')
    assert read_capabilities(path).version == "[]"


def test_a_program_is_asked_once_until_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    folder.mkdir()
    path = talking_server(tmp_path / "bin" / PROGRAM)
    first = KnownPrograms(folder).capabilities(path)
    assert calls(path) == 2
    assert KnownPrograms(folder).capabilities(path) == first
    assert calls(path) == 2
    (path.parent / "libllama.so").write_text("")
    KnownPrograms(folder).capabilities(path)
    assert calls(path) == 4
    talking_server(path, version="0.7.0 (build 12000, commit abc)")
    assert KnownPrograms(folder).capabilities(path).build == 12000
    (folder / "known.json").write_text('{"form": 1, "programs": {"x": 3}, "y"')
    assert KnownPrograms(folder).capabilities(path).build == 12000
    (folder / "known.json").write_text('{"form": 1, "programs": [1]}')
    assert KnownPrograms(folder).capabilities(path).build == 12000


def test_what_is_known_stays_bounded(tmp_path: Path) -> None:
    for number in range(40):
        KnownPrograms(tmp_path).capabilities(talking_server(tmp_path / str(number) / PROGRAM))
    assert (tmp_path / "known.json").read_text().count('"stamp"') == 32


def _own(builds: Path, **said: object) -> Path:
    path = talking_server(builds / "builds" / "cpu-1" / PROGRAM, **said)  # type: ignore[arg-type]
    (builds / "current").symlink_to("builds/cpu-1")
    return path


def test_the_order_is_named_own_path_wheel(tmp_path: Path) -> None:
    builds = tmp_path / "llama"
    named = talking_server(tmp_path / "named" / PROGRAM)
    own = _own(builds)
    on_path = talking_server(tmp_path / "path" / PROGRAM)
    environ = {"LLAMA_BIN": str(named), "PATH": f"{on_path.parent}:/bin"}
    found = candidates(environ, builds=builds)
    assert [each.binary.path for each in found] == [named, own, on_path, None]
    assert not any(each.problem for each in found)
    assert find_binary(environ, builds=builds).path == named
    del environ["LLAMA_BIN"]
    assert find_binary(environ, builds=builds).path == own
    assert find_binary(environ).path == on_path
    (builds / "current").unlink()
    (builds / "current").symlink_to("builds/gone")
    assert find_binary(environ, builds=builds).path == on_path
    assert find_binary({}).path is None


def test_what_is_named_is_refused_when_too_old(tmp_path: Path) -> None:
    named = talking_server(tmp_path / PROGRAM, version=TOO_OLD)
    with pytest.raises(MisconfiguredError, match="older than") as caught:
        find_binary({"LLAMA_BIN": str(named)})
    assert "triaged llama build" in str(caught.value)
    assert "$LLAMA_BIN" in str(caught.value)


def test_what_was_only_found_is_passed_over_when_too_old(tmp_path: Path) -> None:
    builds = tmp_path / "llama"
    _own(builds, version=TOO_OLD)
    on_path = talking_server(tmp_path / "path" / PROGRAM, flags=ALL_FLAGS - {"--no-slots"})
    environ = {"PATH": f"{on_path.parent}:/bin"}
    assert find_binary(environ, builds=builds).origin == "wheel"
    own, path, wheel = candidates(environ, builds=builds)
    assert "older than" in own.problem
    assert "does not know --no-slots" in path.problem
    assert wheel.problem == ""


def test_a_wheel_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "MINIMUM_BUILD", 99_999)
    with pytest.raises(MisconfiguredError, match="install a newer one"):
        find_binary({})


def test_a_program_without_a_number_is_judged_by_its_options(tmp_path: Path) -> None:
    named = talking_server(tmp_path / PROGRAM, version="0.6.0 (build 0, commit unknown)")
    assert find_binary({"LLAMA_BIN": str(named)}).path == named
    talking_server(named, version="0.6.0 (build 0, commit unknown)", flags=["--port"])
    with pytest.raises(MisconfiguredError, match="--alias"):
        find_binary({"LLAMA_BIN": str(named)})


def _flags(**settings: object) -> ServerFlags:
    return ServerFlags(
        model=Path("/m.gguf"),
        alias="m",
        host="127.0.0.1",
        port=1,
        context=512,
        parallel=2,
        threads=1,
        **settings,  # type: ignore[arg-type]
    )


def test_options_that_only_help_are_left_out_where_they_are_not_known() -> None:
    flags = _flags(sleep_idle_seconds=60, fit=False, gpu_layers=0)
    assert set(flags.argv(REQUIRED_FLAGS)) & OPTIONAL_FLAGS == set()
    assert set(flags.argv()) >= ALL_FLAGS
    assert flags.argv(ALL_FLAGS) == flags.argv()
    pairs = dict(itertools.pairwise(flags.argv()))
    assert pairs["--fit"] == "off"
    assert "--fit" not in _flags().argv()

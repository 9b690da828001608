"""The tools against this very host, with the host's own programs as the judge."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import psutil
import pytest
from tools_kit import Pattern, Series, incident, kernel_memory, process_named, run

from daemon.tools import storage
from daemon.tools.catalogue import ArgumentError, checked_arguments, tool_specs
from daemon.tools.host import host_toolbox
from daemon.tools.toolbox import HostToolbox
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

CASES = {
    "unit_status": {"unit": "cron"},
    "unit_log": {"unit": "cron"},
    "directory_sizes": {"path": "/etc"},
    "process_detail": {"process": str(os.getpid())},
    "file_excerpt": {"path": "/proc/mdstat"},
    "incident_search": {"query": "x"},
    "event_query": {"text": "x"},
    "metric_history": {"metric": "cpu"},
}


def test_every_tool_of_the_catalogue_is_there_and_none_else(records) -> None:  # type: ignore[no-untyped-def]
    box = host_toolbox(records=records, metrics=records, readable=(), timeout=1)
    assert [spec.name for spec in box.specs()] == [spec.name for spec in tool_specs()]
    assert set(box._tools) == {spec.name for spec in tool_specs()}
    assert len(tool_specs()) == 20
    for spec in tool_specs():
        assert spec.description
        assert len(spec.phrases) >= 3


@pytest.mark.parametrize("name", [spec.name for spec in tool_specs()])
async def test_every_tool_answers_in_words(call, name: str) -> None:  # type: ignore[no-untyped-def]
    result = await call(name, CASES.get(name, {}))
    assert len(result.summary) > 10
    assert "defect" not in result.summary
    if name not in ("unit_status", "unit_log", "failed_units", "timers", "metric_history"):
        assert result.ok or name == "file_excerpt", result.summary


async def test_disk_usage_agrees_with_df(call) -> None:  # type: ignore[no-untyped-def]
    result = await call("disk_usage", path="/")
    df = run("df", "-B1", "--output=size,used,avail,pcent", "/").split()
    size, used, free, percent = (int(figure.rstrip("%")) for figure in df[-4:])
    (mount,) = result.data["filesystems"]
    assert mount["total"] == size
    assert abs(mount["used"] - used) < 500e6
    assert abs(mount["free"] - free) < 500e6
    shown = int(result.summary.partition("(")[2].partition("used (")[2].partition("%")[0])
    assert abs(shown - percent) <= 1
    inodes = (await call("inode_usage", path="/tmp")).data.get("filesystems")
    if inodes:
        stats = os.statvfs("/tmp")
        assert inodes[0]["inodes"] == stats.f_files


async def test_memory_agrees_with_the_kernel(call) -> None:  # type: ignore[no-untyped-def]
    result = await call("memory_usage")
    kernel = kernel_memory()
    assert result.data["total"] == kernel["MemTotal"]
    assert abs(result.data["available"] - kernel["MemAvailable"]) < 300e6
    assert result.data["swap_total"] == kernel["SwapTotal"]


async def test_load_processes_and_sockets(call) -> None:  # type: ignore[no-untyped-def]
    load = await call("cpu_load")
    assert load.data["processors"] == os.cpu_count()
    assert 0 <= load.data["busy_percent"] <= 100
    overview = await call("system_overview")
    assert socket.gethostname() in overview.summary
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = await call("listening_sockets", port=port)
        assert found.data["listeners"][0]["pid"] == os.getpid()
        assert f"tcp port {port}" in found.summary
    assert (
        await call("listening_sockets", port=port)
    ).summary == f"Nothing listens on port {port}."
    assert not (await call("listening_sockets", port=70_000)).ok
    assert "127.0.0.1" in (await call("network_interfaces", interface="lo")).summary
    assert not (await call("network_interfaces", interface="lo; rm")).ok


async def test_process_detail(call) -> None:  # type: ignore[no-untyped-def]
    mine = psutil.Process()
    by_pid = await call("process_detail", process=f"pid {mine.pid}")
    assert by_pid.data["pid"] == mine.pid
    assert by_pid.data["threads"] >= 1
    assert (await call("process_detail", process=mine.name())).ok
    for nothing in ("²", "-1", "999999999999999999999", "4294967296", "no-such-thing", "[.*"):
        assert not (await call("process_detail", process=nothing)).ok


async def test_a_process_with_a_hostile_name(call) -> None:  # type: ignore[no-untyped-def]
    with process_named(b"x\n\x1b[31mok\xff") as pid:
        detail = await call("process_detail", process=str(pid))
        assert detail.ok
        assert detail.data["name"] == "x\n\ufffd[31mok\ufffd"
        assert (await call("top_processes", by="cpu")).ok
        largest = await call("top_processes", by="memory")
        assert {detail.provenance, largest.provenance} == {Provenance.TEXT}
        sizes = [process["memory"] for process in largest.data["processes"]]
        assert sizes == sorted(sizes, reverse=True)


async def test_directory_sizes(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tree = tmp_path / "tree"
    (tree / "big" / "deep").mkdir(parents=True)
    (tree / "small\n\x1b[2J").mkdir()
    (tree / "big" / "deep" / "file").write_bytes(b"x" * 3_000_000)
    os.link(tree / "big" / "deep" / "file", tree / "again")
    (tree / "loop").symlink_to(tree)
    result = await call("directory_sizes", path=str(tree))
    du = int(run("du", "-s", "-B1", str(tree)).split()[0])
    assert abs(result.data["total"] - du) <= 4_096, "the folder itself is not counted"
    assert result.data["complete"] is True
    assert "big 2.9 MiB" in result.summary or "again 2.9 MiB" in result.summary
    for path in ("relative", str(tree / "again"), str(tree / "none"), "/\0"):
        assert not (await call("directory_sizes", path=path)).ok


async def test_directory_sizes_is_bounded(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    wide = tmp_path / "wide"
    wide.mkdir()
    for number in range(3_000):
        (wide / str(number)).touch()
    monkeypatch.setattr(storage, "_WALK_ENTRIES", 500)
    result = await call("directory_sizes", path=str(wide))
    assert result.data["complete"] is False
    assert "least values" in result.summary
    result = await call("directory_sizes", path=str(tmp_path))
    assert result.data["complete"] is False
    monkeypatch.setattr(storage, "_WALK_ENTRIES", 400_000)
    monkeypatch.setattr(storage, "_WALK_SECONDS", 0.0)
    assert (await call("directory_sizes", path=str(wide))).data["complete"] is False
    # Deeper than a path may be long.
    monkeypatch.setattr(storage, "_WALK_SECONDS", 6.0)
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    result = await call("directory_sizes", path=str(deep))
    assert result.ok
    assert result.data["complete"] is False
    run("rm", "-rf", str(deep))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": None},
        {"path": ""},
        {"path": 5, "lines": "x"},
        {"path": ["/etc"]},
        {"path": {"a": 1}},
        {"path": True},
        {"path": "/x" * 1_000},
        {"path": "/a\0b"},
        {"path": "/a\nb"},
        {"path": "/\ud800"},
        {"path": "/etc/hosts", "lines": 0},
        {"path": "/etc/hosts", "lines": -5},
        {"path": "/etc/hosts", "lines": 10**5_000},
        {"path": "/etc/hosts", "lines": "9" * 5_000},
        {"path": "/etc/hosts", "lines": 1.5},
        {"path": "/etc/hosts", "lines": float("nan")},
        {"path": "/etc/hosts", "lines": True},
        {"path": "/etc/hosts", "surprise\x1b[31m": "x" * 5_000},
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object]) -> None:
    spec = next(spec for spec in tool_specs() if spec.name == "file_excerpt")
    with pytest.raises(ArgumentError):
        checked_arguments(spec, arguments)


def test_arguments_that_models_dress_up() -> None:
    spec = next(spec for spec in tool_specs() if spec.name == "unit_log")
    for lines in (50, "50", 50.0, " 50 "):
        assert checked_arguments(spec, {"unit": " cron ", "lines": lines}) == {
            "unit": "cron", "lines": 50,
        }  # fmt: skip
    assert checked_arguments(spec, {"unit": "cron", "lines": None})["lines"] == 30
    with pytest.raises(ArgumentError, match="must be an object"):
        checked_arguments(spec, ["cron"])  # type: ignore[arg-type]


async def test_the_toolbox_never_raises_for_a_tool() -> None:
    async def slow() -> ToolResult:
        await asyncio.sleep(30)
        raise AssertionError

    async def broken() -> ToolResult:
        raise KeyError("unit")

    async def odd() -> ToolResult:
        data = {"f": float("nan"), "s": "\udcff\x1b", "n": 2**80, "p": Path("/x"), 3: {1, 2}}
        return ToolResult(ok=True, summary="a\n\tb\x1b[31m\u202e", data=data)  # type: ignore[arg-type]

    async def large() -> ToolResult:
        return ToolResult(ok=True, summary="x" * 9_000, data={"x": "y" * 100_000})

    async def gone() -> ToolResult:
        raise psutil.NoSuchProcess(5)

    box = HostToolbox(
        tools={
            "timers": slow, "failed_units": broken, "cpu_load": odd, "memory_usage": large,
            "login_sessions": gone,
        },
        timeout=0.1,
    )  # fmt: skip
    began = time.monotonic()
    result = await box.call(name="timers", arguments={})
    assert not result.ok
    assert result.summary == "timers did not finish within 0.1 s and was given up."
    assert time.monotonic() - began < 2
    assert "defect" in (await box.call(name="failed_units", arguments={})).summary
    assert not (await box.call(name="login_sessions", arguments={})).ok
    result = await box.call(name="cpu_load", arguments={})
    assert result.summary == "a b\ufffd[31m\ufffd"
    assert result.data["f"] is None
    assert result.data["s"] == "\ufffd\ufffd"
    result = await box.call(name="memory_usage", arguments={})
    assert len(result.summary) <= 2_000
    assert "cut" in result.data
    result = await box.call(name="rm\n-rf", arguments={})
    assert not result.ok
    assert "There is no tool" in result.summary
    assert not (await box.call(name="cpu_load", arguments={"x": 1})).ok


async def test_records_in_words(call, records) -> None:  # type: ignore[no-untyped-def]
    records.incidents = [incident("brute\nforce \x1b[31m" + "x" * 5_000)]
    found = await call("incident_search", query="open ssh incidents")
    assert records.wanted.text == "ssh"
    assert found.summary.startswith("1 incident that match 'open ssh incidents': #7 warning brute")
    records.patterns = [Pattern("Failed password for <*>\r\nfrom <*>")]
    counted = await call("event_query", text="password", hours=1_000_000)
    assert "250 times sshd: Failed password for <*> from <*>" in counted.summary
    assert (await call("event_query", text="x", hours=0)).ok is False
    records.series = [Series("/", 10.0, 20.0, 95.0, 94.5, 10.0, 60)]
    history = await call("metric_history", metric="disk")
    assert records.wanted == ("disk", 6)
    assert "disk / now 94.5%" in history.summary
    assert "rising" in history.summary
    assert not (await call("metric_history", metric="disk; drop")).ok

"""Systemd units: status, log, what failed, timers."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import Any

from daemon.tools.command import run_program
from daemon.tools.toolbox import ToolError
from daemon.tools.words import clock, duration, listed, newest, size
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

_NAME = re.compile(r"[A-Za-z0-9:_.@\\-]{1,250}")
_ROOT_UNITS = ("-.mount", "-.slice")
_NO_TIME = 2**62  # systemd's "never" is the largest number there is
_SUFFIXES = (
    ".service", ".socket", ".timer", ".mount", ".target", ".path", ".slice", ".scope", ".device",
    ".swap", ".automount",
)  # fmt: skip
_SHOWN = (
    "Id", "Description", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID",
    "ExecMainStatus", "MemoryCurrent", "ActiveEnterTimestamp", "StateChangeTimestamp",
    "UnitFileState",
)  # fmt: skip


def unit_name(given: str) -> str:
    """A unit's full name: "nginx" is "nginx.service". Raises `ToolError` for what can be none."""
    name = given.strip().strip("\"'")
    if not _NAME.fullmatch(name) or (name.startswith("-") and name not in _ROOT_UNITS):
        raise ToolError(f"{given[:60]!r} is not the name of a unit.")
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


async def unit_status(*, unit: str) -> ToolResult:
    """What systemd says of one unit."""
    name = unit_name(unit)
    facts = await _show(name)
    if facts.get("LoadState") == "not-found":
        raise ToolError(f"There is no unit {name} on this host.{await _similar(name)}")
    active, sub = facts.get("ActiveState", "unknown"), facts.get("SubState", "")
    since = facts.get("StateChangeTimestamp") or "unknown"
    parts = [f"{name} is {active} ({sub}) since {since}"]
    if active == "failed":
        parts.append(f"result {facts.get('Result')}, exit status {facts.get('ExecMainStatus')}")
    if (restarts := facts.get("NRestarts", "0")) != "0":
        parts.append(f"{restarts} restarts")
    if (pid := facts.get("MainPID", "0")) != "0":
        parts.append(f"main process {pid}")
    if (memory := facts.get("MemoryCurrent", "")).isdigit():
        parts.append(f"memory {size(int(memory))}")
    if state := facts.get("UnitFileState"):
        parts.append(state)
    return ToolResult(
        ok=True, summary=", ".join(parts) + ".", data=facts, provenance=Provenance.SYSTEMD
    )


async def unit_log(*, unit: str, lines: int = 30) -> ToolResult:
    """The newest log lines of one unit, oldest first."""
    name = unit_name(unit)
    argv = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--unit={name}"]
    output = await run_program([*argv, f"--lines={min(lines, 200)}"])
    if output.status != 0:
        raise ToolError(f"The journal cannot be read: {_first_line(output.text)}")
    found = [line for line in output.text.splitlines() if line.strip()]
    if not found:
        raise ToolError(f"The journal has no lines of {name}.")
    summary = f"{len(found)} log lines of {name}, the newest: {newest(found, most=5)}"
    data = {"unit": name, "lines": [line[:2_000] for line in found]}
    return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)


async def failed_units() -> ToolResult:
    """All failed units."""
    failed = await _failed()
    if not failed:
        return ToolResult(
            ok=True,
            summary="0 units have failed.",
            data={"failed": []},
            provenance=Provenance.SYSTEMD,
        )
    names = [f"{entry['unit']} ({entry.get('description', '')})" for entry in failed]
    plural = "unit has" if len(failed) == 1 else "units have"
    summary = f"{len(failed)} {plural} failed: {listed(names, most=10)}."
    return ToolResult(
        ok=True, summary=summary, data={"failed": failed}, provenance=Provenance.SYSTEMD
    )


async def timers() -> ToolResult:
    """Timers with their last and next run."""
    entries = await _list("list-timers", "--all")
    if not entries:
        return ToolResult(ok=True, summary="There are 0 timers.", data={"timers": []})
    now = time.time()
    words = []
    for entry in sorted(entries, key=lambda e: _microseconds(e.get("next")) or _NO_TIME):
        upcoming = _microseconds(entry.get("next")) / 1e6
        when = f"next in {duration(upcoming - now)}" if upcoming > now else "no next run"
        last = _microseconds(entry.get("last")) / 1e6
        past = f"last {clock(last)}" if last else "never ran"
        words.append(f"{entry.get('unit')} {when}, {past}")
    summary = f"{len(entries)} timers: {listed(words, most=8)}."
    return ToolResult(
        ok=True, summary=summary, data={"timers": entries}, provenance=Provenance.SYSTEMD
    )


def _microseconds(value: object) -> int:
    """A time of systemd's; 0 for none."""
    return value if isinstance(value, int) and 0 < value < _NO_TIME else 0


async def count_failed() -> int | None:
    """How many units have failed; None where systemd cannot be asked."""
    try:
        return len(await _failed())
    except ToolError:
        return None


async def _failed() -> list[dict[str, Any]]:
    return await _list("list-units", "--all", "--state=failed")


async def _list(*arguments: str) -> list[dict[str, Any]]:
    _need_systemctl()
    output = await run_program(["systemctl", "--no-pager", "--output=json", *arguments])
    if output.status != 0:
        raise ToolError(f"systemd cannot be asked: {_first_line(output.text)}")
    try:
        entries = json.loads(output.text or "[]")
    except json.JSONDecodeError as error:
        raise ToolError("This systemd is too old to list as JSON (248 or later is).") from error
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("unit")]


async def _show(name: str) -> dict[str, str]:
    _need_systemctl()
    output = await run_program(
        ["systemctl", "show", "--no-pager", f"--property={','.join(_SHOWN)}", "--", name]
    )
    if output.status != 0:
        raise ToolError(f"systemd cannot be asked: {_first_line(output.text)}")
    pairs = (line.partition("=") for line in output.text.splitlines())
    return {key: value for key, _, value in pairs if key}


async def _similar(name: str) -> str:
    stem = name.split(".")[0].split("@")[0]
    try:
        entries = await _list("list-units", "--all", f"*{stem[:8]}*")
    except ToolError:
        return ""
    names = [str(entry["unit"]) for entry in entries][:5]
    return f" Similar: {', '.join(names)}." if names else ""


def _need_systemctl() -> None:
    if shutil.which("systemctl") is None:
        raise ToolError("This host does not run systemd.")


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0][:200]

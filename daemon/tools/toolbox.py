"""Calls tools: arguments checked, time limited, output bounded, failures told as results."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import psutil
import structlog

from daemon.tools.catalogue import ArgumentError, checked_arguments, tool_specs
from daemon.tools.words import one_line, printable
from tiers.contracts import ToolResult, ToolSpec

log = structlog.get_logger()

Tool = Callable[..., Awaitable[ToolResult]]
"""Takes its arguments by keyword. Raises `ToolError` for what it can explain."""

_MAX_SUMMARY = 2_000
_MAX_DATA = 64 * 1024


class ToolError(Exception):
    """A tool cannot answer. The sentence says why and what to do; models read it."""


class HostToolbox:
    """The tools of this host. Satisfies `tiers.contracts.Toolbox`."""

    def __init__(self, *, tools: Mapping[str, Tool], timeout: float) -> None:
        self._specs = {spec.name: spec for spec in tool_specs() if spec.name in tools}
        self._tools = dict(tools)
        self._timeout = timeout

    def specs(self) -> Sequence[ToolSpec]:
        return tuple(self._specs.values())

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        spec = self._specs.get(name)
        if spec is None:
            return _failed(
                f"There is no tool {str(name)[:60]!r}; there are {', '.join(self._specs)}."
            )
        try:
            checked = checked_arguments(spec, arguments)
            async with asyncio.timeout(self._timeout):
                return _bounded(await self._tools[name](**checked))
        except (ArgumentError, ToolError) as error:
            return _failed(f"{error}")
        except TimeoutError:
            return _failed(f"{name} did not finish within {self._timeout:g} s and was given up.")
        except (OSError, psutil.Error) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "msg", None) or error
            log.info("tool failed", tool=name, error=str(error))
            return _failed(f"{name} could not read what it needs: {reason}.")
        except Exception as error:
            log.error("tool failed", tool=name, exc_info=error)
            return _failed(f"{name} failed by a defect of its own; triaged's log has the details.")


def _failed(summary: str) -> ToolResult:
    return ToolResult(ok=False, summary=_cut(one_line(summary)))


def _bounded(result: ToolResult) -> ToolResult:
    """One line of summary without control characters, and data that JSON can hold: names of files
    and processes, and lines of logs, are whatever somebody made them."""
    data = _tidy(result.data)
    size = len(orjson.dumps(data))
    if size > _MAX_DATA:
        data = {"cut": f"{size} bytes of data were left out; ask for less"}
    return ToolResult(
        ok=result.ok,
        summary=_cut(one_line(result.summary)),
        data=data,
        provenance=result.provenance,
    )


def _cut(summary: str) -> str:
    if len(summary) <= _MAX_SUMMARY:
        return summary
    return summary[: _MAX_SUMMARY - 20].rstrip() + " ... (cut)"


def _tidy(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case bool() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {printable(str(key)): _tidy(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_tidy(entry) for entry in value]
        case _:
            return printable(str(value))

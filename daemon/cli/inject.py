"""`triaged inject`: hand an event to the running daemon and, if asked, see what becomes of it."""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import typer

from daemon.cli.client import DaemonClient
from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError
from daemon.cli.render import incident_table
from daemon.intake.headers import parse_line

_PROGRAM = re.compile(
    r"(?P<program>[A-Za-z][\w./@-]{0,63})(?:\[\d+\])?: +(?P<message>\S.*)", re.DOTALL
)
"""What people type: "kernel: Out of memory", as the end of a syslog line."""


_MOST_EVENTS = 1_000
_MOST_BYTES = 900_000
_LONGEST_LINE = 262_144


def register(app: typer.Typer) -> None:
    app.command("inject", epilog='triaged inject "kernel: Out of memory: Killed process 42 (db)"')(
        inject
    )


def inject(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="A log line; '-' reads lines from stdin.")],
    unit: Annotated[
        str | None, typer.Option("--unit", "-u", help="Unit or program; else taken from the line.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", help="Seconds to wait for an incident; 0 does not wait.", min=0),
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hand an event to the running daemon."""
    shared: Context = context.obj
    client = shared.client()
    lines = _lines(typer.get_binary_stream("stdin")) if text == "-" else iter([text])
    events = (_event(line, unit) for line in lines if line.strip())
    first = next(events, None)
    if first is None:
        raise CommandError("there is nothing to inject: the text is empty")
    before = {entry["id"] for entry in client.get("/api/v1/incidents", limit=500)["incidents"]}
    accepted = 0
    for some in _posts(itertools.chain([first], events)):
        accepted += client.post("/api/v1/events", {"events": some})["accepted"]
    found = _wait(client, before, wait)
    if as_json:
        print_json({"accepted": accepted, "incidents": found})
        return
    out.print(f"{accepted} events accepted")
    if wait:
        out.print(incident_table(found))


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Lines of whatever bytes come, as they come: what is no UTF-8 is marked, a line that never
    ends is cut."""
    while line := stream.readline(_LONGEST_LINE):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _posts(events: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """As many as the daemon takes at once, in number and in size."""
    some: list[dict[str, str]] = []
    size = 0
    for event in events:
        length = _size(event)
        if some and (len(some) == _MOST_EVENTS or size + length > _MOST_BYTES):
            yield some
            some, size = [], 0
        some.append(event)
        size += length
    if some:
        yield some


def _size(event: dict[str, str]) -> int:
    """At most so many bytes as JSON: a character may take six."""
    return 64 + 6 * sum(len(value) for value in event.values())


def _event(line: str, unit: str | None) -> dict[str, str]:
    parsed = parse_line(line)
    message, program = parsed.message, parsed.unit
    if not program and (match := _PROGRAM.match(line)):
        program, message = match["program"], match["message"]
    event = {"text": message[:65_536], "unit": (unit or program or "")[:256]}
    if parsed.host and parsed.host != socket.gethostname():
        event["host"] = parsed.host
    return event


def _wait(client: DaemonClient, before: set[int], seconds: float) -> list[dict[str, object]]:
    """Incidents that are new or were touched, as soon as one was assessed or the time is over."""
    deadline = time.monotonic() + seconds
    found: list[dict[str, object]] = []
    while time.monotonic() < deadline:
        listed = client.get("/api/v1/incidents", limit=50)["incidents"]
        found = [entry for entry in listed if entry["id"] not in before]
        if found and all(entry["assessed"] for entry in found):
            break
        time.sleep(0.25)
    return found

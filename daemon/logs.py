"""What the daemon says of itself: structlog, for people on a terminal and JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRETS = ("password", "token", "secret", "authorization", "api_key", "dsn")


def configure_logs(
    *,
    level: str,
    format: Literal["auto", "console", "json"],  # noqa: A002
    stream: TextIO | None = None,
) -> None:
    """Sends logs to `stream`, stderr without one. Fields whose names speak of secrets are never
    shown."""
    goal = sys.stderr if stream is None else stream
    people = format == "console" or (format == "auto" and goal.isatty())
    renderer: structlog.typing.Processor = (
        # Plain tracebacks: the pretty ones print local variables, secrets among them, and take
        # seconds in which nothing else runs.
        structlog.dev.ConsoleRenderer(
            colors=goal.isatty(),
            pad_event_to=32,
            exception_formatter=structlog.dev.plain_traceback,
        )
        if people
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
            _hide_secrets,
            _one_line if people else _keep,
            structlog.processors.format_exc_info if not people else _keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=goal),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=goal, format="%(name)s: %(message)s")
    # Its warnings are what strangers send, and its errors are told by the facade itself.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def _hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        # A count of tokens is none: secrets are texts.
        if isinstance(value, int | float):
            continue
        if any(word in name.lower() for word in _SECRETS):
            event[name] = "(not shown)"
    return event


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Text from the host stands in events: on a terminal it must not drive anything."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable() and name != "exception":
            event[name] = "".join(
                c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in value
            )
    return event


def _keep(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return event

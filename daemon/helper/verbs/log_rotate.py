"""Rotates the logs of one configuration of logrotate, now."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import NotAllowedError, RefusedError
from daemon.helper.trust import read_trusted

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,100}", re.ASCII)
_LIMIT = 65_536
_GENERAL = "logrotate.conf"
_PLAIN = frozenset(
    {
        *("hourly", "daily", "weekly", "monthly", "yearly", "rotate", "start", "su", "olddir"),
        *("create", "nocreate", "dateext", "nodateext", "dateformat", "dateyesterday", "extension"),
        *("compress", "nocompress", "compresscmd", "uncompresscmd", "compressext"),
        *("compressoptions", "delaycompress", "nodelaycompress", "copytruncate", "nocopytruncate"),
        *("missingok", "nomissingok", "ifempty", "notifempty", "size", "minsize", "maxsize"),
        *("minage", "maxage", "sharedscripts", "nosharedscripts", "shred", "noshred"),
    }
)


def _run(arguments: Arguments, context: Context) -> Done:
    name = arguments.text("name", _NAME)
    arguments.end()
    file = context.config.logrotate / name
    with context.lock("logrotate"):
        try:
            read_trusted(file, limit=_LIMIT)
        except FileNotFoundError:
            raise RefusedError(f"there is no {file}") from None
        except NotAllowedError as error:
            raise RefusedError(str(error)) from error
        with _general(context) as general:
            argv = ["logrotate", "--force", *general, str(file)]
            output = context.programs.must(argv, seconds=200)
    return Done(detail=f"rotated the logs of {file}", data={"output": output.text[-1_000:]})


@contextlib.contextmanager
def _general(context: Context) -> Iterator[list[str]]:
    """A file with the host's general settings: a configuration counts on them ("rotate 4"), and
    without them its old logs would be removed instead of kept."""
    try:
        text = read_trusted(context.config.logrotate.parent / _GENERAL, limit=_LIMIT).decode()
    except (FileNotFoundError, UnicodeDecodeError, NotAllowedError):
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="triaged-helper-") as folder:
        path = Path(folder) / _GENERAL
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            file.write("".join(f"{line}\n" for line in general_lines(text)))
        yield [str(path)]


def general_lines(text: str) -> list[str]:
    """The settings of logrotate.conf that hold for all logs: no logs of its own, no other files."""
    lines, depth = [], 0
    for line in (line.strip() for line in text.splitlines()):
        if depth == 0 and line.split(maxsplit=1)[:1] and line.split()[0] in _PLAIN:
            lines.append(line)
        depth = max(0, depth + line.count("{") - line.count("}"))
    return lines


LOG_ROTATE = Verb(name="log-rotate", seconds=240.0, run=_run)

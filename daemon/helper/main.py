"""One call of the helper: who asks, what is asked, whether root allows it, the verb, the answer.

Console script `triaged-helper`. The connection is stdin, as systemd hands it over for a socket
with Accept=yes. The answer is one line of JSON:

    {"ok": true, "code": "done", "detail": "...", "data": {...}}

where `code` is that of a `errors.HelperError` when `ok` is false.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from daemon.helper import config as configuration
from daemon.helper import journal
from daemon.helper.arguments import Arguments
from daemon.helper.config import Config
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import (
    FailedError,
    HelperError,
    NotAllowedError,
    RequestError,
    TimeError,
)
from daemon.helper.peers import Peer, admit, peer_of
from daemon.helper.programs import Programs
from daemon.helper.request import Request, parse, read_line
from daemon.helper.verbs.table import VERBS

_GREETING = "hello"
_LINE_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_ANSWER_LIMIT = 262_144
_DETAIL_LIMIT = 2_000


def entry() -> NoReturn:
    """The command. Its arguments are root's: systemd or the daemon as root gives them."""
    parser = argparse.ArgumentParser(
        prog="triaged-helper", description="one call of triaged's root helper, on stdin"
    )
    parser.add_argument("--config", type=Path, default=configuration.PATH)
    options = parser.parse_args()
    os.environ.clear()
    os.umask(0o022)
    os.chdir("/")
    try:
        connection = socket.socket(fileno=os.dup(0))
    except OSError as error:
        sys.stderr.write(f"stdin is no socket ({error.strerror}): systemd starts the helper\n")
        sys.exit(2)
    with connection:
        sys.exit(serve(connection, options.config))


def serve(connection: socket.socket, file: Path) -> int:
    """One call. Returns the exit status: 0 where an answer was made, whatever it says."""
    began = time.monotonic()
    call = _Call(connection, file)
    try:
        done = call.answer()
        ok, code, detail, data = True, "done", done.detail, done.data
    except HelperError as error:
        ok, code, detail, data = False, error.code, str(error), {}
    except OSError as error:
        ok, code, detail, data = False, "failed", f"the host refused: {error}", {}
    except Exception as error:  # noqa: BLE001 (root's door answers and logs whatever happens)
        ok, code, detail, data = False, "failed", f"the helper has a fault: {error!r}", {}
    verb = call.request.verb if call.request else "-"
    if not (ok and verb == _GREETING):  # the daemon asks every minute which verbs there are
        journal.write(
            peer=call.peer,
            verb=verb,
            arguments=call.request.arguments if call.request else None,
            code=code,
            detail=detail,
            seconds=time.monotonic() - began,
        )
    _send(connection, {"ok": ok, "code": code, "detail": detail[:_DETAIL_LIMIT], "data": data})
    return 0


class _Call:
    """Keeps what is known of the call for its log line, however far it comes."""

    def __init__(self, connection: socket.socket, file: Path) -> None:
        self._connection = connection
        self._file = file
        self.peer: Peer | None = None
        self.request: Request | None = None

    def answer(self) -> Done:
        self.peer = peer_of(self._connection)
        config = self._config(self.peer)
        self.request = parse(read_line(self._connection, seconds=_LINE_SECONDS))
        verb = VERBS.get(self.request.verb)
        if verb is None:
            raise RequestError(f"{self.request.verb!r} is no verb of the helper")
        _allow(verb, config)
        context = Context(config=config, programs=Programs(folders=config.programs), peer=self.peer)
        with _deadline(verb):
            return verb.run(Arguments(self.request.arguments), context)

    def _config(self, peer: Peer) -> Config:
        """A file that cannot be relied on names no user either: then only root gets to read why."""
        try:
            config = configuration.load(self._file, frozenset(VERBS))
        except NotAllowedError:
            admit(peer, user=Config(file=self._file).user)
            raise
        admit(peer, user=config.user)
        return config


def _allow(verb: Verb, config: Config) -> None:
    if verb.name == _GREETING or set(verb.with_any or (verb.name,)) & set(config.verbs):
        return
    name = verb.with_any[0] if verb.with_any else verb.name
    if config.exists:
        raise NotAllowedError(
            f"{config.file} does not allow {name!r}: root adds it to the list 'verbs' there"
        )
    raise NotAllowedError(
        f"there is no {config.file}, so the helper does nothing: root makes it with "
        f'verbs = ["{name}"], owned by root and not writable by others'
    )


@contextlib.contextmanager
def _deadline(verb: Verb) -> Iterator[None]:
    """The last line of defence; programs have deadlines of their own. An end from outside is one
    too, so that children are killed on the way out."""

    def over(number: int, frame: object) -> NoReturn:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if number == signal.SIGALRM:
            raise TimeError(f"{verb.name} did not end within {verb.seconds:g} s")
        raise FailedError(f"the helper was told to end while it did {verb.name}")

    signal.signal(signal.SIGALRM, over)
    signal.signal(signal.SIGTERM, over)
    signal.setitimer(signal.ITIMER_REAL, verb.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _send(connection: socket.socket, answer: Mapping[str, Any]) -> None:
    line = json.dumps(answer, ensure_ascii=True).encode() + b"\n"
    if len(line) > _ANSWER_LIMIT:
        cut = {**answer, "data": {}, "detail": f"{answer['detail']} (the data was too long)"}
        line = json.dumps(cut, ensure_ascii=True).encode() + b"\n"
    connection.settimeout(_ANSWER_SECONDS)
    with contextlib.suppress(OSError):
        connection.sendall(line)

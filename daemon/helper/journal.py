"""The helper's own log: one line for each call, on stderr, which systemd gives to the journal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from daemon.helper.peers import Peer

_MOST = 2_000


def write(
    *,
    peer: Peer | None,
    verb: str,
    arguments: Mapping[str, Any] | None,
    code: str,
    detail: str,
    seconds: float,
) -> None:
    """JSON in ASCII escapes every control character, so that no argument can make a line."""
    who = f"uid={peer.uid} pid={peer.pid}" if peer is not None else "uid=? pid=?"
    words = (
        f"verb={_quoted(verb, 40)} {who} outcome={code} seconds={seconds:.3f} "
        f"arguments={_quoted(arguments, _MOST)} detail={_quoted(detail, _MOST)}"
    )
    try:
        sys.stderr.write(words + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads it; the answer says the same


def _quoted(value: object, most: int) -> str:
    text = json.dumps(value, ensure_ascii=True, default=repr).replace("\x7f", "\\u007f")
    return text if len(text) <= most else text[:most] + "..."

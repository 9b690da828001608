"""Whether the unit's fences let a verb through, told before it begins and fails half-way."""

from __future__ import annotations

import os

from daemon.helper.errors import RefusedError

_DROP_INS = "/etc/systemd/system/triaged-helper@.service.d"


def require_writable(path: str, *, drop_in: str) -> None:
    """Raises `RefusedError` where `path` is read-only for the helper."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise RefusedError(
            f"{path} is read-only for the helper: root puts {drop_in} into {_DROP_INS}, "
            "and runs systemctl daemon-reload"
        )

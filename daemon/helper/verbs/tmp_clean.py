"""Cleans temporary files: /tmp and /var/tmp by the host's own rules, other folders by age."""

from __future__ import annotations

import re
import time
from pathlib import Path

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import RefusedError
from daemon.helper.folders import sweep, why_never

_PATH = re.compile(r"(/[^/\x00-\x1f\x7f]{1,255}){1,30}")
_BY_RULES = frozenset({Path("/tmp"), Path("/var/tmp")})  # noqa: S108 (named, not written to)
_DAY = 86_400
_SECONDS = 200.0
_LOOK_SECONDS = 40.0


def _clean(arguments: Arguments, context: Context) -> Done:
    folder, days = _asked(arguments, context)
    with context.lock(f"folder {folder}"):
        if _by_rules(folder, context):
            argv = ["systemd-tmpfiles", "--clean", f"--prefix={folder}"]
            output = context.programs.must(argv, seconds=_SECONDS)
            words = f"systemd-tmpfiles cleaned {folder}"
            return Done(detail=words, data={"output": output.text[-1_000:]})
        swept = sweep(folder, older_than=days * _DAY, now=time.time(), seconds=_SECONDS)
    more = "" if swept.whole else "; there is more than one call looks at"
    return Done(
        detail=f"removed {swept.files} files with {swept.bytes} bytes from {folder}{more}",
        data={"removed": swept.files, "bytes": swept.bytes, "left": swept.left},
    )


def _look(arguments: Arguments, context: Context) -> Done:
    """How much there is that `tmp-clean` would remove by age."""
    folder, days = _asked(arguments, context)
    age = days * _DAY
    found = sweep(folder, older_than=age, now=time.time(), seconds=_LOOK_SECONDS, remove=False)
    return Done(
        detail=f"{found.files} files in {folder} are older than {days} days",
        data={"files": found.files, "bytes": found.bytes, "whole": found.whole},
    )


def _asked(arguments: Arguments, context: Context) -> tuple[Path, int]:
    text = arguments.text("path", _PATH)
    days = arguments.whole("older_than_days", least=1, most=3_650)
    arguments.end()
    folder = Path(text)
    if str(folder) != text or ".." in folder.parts:
        raise RefusedError(f"{text!a} is not a plain path")
    if not _by_rules(folder, context):
        if folder not in context.config.folders:
            raise RefusedError(f"{folder} is not among the 'folders' of {context.config.file}")
        if why := why_never(folder):
            raise RefusedError(why)
    return folder, days


def _by_rules(folder: Path, context: Context) -> bool:
    return folder in _BY_RULES and folder not in context.config.folders


TMP_CLEAN = Verb(name="tmp-clean", seconds=260.0, run=_clean)
TMP_LOOK = Verb(name="tmp-look", seconds=80.0, run=_look, with_any=("tmp-clean",))

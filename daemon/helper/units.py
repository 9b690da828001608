"""Units as systemd has them, and which of them the helper changes."""

from __future__ import annotations

import dataclasses
import re

from daemon.helper.critical import why_critical_unit
from daemon.helper.errors import FailedError, RefusedError
from daemon.helper.programs import Programs

NAME = re.compile(
    r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,240}\.(service|socket|timer|path)", re.ASCII
)
"""Those that are started and stopped; others stand for much more than themselves."""

_SECONDS = 20.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """`active` and `file` are systemd's words: active, failed, ...; enabled, disabled, ..."""

    name: str
    active: str
    file: str


def look(unit: str, programs: Programs) -> Unit:
    """Raises `RefusedError` where systemd cannot load it, or has it under another name."""
    properties = "Id,LoadState,ActiveState,UnitFileState"
    argv = ["systemctl", "show", f"--property={properties}", "--", unit]
    output = programs.must(argv, seconds=_SECONDS)
    values = dict(line.partition("=")[::2] for line in output.text.splitlines())
    if "LoadState" not in values:
        raise FailedError(f"systemctl says nothing of {unit}: {output.last}")
    if values["LoadState"] != "loaded":
        raise RefusedError(f"systemd has no unit {unit} to load ({values['LoadState']})")
    if values.get("Id") != unit:
        raise RefusedError(f"{unit} is another name of {values.get('Id')}: name that one")
    return Unit(
        name=unit, active=values.get("ActiveState", ""), file=values.get("UnitFileState", "")
    )


def changeable(unit: str, programs: Programs, critical: tuple[str, ...]) -> Unit:
    """As `look`; raises `RefusedError` for a critical unit too."""
    if why := why_critical_unit(unit, critical):
        raise RefusedError(f"{unit} is never changed: it is {why}")
    return look(unit, programs)


def installed_along(unit: str, programs: Programs) -> tuple[str, ...]:
    """The units that are enabled and disabled with it: what its Also= names."""
    text = programs.must(["systemctl", "cat", "--", unit], seconds=_SECONDS).text
    lines = (line.strip() for line in text.splitlines())
    names = [line.partition("=")[2].split() for line in lines if re.match(r"Also\s*=", line)]
    return tuple(name for group in names for name in group)


def reload(programs: Programs) -> None:
    """Has systemd read its unit files again."""
    programs.must(["systemctl", "--no-ask-password", "daemon-reload"], seconds=60)

"""Names of units, and the object paths that stand for them on D-Bus: systemd.unit(5)."""

from __future__ import annotations

import re

UNIT_PATH = "/org/freedesktop/systemd1/unit/"
_UNIT_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.@\\-]+)?\.[a-z]+")
"""Without templates, which are no units."""


_TYPES = (
    *(".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path"),
    *(".timer", ".slice", ".scope"),
)


def is_unit(name: str) -> bool:
    """Whether systemd could have a unit of this name."""
    return _UNIT_NAME.fullmatch(name) is not None


def with_type(name: str, suffix: str) -> str:
    """What people call a unit, completed as systemctl does: "ssh" is "ssh.service". As it is where
    it has a type, or would still be no unit's name."""
    whole = f"{name}{suffix}"
    return name if name.endswith(_TYPES) or not is_unit(whole) else whole


def path_of(unit: str) -> str:
    """The object path of a unit: all but letters and digits as _xx, a leading digit too."""
    escaped = "".join(
        c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else _hex(c)
        for i, c in enumerate(unit)
    )
    return UNIT_PATH + escaped


def name_of(path: str) -> str:
    """The unit of an object path; empty for a path that is none of systemd's."""
    first, *rest = path.removeprefix(UNIT_PATH).split("_")
    raw = first.encode()
    try:
        for part in rest:
            raw += bytes.fromhex(part[:2]) + part[2:].encode()
    except ValueError:
        return ""
    return raw.decode(errors="replace")


def _hex(character: str) -> str:
    return "".join(f"_{byte:02x}" for byte in character.encode())

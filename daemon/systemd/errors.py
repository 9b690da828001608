"""What can go wrong between us and systemd's manager. Each message is a sentence."""

from __future__ import annotations


class BusError(Exception):
    """The bus, or the manager on it, does not answer: later it may."""


class BusAbsentError(BusError):
    """This host has no system bus, or no systemd on it."""


class RefusedError(BusError):
    """The manager answered with an error. `name` is the D-Bus name of the error, `text` systemd's
    own words."""

    def __init__(self, *, member: str, name: str, text: str) -> None:
        super().__init__(f"systemd refused {member}: {text or name}")
        self.member = member
        self.name = name
        self.text = text

"""Which addresses only this machine can reach."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"^(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(?::[0-9]{1,5})?$")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_loopback(host: bytes) -> bool:
    """Whether a Host header ("localhost:8083", "[::1]") names this machine's loopback."""
    match = _HOST.match(host.decode("latin-1"))
    if match is None:
        return False
    return is_loopback(match["name"].strip("[]").rstrip(".").lower())


def origin_is_here(origin: bytes | None, *, site: bytes | None) -> bool:
    """Whether a request was not sent by a web page of another machine, from its headers Origin and
    Sec-Fetch-Site. Programs send no Origin; browsers always do with what changes something."""
    if origin is None:
        return site != b"cross-site"
    try:
        name = urlsplit(origin.decode("latin-1")).hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)

"""/etc/triaged/helper.toml: what root allows. Without the file nothing is allowed."""

from __future__ import annotations

import dataclasses
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daemon.helper.errors import NotAllowedError
from daemon.helper.trust import read_trusted

PATH = Path("/etc/triaged/helper.toml")
_LIMIT = 65_536

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`file` is where it was read, `exists` whether it was there. `critical_units` and
    `containers` are globs, `programs` the folders in which programs are looked for, `drop_ins`
    the folder for changes to units, `locks` that of the locks."""

    file: Path
    exists: bool = True
    user: str = "triaged"
    verbs: tuple[str, ...] = ()
    critical_units: tuple[str, ...] = ()
    never_block: tuple[Network, ...] = ()
    folders: tuple[Path, ...] = ()
    mounts: tuple[Path, ...] = ()
    containers: tuple[str, ...] = ("*",)
    flake: str = ""
    programs: tuple[Path, ...] = (
        Path("/usr/sbin"),
        Path("/usr/bin"),
        Path("/sbin"),
        Path("/bin"),
        Path("/run/current-system/sw/bin"),
    )
    drop_ins: Path = Path("/etc/systemd/system")
    logrotate: Path = Path("/etc/logrotate.d")
    docker: Path = Path("/run/docker.sock")
    podman: Path = Path("/run/podman/podman.sock")
    locks: Path = Path("/run/triaged-helper-locks")


def load(file: Path, known_verbs: frozenset[str]) -> Config:
    """Raises `NotAllowedError` with what is wrong where the file cannot be relied on."""
    try:
        content = read_trusted(file, limit=_LIMIT)
    except FileNotFoundError:
        return Config(file=file, exists=False)
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NotAllowedError(f"{file} is not TOML, so nothing is allowed: {error}") from error
    return _config(file, table, known_verbs)


def _config(file: Path, table: Mapping[str, Any], known_verbs: frozenset[str]) -> Config:
    values: dict[str, Any] = {}
    for name, value in table.items():
        read = _READERS.get(name)
        if read is None:
            allowed = ", ".join(sorted(_READERS))
            raise NotAllowedError(f"{file} has {name!r}, which is no setting. There are: {allowed}")
        try:
            values[name] = read(value)
        except ValueError as error:
            raise NotAllowedError(f"{file}: {name}: {error}") from error
    unknown = sorted(set(values.get("verbs", ())) - known_verbs)
    if unknown:
        allowed = ", ".join(sorted(known_verbs))
        raise NotAllowedError(f"{file}: {unknown[0]!r} is no verb. There are: {allowed}")
    return Config(file=file, **values)


def _text(value: object) -> str:
    if not isinstance(value, str) or any(ord(char) < 32 for char in value):
        raise ValueError("has to be a text of one line")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('has to be a list of texts: ["one", "two"]')
    return tuple(_text(entry) for entry in value)


def _path(value: object) -> Path:
    path = Path(_text(value))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{value!r} is not a path from / on without '..'")
    return path


def _paths(value: object) -> tuple[Path, ...]:
    return tuple(_path(entry) for entry in _texts(value))


def _networks(value: object) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in _texts(value))


_READERS: Mapping[str, Callable[[object], Any]] = {
    "user": _text,
    "verbs": _texts,
    "critical_units": _texts,
    "never_block": _networks,
    "folders": _paths,
    "mounts": _paths,
    "containers": _texts,
    "flake": _text,
    "programs": _paths,
    "drop_ins": _path,
    "logrotate": _path,
    "docker": _path,
    "podman": _path,
    "locks": _path,
}

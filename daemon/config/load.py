"""Finds, reads and checks the configuration.

The first of these that exists is used: `--config`, `$TRIAGED_CONFIG`, `./triaged.toml`,
`~/.config/triaged/triaged.toml`, `/etc/triaged/triaged.toml`; none means the built-in defaults.
`TRIAGED__SECTION__KEY` in the environment overrides a single setting, `LLM_BACKEND` the backend of
every tier that names none.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from daemon.config.mistakes import Origin, sentence, unfit
from daemon.config.settings import Settings
from tiers.vocabulary import TierName

ENV_PREFIX = "TRIAGED__"

_MOST_BYTES = 4 * 1024 * 1024
_CREDENTIALS = "/run/credentials/triaged.service/"
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are sentences with file, line and mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Checked settings, and where they came from (None: built-in defaults)."""

    settings: Settings
    path: Path | None
    overrides: tuple[str, ...]


def find_config(*, given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to use. One that was named must exist: `ConfigError` otherwise."""
    for what, named in (("--config", given), ("$TRIAGED_CONFIG", environ.get("TRIAGED_CONFIG"))):
        if named:
            path = Path(named).expanduser()
            if not _is_file(path):
                why = "not a file" if path.exists() else "no such file"
                raise ConfigError([f"{path}: {why} (named by {what})"])
            return path
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    for path in (
        Path("triaged.toml"),
        Path(home) / "triaged" / "triaged.toml",
        Path("/etc/triaged/triaged.toml"),
    ):
        if _is_file(path):
            _refuse_strangers(path, environ)
            return path
    return None


def _refuse_strangers(path: Path, environ: Mapping[str, str]) -> None:
    """What root finds by itself must be root's, or of the one who called sudo: a configuration
    names programs, and anybody can leave one in a folder like /tmp. Raises `ConfigError`."""
    if os.geteuid() != 0:
        return
    status = path.stat()
    caller = environ.get("SUDO_UID", "")
    trusted = {0, int(caller) if caller.isascii() and caller.isdigit() else 0}
    why = ""
    if status.st_uid not in trusted:
        why = f"belongs to user {status.st_uid}"
    elif status.st_mode & stat.S_IWOTH:
        why = "can be changed by everybody"
    if why:
        message = (
            f"{path.absolute()}: not used, because it {why} and triaged runs as root; name it with "
            "--config if it is yours, or start triaged in another folder"
        )
        raise ConfigError([message])


def load_config(*, given: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Reads and checks everything. Raises `ConfigError` with one sentence per mistake."""
    env = os.environ if environ is None else environ
    path = find_config(given=given, environ=env)
    text, document = _read(path) if path is not None else ("", {})
    overrides = _overrides(env)
    for keys, value in overrides:
        _put(document, keys, value)
    names = {keys: _variable(keys) for keys, _ in overrides}
    names |= _put_backend(document, env)
    document = _with_own_credentials(document, env.get("CREDENTIALS_DIRECTORY", ""))
    origin = Origin(path=path, text=text, overrides=names)
    if problems := unfit(document, origin):
        raise ConfigError(problems)
    try:
        settings = Settings.model_validate(document)
    except pydantic.ValidationError as error:
        found = [sentence(problem, origin) for problem in error.errors()]
        # A union names one mistake once for each of its members.
        raise ConfigError(list(dict.fromkeys(found))) from error
    return Loaded(settings=settings, path=path, overrides=tuple(dict.fromkeys(names.values())))


def _with_own_credentials(value: Any, folder: str) -> Any:
    """systemd gives each unit a folder for its secrets and hides those of others: what the
    configuration names as the daemon's is read by API and models from their own `folder`."""
    match value:
        case str() if folder and value.startswith(_CREDENTIALS):
            return f"{folder}/{value.removeprefix(_CREDENTIALS)}"
        case dict():
            return {key: _with_own_credentials(entry, folder) for key, entry in value.items()}
        case list():
            return [_with_own_credentials(entry, folder) for entry in value]
        case _:
            return value


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ConfigError([f"{path}: larger than {_MOST_BYTES} bytes, which no setting needs"])
        text = raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 text (byte {error.start})"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT_LINE.search(message)
        last = max(1, len(text.splitlines()))
        where = f"{path}:{at[1] or last}" if at else str(path)
        said = _AT_LINE.sub("", message)
        raise ConfigError([f"{where}: not valid TOML: {said}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{path}: not usable: brackets are nested too deep"]) from error
    except ValueError as error:  # a number of thousands of digits, a day that does not exist
        raise ConfigError([f"{path}: not usable: {error}"]) from error


def _put_backend(
    document: dict[str, Any], environ: Mapping[str, str]
) -> dict[tuple[str, ...], str]:
    """`$LLM_BACKEND` is the backend of every tier that names none itself."""
    backend = environ.get("LLM_BACKEND")
    if not backend:
        return {}
    _put(document, ("tiers", "backend"), backend)
    placed: dict[tuple[str, ...], str] = {("tiers", "backend"): "LLM_BACKEND"}
    for tier in TierName:
        own = document["tiers"].get(tier.value, {})
        if isinstance(own, dict) and "backend" not in own:
            placed["tiers", tier.value, "backend"] = "LLM_BACKEND"
    return placed


def _overrides(environ: Mapping[str, str]) -> list[tuple[tuple[str, ...], Any]]:
    """Settings from the environment, the shortest names first."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        keys = tuple(part.lower() for part in name[len(ENV_PREFIX) :].split("__"))
        if not all(keys):
            raise ConfigError([f"${name}: not TRIAGED__SECTION__KEY"])
        found.append((keys, _from_environment(environ[name])))
    return found


def _from_environment(raw: str) -> Any:
    """Lists, tables and quoted texts are TOML. Everything else stays a text, which the setting
    turns into what it is: a password of digits must not become a number."""
    if raw.lstrip()[:1] not in ("[", "{", '"', "'"):
        return raw
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except (ValueError, RecursionError):
        return raw


def _variable(keys: Sequence[str]) -> str:
    return ENV_PREFIX + "__".join(keys).upper()


def _put(document: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for depth, key in enumerate(keys[:-1], start=1):
        below = document.setdefault(key, {})
        if not isinstance(below, dict):
            dotted = ".".join(keys[:depth])
            raise ConfigError([f"${_variable(keys)}: {dotted} is a value, not a section"])
        document = below
    document[keys[-1]] = value

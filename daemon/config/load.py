"""Finds, reads and checks the configuration.

The first of these that exists is used: `--config`, `$TRIAGED_CONFIG`, `./triaged.toml`,
`~/.config/triaged/triaged.toml`, `/etc/triaged/triaged.toml`; none means the built-in defaults.
`TRIAGED__SECTION__KEY` in the environment overrides a single setting.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from daemon.config.locate import line_of
from daemon.config.settings import Settings

ENV_PREFIX = "TRIAGED__"


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
            path = Path(named)
            if not path.is_file():
                raise ConfigError([f"{path}: no such file (named by {what})"])
            return path
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    for path in (
        Path("triaged.toml"),
        Path(home) / "triaged" / "triaged.toml",
        Path("/etc/triaged/triaged.toml"),
    ):
        if path.is_file():
            return path
    return None


def load_config(*, given: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Reads and checks everything. Raises `ConfigError` with one sentence per mistake."""
    env = os.environ if environ is None else environ
    path = find_config(given=given, environ=env)
    text, document = _read(path) if path is not None else ("", {})
    overrides = _overrides(env)
    for keys, value in overrides:
        _put(document, keys, value)
    try:
        settings = Settings.model_validate(document)
    except pydantic.ValidationError as error:
        overridden = {tuple(keys): value for keys, value in overrides}
        raise ConfigError(
            [_sentence(problem, path, text, overridden) for problem in error.errors()]
        ) from error
    names = tuple(ENV_PREFIX + "__".join(keys).upper() for keys, _ in overrides)
    return Loaded(settings=settings, path=path, overrides=names)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text (byte {error.start})"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from error


def _overrides(environ: Mapping[str, str]) -> list[tuple[list[str], Any]]:
    """Settings from the environment. A value is TOML where it parses as such, else a string."""
    found = []
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        keys = [part.lower() for part in name[len(ENV_PREFIX) :].split("__")]
        raw = environ[name]
        try:
            value = tomllib.loads(f"value = {raw}")["value"]
        except tomllib.TOMLDecodeError:
            value = raw
        found.append((keys, value))
    return found


def _put(document: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        below = document.get(key)
        if not isinstance(below, dict):
            below = {}
            document[key] = below
        document = below
    document[keys[-1]] = value


def _sentence(
    problem: Any,
    path: Path | None,
    text: str,
    overridden: Mapping[tuple[str, ...], Any],
) -> str:
    location = problem["loc"]
    names = tuple(str(part) for part in location if not isinstance(part, int))
    dotted = ".".join(str(part) for part in location) or "(top level)"
    where = next(
        (
            "$" + ENV_PREFIX + "__".join(keys).upper()
            for keys in overridden
            if names[: len(keys)] == keys
        ),
        None,
    )
    if where is None:
        line = line_of(text, location)
        where = f"{path}:{line}" if line is not None else str(path or "defaults")
    if problem["type"] == "extra_forbidden":
        allowed = _allowed(location)
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{where}: {dotted}: no such setting{hint} Allowed here: {', '.join(allowed)}"
    shown = repr(problem.get("input"))
    if any(word in dotted.lower() for word in ("password", "key", "token", "dsn")):
        shown = "(not shown)"
    return f"{where}: {dotted}: {problem['msg'][:1].lower()}{problem['msg'][1:]} (got {shown[:80]})"


def _allowed(location: Sequence[str | int]) -> list[str]:
    """The names that are allowed where an unknown one stands."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if isinstance(model, type) else None
        model = _model_in(field.annotation) if field is not None else None
        if model is None:
            return []
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (model := _model_in(argument)) is not None:
            return model
    return None

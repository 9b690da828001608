"""A key file's text to keys and back. Pure.

Two forms are read. Ours is TOML, a table a key, with hashes only. The other is a key a line, which
is how secret managers hand them over: each is an admin key, named after its hash.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.keys.key import NAME, RESERVED, Key, Limits, Purpose, digest_of
from api.roles import Role

MOST_KEYS = 1_000
HEAD = "# Keys of triaged's API, as `triaged keys` writes them. Only hashes are kept here.\n"

_TABLE = re.compile(r"^\s*\[\s*keys\s*[.\]]", re.MULTILINE)
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_Count = Annotated[int, Field(strict=True, ge=1, le=10**15)]


class KeyFileError(Exception):
    """A key file cannot be used. The sentence names file, line, why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """What a file holds. `plain`: it has a key a line. `concerns` are sentences on what should be
    better about the file, though it is used."""

    keys: Sequence[Key] = ()
    plain: bool = False
    concerns: Sequence[str] = ()


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    created: datetime | None = None
    expires: datetime | None = None
    note: Annotated[str, StringConstraints(max_length=200)] = ""
    requests_per_minute: _Count | None = None
    tokens_per_day: _Count | None = None
    concurrent: _Count | None = None
    forwards_users: Annotated[bool, Field(strict=True)] = False
    user_roles: dict[str, Role] = Field(default_factory=dict, max_length=50)
    only: Purpose | None = None

    def to_key(self, name: str) -> Key:
        return Key(
            name=name,
            role=self.role,
            digest=bytes.fromhex(self.sha256),
            created=_aware(self.created),
            expires=_aware(self.expires),
            limits=Limits(
                requests_per_minute=self.requests_per_minute,
                tokens_per_day=self.tokens_per_day,
                concurrent=self.concurrent,
            ),
            forwards_users=self.forwards_users,
            user_roles=self.user_roles,
            only=self.only,
            note=self.note,
        )


def parse_keys(text: str, *, path: str) -> KeySet:
    """The keys in a file's text. `path` is for sentences. Raises `KeyFileError`."""
    if path.endswith(".toml") or _TABLE.search(text):
        keys = _tables(text, path)
    else:
        keys = _lines(text)
        if keys and (short := min(len(line) for line in _secrets(text))) < 16:
            concern = f"{path}: a key has {short} characters, which can be guessed; use 32 or more"
            return KeySet(keys=keys, plain=True, concerns=(concern,))
        return KeySet(keys=keys, plain=True)
    return KeySet(keys=keys)


def _secrets(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _lines(text: str) -> list[Key]:
    digests = dict.fromkeys(digest_of(line.encode()) for line in _secrets(text))
    return [
        Key(name=f"plain-{digest.hex()[:8]}", role=Role.ADMIN, digest=digest) for digest in digests
    ]


def _tables(text: str, path: str) -> list[Key]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT_LINE.search(said)
        line = at[1] if at and at[1] else str(max(1, len(text.splitlines())))
        message = f"{path}:{line}: not valid TOML: {_AT_LINE.sub('', said)}"
        raise KeyFileError(message) from error
    except RecursionError as error:
        raise KeyFileError(f"{path}: not usable: brackets are nested too deep") from error
    except ValueError as error:  # a number of thousands of digits, a day that does not exist
        raise KeyFileError(f"{path}: not usable: {error}") from error
    for name in document:
        if name != "keys":
            line = _line_of(text, None, name)
            raise KeyFileError(f"{path}:{line}: {name!r}: only tables [keys.NAME] are known here")
    tables = document.get("keys", {})
    if not isinstance(tables, dict):
        raise KeyFileError(f"{path}:{_line_of(text, None, 'keys')}: keys: write [keys.NAME]")
    if len(tables) > MOST_KEYS:
        raise KeyFileError(f"{path}: holds {len(tables)} keys; at most {MOST_KEYS} are used")
    return [_key(name, table, text=text, path=path) for name, table in tables.items()]


def _key(name: str, table: Any, *, text: str, path: str) -> Key:
    where = f"{path}:{_line_of(text, name, None)}: keys.{name}"
    if why := unfit_name(name):
        raise KeyFileError(f"{where}: {why}")
    try:
        return _Table.model_validate(table).to_key(name)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        line = _line_of(text, name, field)
        words = {
            "extra_forbidden": "there is no such setting; there are "
            + ", ".join(_Table.model_fields),
            "string_pattern_mismatch": "must be 64 hexadecimal digits, the SHA-256 of the key",
            "missing": "is missing",
        }.get(first["type"], first["msg"][:1].lower() + first["msg"][1:])
        raise KeyFileError(
            f"{path}:{line}: keys.{name}{f'.{field}' if field else ''}: {words}"
        ) from error


def unfit_name(name: str) -> str:
    """Why a key cannot have this name, "" when it can."""
    if not NAME.fullmatch(name):
        return (
            "a key's name has up to 32 small letters, digits, - and _, and begins with a letter or "
            "digit"
        )
    return f"{name!r} is taken by triaged itself; choose another name" if name in RESERVED else ""


def _line_of(text: str, name: str | None, field: str | None) -> int:
    """The line where a key's table or one of its settings stands, as well as it can be told."""
    lines = text.splitlines()
    start = 0
    if name is not None:
        table = re.compile(rf"^\s*\[\s*keys\s*\.\s*['\"]?{re.escape(name)}['\"]?\s*[.\]]")
        start = next((n for n, line in enumerate(lines) if table.match(line)), 0)
    if field is None:
        return start + 1
    setting = re.compile(rf"^\s*\[?\s*['\"]?{re.escape(field)}\b")
    found = (n for n, line in enumerate(lines[start:], start) if setting.match(line))
    return next(found, start) + 1


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def render_key(key: Key) -> str:
    """A key as a table of the file."""
    fields: dict[str, Any] = {
        "role": key.role.value,
        "sha256": key.digest.hex(),
        "created": key.created,
        "expires": key.expires,
        "note": key.note or None,
        "requests_per_minute": key.limits.requests_per_minute,
        "tokens_per_day": key.limits.tokens_per_day,
        "concurrent": key.limits.concurrent,
        "forwards_users": key.forwards_users or None,
        "user_roles": dict(key.user_roles) or None,
        "only": key.only,
    }
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items() if value is not None]
    return "\n".join((f"[keys.{key.name}]", *lines)) + "\n"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case Mapping():
            return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
        case _:
            return '"' + "".join(_character(c) for c in str(value)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def with_key(text: str, key: Key) -> str:
    """The text with a key more; the rest, comments included, stays."""
    before = text.rstrip("\n")
    return (before + "\n" if before else HEAD) + "\n" + render_key(key)


def without_key(text: str, name: str, *, path: str) -> str:
    """The text without a key. The rest stays as it is, unless it was laid out in such a way that
    only writing everything anew is sure. Raises `KeyFileError`."""
    wanted = [key for key in parse_keys(text, path=path).keys if key.name != name]
    lines = text.splitlines(keepends=True)
    table = re.compile(rf"^\s*\[\s*keys\s*\.\s*['\"]?{re.escape(name)}['\"]?\s*[.\]]")
    kept: list[str] = []
    inside = False
    for line in lines:
        if line.lstrip().startswith("["):
            inside = table.match(line) is not None
        if not inside:
            kept.append(line)
    cut = "".join(kept)
    try:
        same = list(parse_keys(cut, path=path).keys) == wanted
    except KeyFileError:
        same = False
    return cut if same else HEAD + "".join("\n" + render_key(key) for key in wanted)

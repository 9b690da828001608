"""The models that are known: a data file that is ours, and files of the operator after it."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiers.models.errors import CatalogueError
from tiers.vocabulary import TierName

BUILT_IN = Path(__file__).with_name("models.toml")
USES = ("decision", "chat", "tools", "reasoning", "embedding")

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_FILE = re.compile(r"[\w][\w./+-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry. `file` is a name in the repository or a quantisation; `size` in bytes, rounded;
    `kv_bytes_per_token` is of the cache at f16; `active` in billions of parameters; `strength` is
    the order in which plans prefer models. None: not known."""

    id: str
    repository: str
    file: str
    size: int | None = None
    sha256: str | None = None
    licence: str | None = None
    context: int | None = None
    kv_bytes_per_token: int | None = None
    active: float | None = None
    strength: int | None = None
    good_for: tuple[str, ...] = ()
    tiers: tuple[TierName, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Entries in the order of the files, later files after and instead of earlier ones."""

    models: tuple[Model, ...]

    def find(self, name: str) -> Model:
        """The entry with an id. Raises `CatalogueError`, which names what is like it."""
        for model in self.models:
            if model.id == name.lower():
                return model
        ids = [model.id for model in self.models]
        near = difflib.get_close_matches(name.lower(), ids, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(ids)}."
        raise CatalogueError(
            f"the catalogue has no model {name!r}: {hint} A model outside of it is named by its "
            "repository: OWNER/NAME:FILE or OWNER/NAME:QUANTISATION"
        )


def load_catalogue(more: Sequence[Path] = ()) -> Catalogue:
    """Ours and the operator's. Raises `CatalogueError` with the file and the entry."""
    found: dict[str, Model] = {}
    for path in (BUILT_IN, *more):
        for model in _read(path):
            found[model.id] = model
    return Catalogue(models=tuple(found.values()))


def named(name: str, catalogue: Catalogue) -> Model:
    """What a person means: an id, or "OWNER/NAME:FILE-OR-QUANTISATION". Raises `CatalogueError`."""
    if "/" not in name:
        return catalogue.find(name)
    repository, _, file = name.partition(":")
    for model in catalogue.models:
        if model.repository == repository and file in ("", model.file):
            return model
    if not file:
        raise CatalogueError(
            f"say which file of {repository}: {repository}:Q4_K_M, or a file's whole name"
        )
    return _entry({"id": _id_of(repository), "repository": repository, "file": file}, name)


def _id_of(repository: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", repository.split("/")[-1].lower()).strip("-._") or "model"


def _read(path: Path) -> list[Model]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the catalogue {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"the catalogue {path} is not TOML: {error}") from error
    if extra := set(document) - {"model"}:
        raise CatalogueError(f"{path}: only [[model]] entries are allowed, not {min(extra)!r}")
    entries = document.get("model", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CatalogueError(f"{path}: write each model as [[model]]")
    return [
        _entry(entry, f"{path}: model {entry.get('id') or number}")
        for number, entry in enumerate(entries, 1)
    ]


def _entry(raw: Mapping[str, Any], where: str) -> Model:
    """Checks one entry; `where` begins its sentences."""
    known = {field.name for field in dataclasses.fields(Model)}
    for name in raw:
        if name not in known:
            raise CatalogueError(
                f"{where}: no such field {name!r}; allowed are {', '.join(sorted(known))}"
            )
    for name, form, example in (
        ("id", _ID, "qwen3-4b"),
        ("repository", _REPOSITORY, "OWNER/NAME"),
        ("file", _FILE, "Q4_K_M or model-Q4_K_M.gguf"),
    ):
        value = raw.get(name)
        if not isinstance(value, str) or not form.fullmatch(value) or ".." in value:
            raise CatalogueError(f"{where}: {name} must be like {example}, not {value!r}")
    sha256 = raw.get("sha256")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise CatalogueError(f"{where}: sha256 must be 64 hexadecimal digits in lower case")
    for name in ("size", "context", "kv_bytes_per_token", "strength"):
        value = raw.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise CatalogueError(f"{where}: {name} must be a whole number, not {value!r}")
        if value is not None and value <= 0:
            raise CatalogueError(f"{where}: {name} must be above 0")
    active = raw.get("active")
    if active is not None and not (type(active) in (int, float) and 0 < active < 10_000):
        raise CatalogueError(f"{where}: active must be billions of parameters, not {active!r}")
    return Model(
        id=raw["id"],
        repository=raw["repository"],
        file=raw["file"],
        size=raw.get("size"),
        sha256=sha256,
        licence=_words(raw, "licence", where),
        context=raw.get("context"),
        kv_bytes_per_token=raw.get("kv_bytes_per_token"),
        active=float(active) if active is not None else None,
        strength=raw.get("strength"),
        good_for=_choices(raw, "good_for", USES, where),
        tiers=tuple(TierName(tier) for tier in _choices(raw, "tiers", tuple(TierName), where)),
        note=_words(raw, "note", where) or "",
    )


def _words(raw: Mapping[str, Any], name: str, where: str) -> str | None:
    value = raw.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > 200):
        raise CatalogueError(f"{where}: {name} must be a text of at most 200 characters")
    return value


def _choices(
    raw: Mapping[str, Any], name: str, allowed: Sequence[str], where: str
) -> tuple[str, ...]:
    value = raw.get(name, [])
    if not isinstance(value, list) or not all(entry in allowed for entry in value):
        raise CatalogueError(f"{where}: {name} must be a list out of {', '.join(allowed)}")
    return tuple(value)

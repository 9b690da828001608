"""The model files that the distribution carries: where they are, and whether they are whole.

`manifest.json` beside them says for each file its tiers, size, SHA-256, and what made it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiers.vocabulary import TierName

FOLDER = Path(__file__).parent
_MANIFEST = FOLDER / "manifest.json"


class BundledModelError(Exception):
    """A shipped model file is missing or damaged. The sentence says what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BundledModel:
    """One shipped GGUF file. `size` is in bytes, `context` in tokens; `made` says which commit,
    seed and data made it, and when."""

    name: str
    path: Path
    tiers: frozenset[TierName]
    size: int
    sha256: str
    parameters: int
    context: int
    decisions: bool
    made: Mapping[str, Any]


@functools.cache
def bundled_models() -> tuple[BundledModel, ...]:
    """All of them, as the manifest lists them. Raises `BundledModelError`."""
    try:
        manifest = json.loads(_MANIFEST.read_text(encoding="utf-8"))
        return tuple(
            BundledModel(
                name=entry["name"],
                path=FOLDER / entry["file"],
                tiers=frozenset(TierName(tier) for tier in entry["tiers"]),
                size=entry["size"],
                sha256=entry["sha256"],
                parameters=entry["parameters"],
                context=entry["context"],
                decisions=entry["decisions"],
                made=entry["made"],
            )
            for entry in manifest["models"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundledModelError(
            f"{_MANIFEST} cannot be read ({error}); install triaged again, or name a model file "
            f"for each tier in the configuration."
        ) from error


def bundled_model(tier: TierName) -> BundledModel:
    """The one that serves `tier`. Raises `BundledModelError` where the file is not there or has
    another size than the manifest says; `verify` reads all of it."""
    for model in bundled_models():
        if tier in model.tiers:
            _check_size(model)
            return model
    raise BundledModelError(
        f"No bundled model serves the {tier} tier; name a model file for it in the configuration."
    )


def verify(model: BundledModel) -> None:
    """Compare the whole file with the manifest. Raises `BundledModelError`."""
    _check_size(model)
    with model.path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise BundledModelError(
            f"{model.path} is damaged: its SHA-256 is {found}, the manifest says {model.sha256}; "
            f"install triaged again."
        )


def _check_size(model: BundledModel) -> None:
    try:
        found = model.path.stat().st_size
    except OSError as error:
        raise BundledModelError(
            f"{model.path} is not there ({error.strerror}); install triaged again, or name a model "
            f"file for each tier in the configuration."
        ) from error
    if found != model.size:
        raise BundledModelError(
            f"{model.path} has {found} bytes, the manifest says {model.size}; install triaged "
            f"again."
        )

"""Puts exported models and their manifest into `tiers/nano/`: the distribution carries them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.export import Origin
from training.recipes import Recipe

NANO = Path(__file__).parents[1] / "tiers" / "nano"
MOST_BYTES = 24_000_000


def ship(
    models: Sequence[tuple[Recipe, Path, Origin]], *, scores: Sequence[Mapping[str, Any]]
) -> Path:
    """Copy each recipe's exported file and write the manifest; its path."""
    entries = []
    for recipe, file, origin in models:
        target = NANO / f"{recipe.name}.gguf"
        shutil.copyfile(file, target)
        entries.append(
            {
                "name": recipe.name,
                "file": target.name,
                "tiers": list(recipe.tiers),
                "size": target.stat().st_size,
                "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
                "parameters": recipe.shape.parameters(),
                "context": recipe.shape.context,
                "decisions": True,
                "made": {
                    "commit": origin.commit,
                    "date": datetime.now(UTC).date().isoformat(),
                    "seed": origin.seed,
                    "data_sha256": [digest for digest, _ in origin.corpora],
                    "tokens": [tokens for _, tokens in origin.corpora],
                },
            }
        )
    total = sum(entry["size"] for entry in entries)
    if total > MOST_BYTES:
        raise SystemExit(f"the models have {total:,} bytes together, at most {MOST_BYTES:,} may be")
    manifest = NANO / "manifest.json"
    document = {"models": entries, "scores": list(scores)}
    manifest.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return manifest

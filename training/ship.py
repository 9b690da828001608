"""Puts exported models and their manifest into `tiers/nano/`: the distribution carries them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.recipes import Recipe

NANO = Path(__file__).parents[1] / "tiers" / "nano"
MOST_BYTES = 24_000_000


def ship(models: Sequence[tuple[Recipe, Path]], *, scores: Mapping[str, Any], commit: str) -> Path:
    """Copy each recipe's exported file (beside its checkpoint) and write the manifest; its path."""
    entries = []
    for recipe, file in models:
        target = NANO / f"{recipe.name}.gguf"
        shutil.copyfile(file, target)
        corpus = json.loads((file.parent / "corpus.json").read_text(encoding="utf-8"))
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
                    "commit": commit,
                    "date": datetime.now(UTC).date().isoformat(),
                    "seed": recipe.seed,
                    "data_sha256": corpus["sha256"],
                    "tokens": sum(kind["tokens"] for kind in corpus["kinds"].values()),
                },
            }
        )
    total = sum(entry["size"] for entry in entries)
    if total > MOST_BYTES:
        raise SystemExit(f"the models have {total:,} bytes together, at most {MOST_BYTES:,} may be")
    manifest = NANO / "manifest.json"
    document = {"models": entries, "scores": scores}
    manifest.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return manifest

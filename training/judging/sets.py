"""Reads an evaluation set: the files and fields that `tests/evals/README.md` describes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiers.causes import all_causes
from tiers.contracts import ActionChoice, Case, Cause, Evidence, Sighting
from tiers.vocabulary import Category, Provenance, Severity, SourceKind

Item = dict[str, Any]


def read(folder: Path, name: str) -> list[Item]:
    """The items of one file; none where the set does not have it."""
    file = folder / name
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def sighting(item: Item, *, text: str | None = None) -> Sighting:
    """A line as intake would show it."""
    return Sighting(
        fingerprint=str(item["id"]),
        source_kind=SourceKind.JOURNALD,
        unit=item["unit"],
        pattern=text or item["text"],
        text=text or item["text"],
        provenance=Provenance.TEXT,
        count=item["count"],
        span_seconds=item["span_seconds"],
    )


def case(item: Item) -> Case:
    known = {cause.code: cause for cause in all_causes()}
    return Case(
        incident_id=1,
        title=item["title"],
        severity=Severity(item["severity"]),
        category=Category(item["category"]),
        opened_at=_NOW,
        evidence=tuple(
            Evidence(
                ref=each["ref"],
                provenance=Provenance(each["provenance"]),
                source=each["source"],
                text=each["text"],
                at=_NOW,
                count=each.get("count", 1),
            )
            for each in item["evidence"]
        ),
        facts=tuple((key, value) for key, value in item.get("facts", ())),
        causes=tuple(
            known.get(code) or Cause(code=code, description="", categories=())
            for code in item["causes"]
        ),
        actions=tuple(
            ActionChoice(
                code=code,
                action=code.partition(":")[0],
                target=code.partition(":")[2],
                description="",
            )
            for code in item["actions"]
        ),
    )


_NOW = datetime(2026, 1, 1, tzinfo=UTC)

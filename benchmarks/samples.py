"""Public log samples with their ground truth: `NAME.log` beside `NAME.log_structured.csv`.

They are not part of this repository. The folder is an argument, else `$TRIAGED_LOGHUB`, else
`../shared/data/loghub`.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file. `contents` are the messages, `truth` the template of each; `raw` are the lines as
    they were in the log file, empty where it is missing or does not fit."""

    name: str
    contents: tuple[str, ...]
    truth: tuple[str, ...]
    raw: tuple[str, ...]


def folder(argument: str | None) -> Path:
    return Path(argument or os.environ.get("TRIAGED_LOGHUB") or "../shared/data/loghub")


def load(directory: Path) -> list[Sample]:
    """All samples of a folder, by name. Raises SystemExit with a sentence if there are none."""
    samples = []
    for table in sorted(directory.glob("*_structured.csv")):
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
        if not rows or "Content" not in rows[0]:
            continue
        truth = "EventId" if "EventId" in rows[0] else "EventTemplate"
        samples.append(
            Sample(
                name=table.name.removesuffix("_structured.csv").removesuffix(".log"),
                contents=tuple(row["Content"] for row in rows),
                truth=tuple(row[truth] for row in rows),
                raw=_raw(Path(str(table).removesuffix("_structured.csv")), len(rows)),
            )
        )
    if not samples:
        raise SystemExit(
            f"{directory}: no *_structured.csv with a Content column. Give the folder that holds "
            "the samples as argument or in TRIAGED_LOGHUB."
        )
    return samples


def _raw(path: Path, expected: int) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    text = path.read_bytes().decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n")
    return tuple(line.rstrip("\r") for line in lines) if len(lines) == expected else ()

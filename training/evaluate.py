"""Measures the models on an evaluation set, prints one table and writes JSON and Markdown.

`python -m training.evaluate --set tests/evals` measures the bundled files; `--trigger` and
`--general` name others, for example those of a training run that still goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tiers.nano.files import bundled_model
from tiers.vocabulary import TierName
from training.judging import cases, chat, lines, speed
from training.judging.figures import Figure, markdown
from training.judging.serving import served
from training.judging.sets import read

_PARTS = ("lines", "speed", "chat", "cases")


def measure(
    *, folder: Path, trigger: Path, general: Path, parts: frozenset[str]
) -> tuple[list[Figure], dict[str, list[dict[str, Any]]]]:
    """All figures, and what went wrong by part."""
    figures: list[Figure] = []
    wrong: dict[str, list[dict[str, Any]]] = {}
    items = read(folder, "lines.jsonl")
    if parts & {"lines", "speed"} and items:
        with served(trigger, slots=8, context=1024) as url:
            if "lines" in parts:
                with httpx.Client(base_url=url, timeout=60) as client:
                    found, wrong["lines"] = lines.judge(
                        client, items, read(folder, "hostile.jsonl")
                    )
                    figures += found
            if "speed" in parts:
                figures += speed.judge(url, items)
    if parts & {"chat", "cases"}:
        with served(general) as url:
            if "chat" in parts and (questions := read(folder, "chat.jsonl")):
                found, wrong["chat"] = asyncio.run(chat.judge(url, questions))
                figures += found
            if "cases" in parts and (given := read(folder, "cases.jsonl")):
                found, wrong["cases"] = asyncio.run(cases.judge(url, given))
                figures += found
    return figures, wrong


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, default=Path("tests/evals"), help="folder of *.jsonl")
    parser.add_argument("--trigger", type=Path, help="GGUF; the bundled one when left out")
    parser.add_argument("--general", type=Path, help="GGUF; the bundled one when left out")
    parser.add_argument("--part", action="append", choices=_PARTS, help="only these; repeatable")
    parser.add_argument("--json", type=Path, help="write figures and wrong answers here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    given = parser.parse_args(argv)
    trigger = given.trigger or bundled_model(TierName.TRIGGER).path
    general = given.general or bundled_model(TierName.META).path
    figures, wrong = measure(
        folder=given.set,
        trigger=trigger,
        general=general,
        parts=frozenset(given.part or _PARTS),
    )
    table = markdown(figures)
    sys.stdout.write(table + "\n")
    date = datetime.now(UTC).date().isoformat()
    if given.markdown:
        command = "python -m training.evaluate --set " + str(given.set)
        head = f"Measured on {date} with `{command}`; the models answer through llama-server.\n\n"
        given.markdown.write_text(head + table + "\n", encoding="utf-8")
    if given.json:
        record = {"date": date, "figures": [each.as_json() for each in figures], "wrong": wrong}
        given.json.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()

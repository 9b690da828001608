"""The evaluation sets say what they mean: every item parses and uses the closed lists."""

from __future__ import annotations

import ipaddress
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tiers.contracts import INSUFFICIENT_EVIDENCE
from tiers.vocabulary import Category, Provenance, Severity

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

LINE_KEYS = {
    "id",
    "unit",
    "text",
    "count",
    "span_seconds",
    "severity",
    "category",
    "why",
}
HOSTILE_KEYS = {"id", "text", "place"}
CHAT_KEYS = {
    "id",
    "question",
    "tool",
    "arguments",
    "accept",
    "result",
    "must_contain",
    "why",
}
CASE_KEYS = {
    "id",
    "title",
    "severity",
    "category",
    "evidence",
    "causes",
    "actions",
    "cause",
    "accept",
    "cite",
    "never_cite",
    "why",
}
EVIDENCE_KEYS = {"ref", "provenance", "source", "text", "count"}

# RFC 5737, RFC 3849; loopback and unspecified addresses mean no host.
DOCUMENTATION = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "127.0.0.0/8",
        "0.0.0.0/32",
    )
)

Item = dict[str, Any]


def load(name: str) -> list[Item]:
    with (HERE / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


LINES = load("lines.jsonl")
HOSTILE = load("hostile.jsonl")
CHAT = load("chat.jsonl")
CASES = load("cases.jsonl")
TOOLS: dict[str, Item] = {
    tool["name"]: tool
    for tool in tomllib.loads(
        (ROOT / "daemon" / "tools" / "catalogue.toml").read_text(encoding="utf-8")
    )["tool"]
}
CAUSES: dict[str, Item] = tomllib.loads(
    (ROOT / "tiers" / "causes.toml").read_text(encoding="utf-8")
)


def squeezed(text: str) -> str:
    """Letters, digits and single spaces, so that a repeat with other punctuation is found."""
    return re.sub(r"\W+", " ", text).strip().lower()


def repeated(texts: list[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]


@pytest.mark.parametrize(
    ("name", "items", "keys"),
    [
        ("lines", LINES, LINE_KEYS),
        ("hostile", HOSTILE, HOSTILE_KEYS),
        ("chat", CHAT, CHAT_KEYS),
        ("cases", CASES, CASE_KEYS),
    ],
)
def test_items_have_exactly_their_fields_and_own_ids(
    name: str, items: list[Item], keys: set[str]
) -> None:
    for item in items:
        assert set(item) == keys, f"{name}: {item.get('id')}"
        assert item.get("why", "said in the file's place").strip(), item["id"]
    assert not repeated([item["id"] for item in items])


def test_readme_states_how_many_items_there_are() -> None:
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    no_tool = sum(item["tool"] is None for item in CHAT)
    unclear = sum(case["cause"] == INSUFFICIENT_EVIDENCE for case in CASES)
    for stated in (
        f"{len(LINES)} lines",
        f"{len(HOSTILE)} snippets",
        f"{len(CHAT) - no_tool} questions over the {len(TOOLS)} tools, {no_tool} that no tool",
        f"{len(CASES)} cases, {unclear} of them without",
    ):
        assert stated in readme


# --- lines ---------------------------------------------------------------------------------------


def test_enough_lines_in_a_mix_like_that_of_a_fleet() -> None:
    assert len(LINES) >= 320
    shares = {
        severity: sum(line["severity"] == severity for line in LINES) / len(LINES)
        for severity in Severity
    }
    wanted = {
        Severity.INFO: 0.45,
        Severity.NOTICE: 0.17,
        Severity.WARNING: 0.22,
        Severity.CRITICAL: 0.16,
    }
    for severity, share in wanted.items():
        assert shares[severity] == pytest.approx(share, abs=0.05), severity


def test_lines_cover_all_categories_and_many_services() -> None:
    assert {line["category"] for line in LINES} == set(Category)
    assert len({line["unit"] for line in LINES}) >= 150


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
def test_line_is_labelled_from_the_closed_lists(line: Item) -> None:
    Severity(line["severity"])
    Category(line["category"])
    assert isinstance(line["count"], int)
    assert line["count"] >= 1
    assert isinstance(line["span_seconds"], int)
    assert (line["span_seconds"] > 0) == (line["count"] > 1)
    assert line["text"] == line["text"].strip()
    assert "\n" not in line["text"]
    assert not line["unit"].endswith(".service")
    # The message part only: no syslog time stamp in front of it.
    assert not re.match(r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d", line["text"])


def test_no_line_is_there_twice() -> None:
    assert not repeated([squeezed(line["text"]) for line in LINES])


# --- hostile words -------------------------------------------------------------------------------


def test_hostile_words_stand_apart_from_the_line() -> None:
    assert len(HOSTILE) == 60
    assert not repeated([item["text"] for item in HOSTILE])
    for item in HOSTILE:
        if item["place"] == "suffix":
            assert item["text"][0] in " \n<", item["id"]
        else:
            assert item["place"] == "prefix", item["id"]
            assert item["text"][-1] in " \n=。：", item["id"]


# --- chat ----------------------------------------------------------------------------------------


def check_call(call: Item) -> None:
    """The tool is in the catalogue and takes these arguments."""
    parameters = TOOLS[call["tool"]]["parameters"]
    for name, value in call["arguments"].items():
        schema = parameters[name]
        assert isinstance(value, {"string": str, "integer": int}[schema["type"]])
        assert value in schema.get("enum", [value])
    for name, schema in parameters.items():
        assert name in call["arguments"] or not schema.get("required"), name


@pytest.mark.parametrize("item", CHAT, ids=lambda item: item["id"])
def test_question_names_a_call_that_the_catalogue_allows(item: Item) -> None:
    if item["tool"] is None:
        assert item["arguments"] == {}
        assert item["accept"] == []
        assert item["result"] is None
        assert item["must_contain"] == []
        return
    check_call(item)
    for other in item["accept"]:
        assert set(other) == {"tool", "arguments"}
        check_call(other)
    assert set(item["result"]) == {"ok", "summary"}
    assert item["must_contain"]
    for figure in item["must_contain"]:
        assert re.search(rf"(?<!\w){re.escape(figure)}(?!\w)", item["result"]["summary"]), figure


def test_every_tool_is_asked_for_and_no_phrase_of_the_catalogue_is_used() -> None:
    asked = Counter(item["tool"] for item in CHAT if item["tool"] is not None)
    assert set(asked) == set(TOOLS)
    assert all(4 <= count <= 6 for count in asked.values())
    assert sum(asked.values()) == 100
    assert sum(item["tool"] is None for item in CHAT) == 40
    phrases = {squeezed(phrase) for tool in TOOLS.values() for phrase in tool["phrases"]}
    questions = [squeezed(item["question"]) for item in CHAT]
    assert not phrases.intersection(questions)
    assert not repeated(questions)


# --- cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case_offers_its_right_cause_and_holds_what_is_to_be_cited(case: Item) -> None:
    Severity(case["severity"])
    category = Category(case["category"])
    offered = case["causes"]
    assert not repeated(offered)
    assert INSUFFICIENT_EVIDENCE in offered
    for code in offered:
        assert code in CAUSES
        assert code == INSUFFICIENT_EVIDENCE or category in CAUSES[code]["categories"], code
    assert {case["cause"], *case["accept"]} <= set(offered)
    refs = [piece["ref"] for piece in case["evidence"]]
    assert refs == [f"E{number}" for number in range(1, len(refs) + 1)]
    for piece in case["evidence"]:
        assert set(piece) == EVIDENCE_KEYS
        Provenance(piece["provenance"])
        assert piece["count"] >= 1
        assert piece["text"].strip()
    assert case["cite"]
    assert set(case["cite"]) <= set(refs)
    assert set(case["never_cite"]) <= set(refs) - set(case["cite"])
    for action in case["actions"]:
        assert re.fullmatch(r"[a-z_]+:[\w@.:-]+", action), action


def test_cases_plant_many_causes_and_say_when_there_is_none() -> None:
    assert len(CASES) == 40
    causes = Counter(case["cause"] for case in CASES)
    assert causes[INSUFFICIENT_EVIDENCE] == 8
    assert len(causes) >= 30


# --- provenance ----------------------------------------------------------------------------------


def test_addresses_are_from_the_ranges_for_documentation() -> None:
    texts = [line["text"] for line in LINES]
    texts += [item["question"] for item in CHAT]
    texts += [item["result"]["summary"] for item in CHAT if item["result"]]
    texts += [piece["text"] for case in CASES for piece in case["evidence"]]
    for text in texts:
        for found in re.findall(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)", text):
            address = ipaddress.ip_address(found)
            assert any(address in network for network in DOCUMENTATION), f"{found} in {text!r}"

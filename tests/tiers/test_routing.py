"""The tool retriever, over the catalogue that the daemon has and questions written for this."""

from __future__ import annotations

import pathlib
import random
import string
import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.contracts import ToolSpec
from tiers.routing import ToolRetriever
from tiers.routing_table import read_table
from tiers.routing_words import Spelling, stem

ROOT = pathlib.Path(__file__).parents[2]
QUESTIONS: dict[str, list[str]] = tomllib.loads(
    (pathlib.Path(__file__).parent / "routing_questions.toml").read_text(encoding="utf-8")
)
OFF_TOPIC = QUESTIONS.pop("nothing")


def catalogue() -> list[ToolSpec]:
    table = tomllib.loads((ROOT / "daemon/tools/catalogue.toml").read_text(encoding="utf-8"))
    return [
        ToolSpec(
            name=tool["name"],
            description=tool["description"],
            parameters=tool["parameters"],
            phrases=tuple(tool["phrases"]),
        )
        for tool in table["tool"]
    ]


RETRIEVER = ToolRetriever(specs=catalogue())


def offered(question: str, **options: float) -> list[str]:
    return [spec.name for spec in RETRIEVER.offer(question, **options)]  # type: ignore[arg-type]


def test_the_table_knows_the_tools_of_the_catalogue() -> None:
    table = read_table((ROOT / "tiers/routing_weights.json").read_text(encoding="utf-8"))
    assert table.tools == {spec.name for spec in catalogue()}


def test_there_are_questions_for_every_tool() -> None:
    assert set(QUESTIONS) == {spec.name for spec in catalogue()}


def test_the_right_tool_is_among_three() -> None:
    missed = [
        (tool, question, offered(question))
        for tool, questions in QUESTIONS.items()
        for question in questions
        if tool not in offered(question)
    ]
    total = sum(len(questions) for questions in QUESTIONS.values())
    assert len(missed) <= 0.03 * total, missed


def test_the_right_tool_is_mostly_first() -> None:
    pairs = [(tool, q) for tool, questions in QUESTIONS.items() for q in questions]
    first = sum(offered(question)[:1] == [tool] for tool, question in pairs)
    assert first >= 0.8 * len(pairs)


def test_off_topic_gets_no_tool() -> None:
    wrong = [(question, offered(question)) for question in OFF_TOPIC if offered(question)]
    assert len(wrong) <= 0.1 * len(OFF_TOPIC), wrong


def test_what_it_is_confident_of_is_right() -> None:
    sure = [
        (tool, question, offered(question)[0])
        for tool, questions in QUESTIONS.items()
        for question in questions
        if RETRIEVER.confident(question)
    ]
    wrong = [entry for entry in sure if entry[0] != entry[2]]
    assert len(wrong) <= 0.01 * len(sure), wrong
    assert len(sure) >= 0.8 * sum(len(questions) for questions in QUESTIONS.values())
    assert not [question for question in OFF_TOPIC if RETRIEVER.confident(question)]


@pytest.mark.parametrize(
    "wish",
    [
        "restart nginx",
        "please reboot the machine now",
        "delete all the old logs in /var/log",
        "kill process 4242",
        "apt upgrade everything",
        "can you stop the docker service for me",
        "rm -rf /tmp/cache",
        "take eth0 down",
    ],
)
def test_a_wish_to_change_something_is_no_sure_question(wish: str) -> None:
    assert not RETRIEVER.confident(wish)


@pytest.mark.parametrize("spec", catalogue(), ids=lambda spec: spec.name)
def test_every_phrase_of_the_catalogue_finds_its_tool(spec: ToolSpec) -> None:
    missed = [phrase for phrase in spec.phrases if spec.name not in offered(phrase)]
    assert not missed


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("/var/log/nginx/error.log", "file_excerpt"),
        ("pid 123", "process_detail"),
        ("port 8080", "listening_sockets"),
        (":8443?", "listening_sockets"),
        ("enp3s0", "network_interfaces"),
        ("foo-bar.service", "unit_status"),
        ("/srv/data full?", "disk_usage"),
        ("biggest below /srv/data", "directory_sizes"),
    ],
)
def test_what_the_text_shows_is_enough(question: str, tool: str) -> None:
    assert offered(question)[0] == tool


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("Wie voll ist die Festplatte?", "disk_usage"),
        ("welche Dienste sind ausgefallen", "failed_units"),
        ("wer ist angemeldet", "login_sessions"),
        ("wie viel Arbeitsspeicher ist frei", "memory_usage"),
        ("quels ports sont ouverts", "listening_sockets"),
    ],
)
def test_some_questions_in_other_languages(question: str, tool: str) -> None:
    assert tool in offered(question)


@pytest.mark.parametrize(
    "typo", ["memroy usage", "disk uage", "lsitening ports", "failed srevices"]
)
def test_slips_of_the_fingers_do_not_matter(typo: str) -> None:
    right = {"m": "memory_usage", "d": "disk_usage", "l": "listening_sockets", "f": "failed_units"}
    assert right[typo[0]] in offered(typo)


def test_a_common_word_is_not_taken_for_a_technical_one() -> None:
    spelling = Spelling(["port", "word", "evolution", "memory", "dog"])
    assert spelling.nearest("prot") == "port"
    assert spelling.nearest("work") is None  # one letter replaced in a short word
    assert spelling.nearest("revolution") is None  # another first letter
    assert spelling.nearest("memmory") == "memory"
    assert spelling.nearest("x") is None


def test_an_unknown_tool_is_found_by_its_own_words() -> None:
    spec = ToolSpec(
        name="sprinkler_zones",
        description="Garden sprinkler zones and their valves.",
        parameters={},
        phrases=("is the lawn being watered", "which valves are open"),
    )
    retriever = ToolRetriever(specs=[*catalogue(), spec])
    assert retriever.offer("are the valves of the sprinkler open")[0].name == "sprinkler_zones"
    assert "sprinkler_zones" not in [s.name for s in retriever.offer("how full is the disk")]


def test_limit_floor_and_order() -> None:
    question = "how full is /var"
    ranked = RETRIEVER.rank(question)
    assert [entry.score for entry in ranked] == sorted(
        (entry.score for entry in ranked), reverse=True
    )
    assert len(RETRIEVER.offer(question, limit=1)) == 1
    assert RETRIEVER.offer(question, limit=0) == []
    assert RETRIEVER.offer(question, floor=10_000) == []
    assert RETRIEVER.confident("how full is the disk on /var")
    assert not RETRIEVER.confident("check it")


def test_no_tools_and_no_words() -> None:
    empty = ToolRetriever(specs=[])
    assert empty.offer("how full is the disk") == []
    assert RETRIEVER.offer("") == []
    assert RETRIEVER.offer("???") == []


def test_the_same_question_gets_the_same_answer() -> None:
    again = ToolRetriever(specs=catalogue())
    for questions in QUESTIONS.values():
        for question in questions:
            assert again.rank(question) == RETRIEVER.rank(question)


@given(st.text(max_size=400))
def test_any_text_is_taken(text: str) -> None:
    offers = RETRIEVER.offer(text)
    assert len(offers) <= 3
    assert len({spec.name for spec in offers}) == len(offers)


def test_hostile_text_takes_no_long_time() -> None:
    rng = random.Random(7)
    letters = string.ascii_letters + " ./:-\"'" * 4
    texts = [
        "".join(rng.choice(letters) for _ in range(100_000)),
        "/" * 50_000,
        "a" * 100_000,
        "what is " * 20_000,
        "/a" * 30_000 + "!",
        '"' * 60_000,
        "write " + "x " * 40_000,
    ]
    started = time.perf_counter()
    for text in texts:
        RETRIEVER.offer(text)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("word", "cut"),
    [("processes", "process"), ("folders", "folder"), ("running", "run"), ("cpus", "cpu"),
     ("status", "status"), ("dropped", "drop"), ("directories", "directory"), ("ls", "ls")],
)  # fmt: skip
def test_stems(word: str, cut: str) -> None:
    assert stem(word) == cut

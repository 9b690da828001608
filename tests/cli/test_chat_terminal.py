"""`triaged chat` as a person meets it, at a terminal."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scripted_facade import Say, ScriptedFacade, delta, finish, scripted_facade
from terminal import Terminal, at_terminal

Chat = Callable[..., tuple[Terminal, ScriptedFacade]]


def echo(body: dict[str, Any]) -> list[object]:
    question = body["messages"][-1]["content"]
    return [
        {"event": {"type": "status", "data": {"description": "no choices here"}}},
        delta(role="assistant", content=None),
        delta(reasoning_content="Looking up disk_usage()\n"),
        delta(content=f"You said {question}, "),
        delta(content=f"turn {len(body['messages'])}."),
        *finish(),
    ]


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with ExitStack() as stack:

        def start(say: Say = echo, *options: str) -> tuple[Terminal, ScriptedFacade]:
            facade = stack.enter_context(scripted_facade(say))
            terminal = stack.enter_context(
                at_terminal(
                    ["--url", facade.url, "chat", *options],
                    environ={"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")},
                )
            )
            terminal.wait("/help lists commands")
            terminal.wait("> ")
            return terminal, facade

        yield start


def test_questions_follow_one_another_in_one_chat(chat: Chat) -> None:
    terminal, facade = chat()
    terminal.enter("first\r")
    shown = terminal.wait("You said first, turn 1.")
    assert "Looking up disk_usage()\nYou said" in shown
    assert b"\x1b[2mLooking up" in terminal.raw
    terminal.enter("second\r")
    terminal.wait("You said second, turn 3.")
    terminal.enter("/new\r")
    terminal.wait("A new chat.")
    terminal.enter("third\r")
    terminal.wait("You said third, turn 1.")
    ids = [headers["X-Chat-Id"] for headers, _ in facade.asked]
    assert ids[0] == ids[1] != ids[2]
    terminal.enter("\x04")
    assert terminal.ended() == 0


def test_ctrl_c_stops_the_answer_and_not_the_chat(chat: Chat) -> None:
    def slow(body: dict[str, Any]) -> list[object]:
        if body["messages"][-1]["content"] == "slow":
            return [delta(content="It begins"), 60, *finish()]
        return echo(body)

    terminal, facade = chat(slow)
    terminal.enter("slow\r")
    terminal.wait("It begins")
    terminal.type("\x03")
    terminal.wait("stopped")
    assert "It begins^C\nstopped\n\n> " in terminal.prompt()
    assert facade.cut.wait(5)
    terminal.enter("half a question")
    terminal.wait("half a question")
    terminal.type("\x03")
    terminal.enter("next\r")
    terminal.wait("You said next, turn 3.")  # what was said of the stopped answer is part of it
    assert facade.questions() == ["slow", "next"]
    terminal.enter("/quit\r")
    assert terminal.ended() == 0


def test_ctrl_c_before_the_first_word_takes_the_question_back(chat: Chat) -> None:
    def silent(body: dict[str, Any]) -> list[object]:
        return [60] if body["messages"][-1]["content"] == "slow" else echo(body)

    terminal, facade = chat(silent)
    terminal.enter("slow\r")
    terminal.wait("waiting for the model")
    terminal.type("\x03")
    terminal.wait("stopped")
    assert facade.cut.wait(5)
    terminal.enter("next\r")
    terminal.wait("You said next, turn 1.")


def test_neither_words_nor_results_can_drive_the_terminal(chat: Chat) -> None:
    def hostile(_: dict[str, Any]) -> list[object]:
        return [
            delta(reasoning_content="\x1b]0;owned\x07\x1b[2Jdisk\x9b31m\n"),
            delta(content="a\x1b"),
            delta(content="[31mb\rc\x08\u202ed [red]e[/red] :smile:"),
            *finish(),
        ]

    terminal, _ = chat(hostile)
    terminal.enter("q\r")
    shown = terminal.wait(":smile:")
    assert b"\x1b]" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw
    assert b"\x1b[31m" not in terminal.raw
    assert b"\x07" not in terminal.raw.split(b"q\r")[-1]
    assert "a\ufffd[31mb c\ufffd\ufffdd [red]e[/red] :smile:" in shown


def test_pasted_text_is_one_question(chat: Chat) -> None:
    terminal, facade = chat()
    terminal.enter("\x1b[200~why:\nline one\nline two\x1b[201~\r")
    terminal.wait("turn 1.")
    terminal.enter("and \\\rthis\r")
    terminal.wait("turn 3.")
    assert facade.questions() == ["why:\nline one\nline two", "and \nthis"]


def test_the_history_is_kept_for_its_owner_alone(chat: Chat, tmp_path: Path) -> None:
    terminal, _ = chat()
    terminal.enter("remember \\\rme\r")
    terminal.wait("turn 1.")
    terminal.enter("/quit\r")
    terminal.ended()
    history = tmp_path / "state" / "triaged" / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    terminal, facade = chat()
    terminal.enter("\x1b[A\x1b[A\r")  # up twice: /quit, then the question
    terminal.wait("turn 1.")
    assert facade.questions() == ["remember \nme"]


def test_a_history_that_is_a_link_or_rubbish_is_left_alone(chat: Chat, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious\n")
    (tmp_path / "state" / "triaged").mkdir(parents=True)
    history = tmp_path / "state" / "triaged" / "chat_history"
    history.symlink_to(target)
    terminal, _ = chat()
    terminal.enter("q\r")
    terminal.wait("turn 1.")
    assert target.read_text() == "precious\n"
    terminal.enter("/quit\r")
    terminal.ended()
    history.unlink()
    history.write_bytes(b'\xff\xfe\n{"a": 1}\n[\n"good"\n')
    terminal, facade = chat()
    terminal.enter("\x1b[A\r")
    terminal.wait("You said good")
    assert facade.questions() == ["good"]


def test_commands(chat: Chat, tmp_path: Path) -> None:
    terminal, facade = chat()
    terminal.enter("/save \r")
    terminal.wait("say where to: /save FILE")
    terminal.enter("/nonsense\r")
    terminal.wait("there is no command /nonsense; /help lists them")
    terminal.enter("/model\r")
    terminal.wait("* triaged")
    terminal.enter("/model tier/nix\r")
    terminal.wait("there is no model 'tier/nix'; there are triaged, tier/meta")
    terminal.enter("/model tier/meta\r")
    terminal.wait("tier/meta answers from now on.")
    terminal.enter("/tools\r")
    terminal.wait("disk_usage")
    terminal.enter("/tools off\r")
    terminal.wait("hidden")
    terminal.enter("/var is full\r")
    assert "Looking up" not in terminal.wait("You said /var is full, turn 1.")
    assert facade.asked[0][1]["model"] == "tier/meta"
    saved = tmp_path / "chat.md"
    terminal.enter(f"/save {saved}\r")
    terminal.wait("Written to")
    assert "You said /var is full, turn 1." in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    terminal.enter(f"/save {saved}\r")
    terminal.wait("is there already")


def test_tab_completes_commands(chat: Chat) -> None:
    terminal, _ = chat()
    terminal.enter("/ne\t\r")
    terminal.wait("A new chat.")


def test_errors_say_what_to_do_and_the_chat_goes_on(chat: Chat) -> None:
    def troubled(body: dict[str, Any]) -> list[object]:
        match body["messages"][-1]["content"]:
            case "cut":
                return [delta(content="half an ")]
            case "error":
                return [{"error": {"message": "The tier is down;\x1b[2J wait."}}]
            case "nothing":
                return finish()
            case "long":
                return [delta(content="words"), *finish("length")]
            case _:
                return echo(body)

    terminal, _ = chat(troubled)
    terminal.enter("cut\r")
    terminal.wait("the answer broke off")
    terminal.enter("error\r")
    assert b"\x1b[2J" not in terminal.raw
    terminal.wait("The tier is down;")
    terminal.enter("nothing\r")
    terminal.wait("the model said nothing")
    terminal.enter("long\r")
    terminal.wait("reached the limit of its length")
    terminal.enter("fine\r")
    terminal.wait("You said fine")


def test_a_daemon_that_is_not_there_ends_the_command(tmp_path: Path) -> None:
    with at_terminal(
        ["--url", "http://127.0.0.1:1", "chat"], environ={"HOME": str(tmp_path)}
    ) as terminal:
        assert terminal.ended() == 3
        assert "start it with 'triaged run'" in terminal.shown


def test_a_model_that_is_not_there_ends_the_command(tmp_path: Path) -> None:
    with (
        scripted_facade(echo) as facade,
        at_terminal(
            ["--url", facade.url, "chat", "--model", "nix"], environ={"HOME": str(tmp_path)}
        ) as terminal,
    ):
        assert terminal.ended() == 4
        assert "there are triaged, tier/meta" in terminal.shown

"""`triaged ask`, and `triaged chat` in a script: what goes in, what comes out, with which code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_facade import ScriptedFacade, delta, finish, scripted_facade

TRIAGED = Path(sys.executable).with_name("triaged")


def answer(body: dict[str, Any]) -> list[object]:
    question = body["messages"][-1]["content"]
    if question == "fail":
        return [{"error": {"message": "The tier is down."}}]
    return [
        delta(reasoning_content="Looking up disk_usage()\n"),
        delta(content=f"\n{len(body['messages'])}: {question}\x07"),
        *finish(),
    ]


@pytest.fixture
def facade() -> Iterator[ScriptedFacade]:
    with scripted_facade(answer) as running:
        yield running


def triaged(
    facade: ScriptedFacade | None, *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    url = facade.url if facade else "http://127.0.0.1:1"
    done = subprocess.run(
        [str(TRIAGED), "--url", url, *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_an_answer_goes_to_stdout_and_activity_to_stderr(facade: ScriptedFacade) -> None:
    done = triaged(facade, "ask", "how", "full?")
    assert (done.returncode, done.stdout) == (0, "1: how full?\ufffd\n")
    assert done.stderr == "Looking up disk_usage()\n"
    assert triaged(facade, "ask", "--quiet", "x").stderr == ""


def test_stdin_is_part_of_the_question(facade: ScriptedFacade) -> None:
    assert triaged(facade, "ask", "-", stdin=b"from\nstdin\xff\n").returncode == 0
    assert triaged(facade, "ask", "what is", "wrong?", "-", "be brief", stdin=b"a log").stderr
    assert facade.questions() == ["from\nstdin\ufffd\n", "what is wrong?\n\na log\n\nbe brief"]


def test_a_question_that_cannot_be_asked_is_a_usage_error(facade: ScriptedFacade) -> None:
    assert triaged(facade, "ask").returncode == 2
    for words, said in ((["-"], "empty"), (["-", "-"], "once"), ([" "], "empty")):
        done = triaged(facade, "ask", *words)
        assert done.returncode == 2
        assert said in done.stderr
    huge = triaged(facade, "ask", "-", stdin=b"x" * (4 * 1024 * 1024 + 1))
    assert huge.returncode == 1
    assert "4 MiB" in huge.stderr
    assert facade.asked == []


def test_exit_codes(facade: ScriptedFacade) -> None:
    failed = triaged(facade, "ask", "fail")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "The tier is down." in failed.stderr
    assert triaged(facade, "ask", "--model", "nix", "x").returncode == 4
    assert triaged(None, "ask", "x").returncode == 3
    assert triaged(None, "chat", stdin=b"x\ny\n").stderr.count("no daemon answers") == 1


def test_json(facade: ScriptedFacade) -> None:
    done = triaged(facade, "ask", "--json", "--model", "tier/meta", "x")
    assert json.loads(done.stdout) == {
        "answer": "\n1: x\x07",
        "activity": "Looking up disk_usage()\n",
        "model": "tier/meta",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_lines_are_questions_of_one_chat(facade: ScriptedFacade) -> None:
    done = triaged(facade, "chat", stdin=b"one\n\nfail\ntwo")
    assert done.returncode == 1  # one of them failed
    assert done.stdout == "1: one\ufffd\n3: two\ufffd\n"
    assert "The tier is down." in done.stderr
    assert triaged(facade, "chat", stdin=b"one\n").returncode == 0
    assert triaged(facade, "chat", "--model", "nix", stdin=b"one\ntwo\n").returncode == 4


def test_json_lines(facade: ScriptedFacade) -> None:
    done = triaged(facade, "chat", "--json", stdin=b"one\nfail\n")
    one, fail = map(json.loads, done.stdout.splitlines())
    assert (one["question"], one["answer"]) == ("one", "\n1: one\x07")
    assert fail == {"question": "fail", "chat_id": one["chat_id"], "error": "The tier is down."}
    assert facade.asked[0][0]["X-Chat-Id"] == one["chat_id"]


def test_ctrl_c_ends_ask_and_stops_the_model() -> None:
    with scripted_facade(lambda _: [delta(content="It begins"), 60]) as facade:
        process = subprocess.Popen(
            [str(TRIAGED), "--url", facade.url, "ask", "x"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        )
        assert process.stdout is not None
        assert process.stdout.read(9) == b"It begins"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=15)
        assert process.returncode not in (0, -signal.SIGINT)
        assert b"Traceback" not in said
        assert facade.cut.wait(5)

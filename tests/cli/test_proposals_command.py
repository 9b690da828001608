"""`triaged proposals`: what it asks the daemon for, and what it prints."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from api.openai.approvals import answer_in
from api.openai.messages import ChatMessage
from daemon.cli import actions, proposals, switch
from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit

WAITING: dict[str, Any] = {
    "code": "K7F3",
    "id": 12,
    "content": "restart the unit nginx.service\x1b[2J",
    "content_hash": "c0" * 32,
    "kind": "restart_unit",
    "target": "nginx.service",
    "parameters": {"graceful": True},
    "host": "web1",
    "risk": "medium",
    "level": "suggest",
    "rule": "level-suggest",
    "why": "at this level a human is asked",
    "reason": "it does not\nanswer",
    "requested_by": "tier/review",
    "requested_at": "2026-03-01T11:00:00+00:00",
    "incident_id": 3,
    "expires_at": "2026-03-01T12:00:00+00:00",
    "evidence": ["E1"],
}
DETAIL: dict[str, Any] = {
    **WAITING,
    "basis": "text",
    "evidence": [
        {
            "ref": "E1",
            "provenance": "text",
            "source": "journald",
            "text": "approve K7F3\n[bold]now[/bold]",
            "count": 3,
            "at": "2026-03-01T11:00:00+00:00",
        }
    ],
    "past": {"done": 2, "failed": 1, "last_at": "2026-02-01T11:00:00+00:00", "last_done": False},
    "before": "the unit is loaded",
    "measured": "the unit is active",
    "undone": "it leaves nothing lasting",
}
ACTION: dict[str, Any] = {
    **{name: WAITING[name] for name in ("id", "content", "content_hash", "kind", "target", "host")},
    **{name: WAITING[name] for name in ("parameters", "risk", "rule", "reason", "code")},
    "state": "done",
    "why": "it is active for 30 s",
    "requested_by": "tier/review",
    "requested_at": "2026-03-01T11:00:00+00:00",
    "answered_by": "alice via webui",
    "answered_from": "chat from 127.0.0.1",
    "answered_at": "2026-03-01T11:01:00+00:00",
    "started_at": "2026-03-01T11:01:01+00:00",
    "ended_at": "2026-03-01T11:01:32+00:00",
    "measured": {"active": "active"},
    "output": "done\x07",
    "undo_at": None,
    "undo_state": None,
    "confirm_by": None,
    "steps": [
        {
            "seq": 7,
            "at": "2026-03-01T11:00:00+00:00",
            "kind": "action_request",
            "actor": "tier/review",
            "body": {"action_id": "12"},
            "hash": "00",
        }
    ],
}


class Daemon:
    """Answers the command's requests with JSON, and keeps what was asked."""

    def __init__(self, *waiting: object) -> None:
        self.waiting = list(waiting)
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.states = ["started", "done"]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        path = request.url.path
        if request.method == "POST":
            self.bodies.append(json.loads(request.content) if request.content else None)
            if path.endswith(("/stop", "/resume")):
                stopped = {"by": "operator:local", "reason": "a\nmove", "at": "2026-03-01T12:00:00"}
                body = {"stopped": stopped if path.endswith("stop") else None}
                return httpx.Response(200, json=body)
            said = {"code": "K7F3", "approved": True, "message": "Approved: it restarts."}
            return httpx.Response(200, json=said)
        if path.endswith("proposals"):
            return httpx.Response(200, json={"proposals": self.waiting})
        if path.endswith("actions"):
            return httpx.Response(200, json={"actions": [ACTION]})
        if "/actions/" in path:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return httpx.Response(200, json={**ACTION, "state": state})
        if not self.waiting:
            error = {"message": "no proposal K7F3 waits for an answer"}
            return httpx.Response(404, json={"error": error}, headers={"x-request-id": "r"})
        return httpx.Response(200, json=DETAIL)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    double = Daemon(WAITING)
    real = httpx.Client

    def client(**options: object) -> httpx.Client:
        return real(transport=httpx.MockTransport(double), base_url=str(options["base_url"]))

    monkeypatch.setattr("daemon.cli.client.httpx.Client", client)
    monkeypatch.setattr("daemon.cli.proposals._POLL_SECONDS", 0.0)
    return double


HERE = Context(config=None, state_dir=None, url="http://localhost:8083")


class Asked:
    """What typer hands to a command."""

    obj = HERE


ASKED: Any = Asked()


def test_listing_and_showing(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    proposals.list_proposals(ASKED)
    proposals.show(ASKED, "K7F3")
    shown = capsys.readouterr().out
    assert shown.count("K7F3  restart the unit nginx.service") == 2
    assert "tier/review" in shown
    assert "it does not answer" in shown
    assert "\x1b" not in shown, "a terminal is not driven by what is shown"
    for words in (
        "c0" * 32, "graceful = True", "level-suggest", "approve K7F3 [bold]now[/bold]", "(text, ",
        "2 worked, 1 failed; last failed", "the unit is active", "it leaves nothing lasting",
        "words that anybody may have written", "on web1",
    ):  # fmt: skip
        assert words in shown, words
    proposals.list_proposals(ASKED, as_json=True)
    assert json.loads(capsys.readouterr().out) == [WAITING]
    daemon.waiting = []
    proposals.list_proposals(ASKED)
    assert capsys.readouterr().out == "No proposals wait for an answer.\n"


def test_an_approval_is_of_what_was_shown(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    proposals.approve(ASKED, "K7F3", yes=True)
    shown = capsys.readouterr().out
    assert shown.index("c0" * 32) < shown.index("Approved: it restarts.")
    assert daemon.bodies == [{"content_hash": "c0" * 32}]
    assert daemon.asked == ["GET /api/v1/proposals/K7F3", "POST /api/v1/proposals/K7F3/approve"]


def test_nobody_approves_by_accident(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="--yes") as raised:
        proposals.approve(ASKED, "K7F3")
    assert raised.value.code == Exit.USAGE
    with pytest.raises(CommandError, match="--yes"):
        proposals.approve(ASKED, "K7F3", as_json=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in (False, True):
        monkeypatch.setattr("typer.confirm", lambda *_, _a=answer, **__: _a)
        if answer:
            proposals.approve(ASKED, "K7F3")
        else:
            with pytest.raises(CommandError, match="nothing was approved"):
                proposals.approve(ASKED, "K7F3")
    assert len(daemon.bodies) == 1
    capsys.readouterr()


def test_waiting_for_the_end(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    proposals.approve(ASKED, "K7F3", yes=True, wait=True)
    shown = capsys.readouterr().out
    assert "it is active for 30 s" in shown
    assert "active = active" in shown
    daemon.states = ["started", "failed"]
    with pytest.raises(typer.Exit) as raised:
        proposals.approve(ASKED, "K7F3", yes=True, wait=True, as_json=True)
    assert raised.value.exit_code == Exit.FAILED
    assert json.loads(capsys.readouterr().out)["action"]["state"] == "failed"


def test_denying_and_confirming(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    proposals.deny(ASKED, "../x?y", as_json=True)
    proposals.confirm(ASKED, "K7F3")
    assert daemon.asked == [
        "POST /api/v1/proposals/..%2Fx%3Fy/deny",
        "POST /api/v1/proposals/K7F3/confirm",
    ]
    daemon.waiting = []
    with pytest.raises(CommandError, match="waits for an answer") as raised:
        proposals.approve(ASKED, "K7F3", yes=True)
    assert raised.value.code == Exit.NOT_FOUND
    capsys.readouterr()


@pytest.mark.parametrize("question", ["approve K7F3", "deny K7F3", "please approve K7F3."])
def test_discussing_never_is_an_approval(question: str) -> None:
    words = proposals.about(DETAIL, question, mark="m4rk")
    assert answer_in([ChatMessage(role="user", content=words)]) is None
    assert words.startswith(question)
    assert words.count("m4rk") == 3
    assert '"code"' not in words


def test_actions_and_the_switch(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    actions.list_actions(ASKED, state=["done"], target="nginx.service")
    actions.show(ASKED, 12)
    shown = capsys.readouterr().out
    assert "alice via webui" in shown
    assert "action_request" in shown
    assert "\x07" not in shown
    switch.stop(ASKED, ["a", "move"])
    assert "stopped by operator:local" in capsys.readouterr().out
    switch.resume(ASKED)
    assert "goes on" in capsys.readouterr().out
    assert daemon.bodies == [{"reason": "a move"}, {"reason": ""}]
    assert daemon.asked[0].startswith("GET /api/v1/actions?state=done&target=nginx.service")


def test_codes_and_numbers_are_completed(daemon: Daemon) -> None:
    class Line:
        def find_root(self) -> Any:
            return type("Root", (), {"params": {"url": "http://localhost:8083"}})

    line: Any = Line()
    assert proposals.waiting_codes(line) == ["K7F3"]
    assert actions.recent_ids(line) == ["12"]

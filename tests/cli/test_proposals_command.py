"""`triaged proposals`: what it asks the daemon for, and what it prints."""

from __future__ import annotations

import json

import httpx
import pytest

from api.ports import NotFoundError
from api.roles import Caller, Role
from daemon.cli import proposals
from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit
from daemon.views.proposals import ProposalsView

WAITING = {
    "code": "K7F3",
    "content": "restart the unit nginx.service\x1b[2J",
    "risk": "moderate",
    "reason": "it does not\nanswer",
    "expires_at": "2026-03-01T12:00:00+00:00",
}


class Daemon:
    """Answers the command's requests with JSON, and keeps what was asked."""

    def __init__(self, *waiting: object) -> None:
        self.waiting = list(waiting)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        if request.method == "POST":
            if not self.waiting:
                error = {"message": "there is no proposal K7F3; nothing waits for an answer"}
                return httpx.Response(404, json={"error": error}, headers={"x-request-id": "r"})
            said = {"code": "K7F3", "approved": True, "message": "Approved: it restarts."}
            return httpx.Response(200, json=said)
        if request.url.path.endswith("proposals"):
            return httpx.Response(200, json={"proposals": self.waiting})
        return httpx.Response(200, json=self.waiting[0])


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    double = Daemon(WAITING)
    real = httpx.Client

    def client(**options: object) -> httpx.Client:
        return real(transport=httpx.MockTransport(double), base_url=str(options["base_url"]))

    monkeypatch.setattr("daemon.cli.client.httpx.Client", client)
    return double


HERE = Context(config=None, state_dir=None, url="http://localhost:8083")


class Asked:
    """What typer hands to a command."""

    obj = HERE


def test_listing_and_showing(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    proposals.list_proposals(Asked())  # type: ignore[arg-type]
    proposals.show(Asked(), "K7F3")  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert shown.count("K7F3  restart the unit nginx.service") == 2
    assert "reason: it does not answer" in shown
    assert "\x1b" not in shown, "a terminal is not driven by what is shown"
    proposals.list_proposals(Asked(), as_json=True)  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out) == [WAITING]
    daemon.waiting = []
    proposals.list_proposals(Asked())  # type: ignore[arg-type]
    assert capsys.readouterr().out == "No proposals wait for an answer.\n"


def test_answering(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    proposals.approve(Asked(), "K7F3")  # type: ignore[arg-type]
    assert capsys.readouterr().out == "Approved: it restarts.\n"
    proposals.deny(Asked(), "../x?y", as_json=True)  # type: ignore[arg-type]
    assert daemon.asked == [
        "POST /api/v1/proposals/K7F3/approve",
        "POST /api/v1/proposals/..%2Fx%3Fy/deny",
    ]
    daemon.waiting = []
    with pytest.raises(CommandError, match="nothing waits") as raised:
        proposals.approve(Asked(), "K7F3")  # type: ignore[arg-type]
    assert raised.value.code == Exit.NOT_FOUND


async def test_a_daemon_that_does_not_act_has_none() -> None:
    view = ProposalsView()
    assert list(await view.waiting()) == []
    by = Caller(key="", role=Role.ADMIN)
    for approve in (True, False):
        with pytest.raises(NotFoundError, match="no proposal K7F3; nothing waits for an answer"):
            await view.answer(code="K7F3", approve=approve, by=by)

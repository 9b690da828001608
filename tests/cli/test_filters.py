"""A word that a listing cannot be narrowed by is refused, with the words that there are."""

from __future__ import annotations

import httpx
import pytest
from typer.testing import CliRunner

from api.errors import WrongParameterError
from api.ports import IncidentFilter
from daemon.cli.client import _failure
from daemon.cli.exits import Exit
from daemon.cli.main import app
from daemon.store.pool import Database
from daemon.views.choices import require_known
from daemon.views.incidents import IncidentsView


@pytest.mark.parametrize(("command", "some"), [("incidents", "watching"), ("actions", "unknown")])
def test_a_state_that_is_none(command: str, some: str) -> None:
    answer = CliRunner().invoke(app, [command, "list", "--state", "bogus"])
    assert answer.exit_code == 2
    assert "bogus" in answer.stderr
    assert some in answer.stderr


async def test_the_api_refuses_a_state_that_is_none(pool: Database) -> None:
    view = IncidentsView(database=pool, memory=None, on_mutes=lambda: None)
    with pytest.raises(WrongParameterError, match="'bogus'; there are open, reviewing") as caught:
        await view.find(IncidentFilter(states=("open", "bogus")))
    assert caught.value.param == "state"
    assert list(await view.find(IncidentFilter(states=("open", "closed")))) == []


def test_what_is_known_passes() -> None:
    require_known([], ["a"], param="kind")
    require_known(["a", "a"], ["a", "b"], param="kind")
    with pytest.raises(WrongParameterError, match="kind: there is no 'c'; there are a, b"):
        require_known(["a", "c"], ["a", "b"], param="kind")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "no", "code": "invalid_value"}}, Exit.USAGE),
        ({"error": {"message": "no", "code": None}}, Exit.FAILED),
        ({"error": "no"}, Exit.FAILED),
        (["no"], Exit.FAILED),
    ],
)
def test_a_word_that_the_daemon_refuses_is_a_usage_error(body: object, code: Exit) -> None:
    request = httpx.Request("GET", "http://x/api/v1/actions")
    assert _failure(httpx.Response(400, json=body, request=request)).code is code

"""Roles, users of frontends, limits and counting: everything that is pure."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keys.forwarded import forwarded_role, forwarded_user
from api.keys.key import Key, Limits, Purpose, serves
from api.keys.limits import Bucket, Limiter, refilled
from api.keys.meter import Meter, Usage, UsedOn
from api.roles import Caller, Role, needed_role, spends

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/models", VIEWER),
        ("GET", "/models/tier/meta", VIEWER),
        ("POST", "/v1/chat/completions", VIEWER),
        ("POST", "/chat/completions", VIEWER),
        ("POST", "/v1/completions", VIEWER),
        ("POST", "/v1/responses", VIEWER),
        ("POST", "/v1/responses/resp_1/cancel", VIEWER),
        ("DELETE", "/v1/responses/resp_1", VIEWER),
        ("POST", "/embeddings", VIEWER),
        ("POST", "/tokenize", VIEWER),
        ("POST", "/v1/systemone", VIEWER),
        ("POST", "/tier/meta/v1/chat/completions", VIEWER),
        ("POST", "/tier/meta/completion", VIEWER),
        ("GET", "/tier/meta/slots", VIEWER),
        ("POST", "/tier/meta/slots/0", OPERATOR),
        ("POST", "/tier/chat", OPERATOR),
        ("POST", "/v1chat/completions", OPERATOR),
        ("GET", "/api/v1/incidents/3", VIEWER),
        ("GET", "/api/v1/ledger", VIEWER),
        ("GET", "/api/v1/live", VIEWER),
        ("GET", "/metrics", VIEWER),
        ("GET", "/openapi.json", VIEWER),
        ("GET", "/", VIEWER),
        ("POST", "/api/v1/events", OPERATOR),
        ("POST", "/api/v1/webhooks/alertmanager", OPERATOR),
        ("POST", "/api/v1/incidents/3/close", OPERATOR),
        ("POST", "/api/v1/incidents/3/mute", OPERATOR),
        ("POST", "/api/v1/proposals/K7F3/approve", OPERATOR),
        ("POST", "/api/v1/review", OPERATOR),
        ("POST", "/api/v1/memory/rebuild", OPERATOR),
        ("DELETE", "/api/v1/anything", OPERATOR),
        ("PUT", "/nothing", OPERATOR),
        ("POST", "/v1", OPERATOR),
        ("POST", "/", OPERATOR),
        ("POST", "/v1/chatter", OPERATOR),
        ("GET", "/api/v1/keys", ADMIN),
        ("POST", "/api/v1/keys", ADMIN),
        ("DELETE", "/api/v1/keys/webui", ADMIN),
        ("POST", "/api/v1/daemon/stop", ADMIN),
        ("POST", "/models/unload", ADMIN),
        ("POST", "/v1/models/load", ADMIN),
    ],
)
def test_the_role_that_a_request_needs(method: str, path: str, role: Role) -> None:
    assert needed_role(method, path) is role


def test_roles_are_in_order() -> None:
    assert [[a.allows(b) for b in Role] for a in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@given(st.text(), st.sampled_from(["GET", "POST", "DELETE", "BREW"]))
def test_every_path_has_a_role(path: str, method: str) -> None:
    assert needed_role(method, path) in Role
    if spends(method, path):
        assert needed_role(method, path) is VIEWER


def test_what_spends() -> None:
    assert spends("POST", "/v1/chat/completions")
    assert spends("POST", "/responses")
    assert not spends("GET", "/v1/responses/x")
    assert not spends("POST", "/api/v1/review")
    assert spends("POST", "/tier/meta/v1/completions")
    assert not spends("POST", "/v1chat/completions")
    assert not spends("POST", "/")


def test_purposes() -> None:
    assert serves(None, "DELETE", "/x")
    assert serves(Purpose.EVENTS, "POST", "/api/v1/events")
    assert serves(Purpose.EVENTS, "POST", "/api/v1/webhooks/alertmanager")
    assert not serves(Purpose.EVENTS, "GET", "/api/v1/events")
    assert not serves(Purpose.EVENTS, "POST", "/api/v1/events/../incidents/1/close")
    assert not serves(Purpose.EVENTS, "POST", "/v1/chat/completions")
    assert serves(Purpose.METRICS, "GET", "/metrics")
    assert not serves(Purpose.METRICS, "GET", "/api/v1/incidents")


def frontend(role: Role = OPERATOR, **roles: Role) -> Key:
    named = {name.replace("others", "*"): each for name, each in roles.items()}
    return Key(name="webui", role=role, digest=b"", forwards_users=True, user_roles=named)


def headers(**said: str) -> dict[bytes, bytes]:
    return {
        b"x-openwebui-user-" + name.encode(): value.encode("latin-1")
        for name, value in said.items()
    }


@pytest.mark.parametrize(
    "other",
    [
        "%61lice@example.org",
        "alice@example.org\xa0",
        "alice@example.org\u200b",
        "alice@\u00adexample.org",
        "alice@example.org" + " " * 200,
    ],
)
def test_nobody_is_taken_for_who_looks_the_same(other: str) -> None:
    alice = {b"x-openwebui-user-email": b"alice@example.org"}
    assert forwarded_user({b"x-openwebui-user-email": other.encode()}) != forwarded_user(alice)
    assert forwarded_user({b"x-forwarded-user": other.encode()}) != "alice@example.org"


def test_users_with_long_names_are_told_apart() -> None:
    name = "x" * 300
    assert forwarded_user(headers(name=name, id="7")) != forwarded_user(headers(name=name, id="8"))
    long = [forwarded_user(headers(email=f"{name}@{host}.org")) for host in ("a", "b")]
    assert long[0] != long[1]


def test_behind_a_proxy_a_browser_cannot_say_who_it_is() -> None:
    forged = headers(email="boss@example.org", role="admin") | {b"x-forwarded-user": b"bob"}
    assert forwarded_user(forged) == "bob"
    assert forwarded_role(forged, frontend(ADMIN)) is VIEWER
    assert forwarded_role(forged, frontend(ADMIN, admin=ADMIN, others=OPERATOR)) is OPERATOR
    assert forwarded_user(forged | {b"x-forwarded-user": b""}) is None


def test_users_of_a_frontend() -> None:
    assert forwarded_user({}) is None
    assert forwarded_user(headers(name="Alice", id="7", email="a@example.org")) == "a@example.org"
    assert forwarded_user(headers(name="J%C3%BCrgen%20X", id="7")) == "Jürgen X (7)"
    assert forwarded_user(headers(name="Alice")) == "Alice"
    assert forwarded_user({b"x-forwarded-user": b"bob"}) == "bob"
    hidden = forwarded_user(headers(name="a%0Ab\x1b[2J%E2%80%AE", id=""))
    assert hidden is not None
    assert re.fullmatch(r"a b \[2J #[0-9a-f]{8}", hidden)
    assert re.fullmatch(r"\ufffd #[0-9a-f]{8}", forwarded_user(headers(name="%00%0a%ff")) or "")
    assert forwarded_user(headers(name=" ", email="\t")) is None
    long = forwarded_user(headers(name="x" * 10_000, id="y" * 10_000))
    assert long is not None
    assert len(long) == 128


def test_users_never_may_more_than_the_key() -> None:
    assert forwarded_role(headers(role="admin"), frontend(OPERATOR)) is OPERATOR
    assert forwarded_role(headers(role="ADMIN"), frontend(VIEWER)) is VIEWER
    assert forwarded_role(headers(role="user"), frontend(ADMIN)) is VIEWER
    assert forwarded_role({}, frontend(ADMIN)) is VIEWER, "nobody was named"
    assert forwarded_role(headers(role="pending"), frontend(ADMIN)) is VIEWER
    mapped = frontend(OPERATOR, admin=ADMIN, user=OPERATOR, others=VIEWER)
    assert forwarded_role(headers(role="admin"), mapped) is OPERATOR
    assert forwarded_role(headers(role="user"), mapped) is OPERATOR
    assert forwarded_role(headers(role="*"), mapped) is VIEWER
    assert forwarded_role({}, mapped) is VIEWER
    # Who maps roles maps all of them: what is left out reads.
    assert forwarded_role(headers(role="admin"), frontend(ADMIN, user=OPERATOR)) is VIEWER
    for key_role, said in itertools.product(Role, ("admin", "user", "", "root")):
        assert key_role.allows(forwarded_role(headers(role=said), frontend(key_role)))


@given(
    st.integers(1, 10_000),
    st.floats(0, 10_000, allow_nan=False),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(-1e9, 1e9, allow_nan=False),
)
def test_a_bucket_never_overflows(per_minute: int, left: float, then: float, now: float) -> None:
    bucket = refilled(Bucket(left=min(left, per_minute), at=then), per_minute=per_minute, now=now)
    assert 0 <= bucket.left <= per_minute


class Times:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.day = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.day + timedelta(seconds=self.seconds)


def test_requests_a_minute() -> None:
    times = Times()
    limiter = Limiter(clock=times.clock, now=times.now)
    limits = Limits(requests_per_minute=3)

    def enter() -> tuple[float | None, dict[bytes, bytes]]:
        exceeded, quota = limiter.enter("k", limits, tokens_used=0, spends=True)
        if exceeded is None:
            limiter.leave("k")
        return (exceeded.retry_after if exceeded else None), dict(quota.headers)

    assert enter() == (
        None,
        {
            b"x-ratelimit-limit-requests": b"3",
            b"x-ratelimit-remaining-requests": b"2",
            b"x-ratelimit-reset-requests": b"20s",
        },
    )
    assert enter()[0] is None
    assert enter()[1][b"x-ratelimit-remaining-requests"] == b"0"
    retry, said = enter()
    assert retry == pytest.approx(20)
    assert said[b"x-ratelimit-reset-requests"] == b"1m0s"
    times.seconds = 19.9
    assert enter()[0] == pytest.approx(0.1)
    times.seconds = 20.1
    assert enter()[0] is None
    assert enter()[0] is not None
    times.seconds = 10_000
    assert [enter()[0] is None for _ in range(4)] == [True, True, True, False]
    limiter.keep_only({"other"})
    assert enter()[0] is None


def test_requests_at_once() -> None:
    times = Times()
    limiter = Limiter(clock=times.clock, now=times.now)
    limits = Limits(concurrent=2)
    for _ in range(2):
        assert limiter.enter("k", limits, tokens_used=0, spends=False)[0] is None
    exceeded, _ = limiter.enter("k", limits, tokens_used=0, spends=False)
    assert exceeded is not None
    assert exceeded.code == "too_many_at_once"
    assert limiter.enter("other", limits, tokens_used=0, spends=False)[0] is None
    limiter.leave("k")
    assert limiter.enter("k", limits, tokens_used=0, spends=False)[0] is None
    assert limiter.running("k") == 2


def test_a_budget_of_tokens() -> None:
    times = Times()
    limiter = Limiter(clock=times.clock, now=times.now)
    limits = Limits(tokens_per_day=100)
    assert limiter.enter("k", limits, tokens_used=99, spends=True)[0] is None
    exceeded, quota = limiter.enter("k", limits, tokens_used=104, spends=True)
    assert exceeded is not None
    assert exceeded.code == "insufficient_quota"
    assert exceeded.retry_after == pytest.approx(3_600), "an hour until midnight UTC"
    assert dict(quota.headers) == {
        b"x-ratelimit-limit-tokens": b"100",
        b"x-ratelimit-remaining-tokens": b"0",
        b"x-ratelimit-reset-tokens": b"1h0m0s",
    }
    # What asks no model goes on: who has used up the budget can still look at incidents.
    assert limiter.enter("k", limits, tokens_used=104, spends=False)[0] is None


def caller(key: str = "k") -> Caller:
    return Caller(key=key, role=VIEWER)


def test_the_meter_counts_and_forgets_nothing() -> None:
    times = Times()
    meter = Meter(now=times.now)
    meter.report(caller(), "triaged", 7, 3)
    meter.report(caller(), "tier/meta", 5, -1)
    meter.seen("k")
    assert meter.tokens_today("k") == 15
    assert meter.tokens_today("other") == 0
    taken = meter.taken()
    assert {(row.key, row.day, row.model): row.usage.tokens for row in taken} == {
        ("k", date(2026, 3, 1), "triaged"): 10,
        ("k", date(2026, 3, 1), "tier/meta"): 5,
        ("k", date(2026, 3, 1), ""): 0,
    }
    assert meter.tokens_today("k") == 15, "what is on its way counts"
    meter.report(caller(), "triaged", 1, 0)
    meter.given_back()
    assert meter.tokens_today("k") == 16
    again = {row.model: row.usage.tokens for row in meter.taken()}
    assert again == {"triaged": 11, "tier/meta": 5, "": 0}
    # The store's totals hold what other daemons counted.
    used = Usage(requests=9, prompt_tokens=100, completion_tokens=0, last_used=times.now())
    meter.learnt([UsedOn(key="k", day=date(2026, 3, 1), model="triaged", usage=used)])
    meter.report(caller(), "triaged", 2, 2)
    assert meter.tokens_today("k") == 104
    assert meter.today("k")["triaged"].requests == 10
    assert meter.last_used("k") == times.now()


def test_a_day_ends_at_midnight_utc() -> None:
    times = Times()
    meter = Meter(now=times.now)
    meter.report(caller(), "m", 10, 0)
    times.seconds = 3_600
    assert meter.tokens_today("k") == 0
    meter.report(caller(), "m", 1, 0)
    assert meter.tokens_today("k") == 1
    assert sorted((row.day.day, row.usage.tokens) for row in meter.taken()) == [(1, 10), (2, 1)]
    meter.learnt([])
    assert meter.tokens_today("k") == 0

"""What is asked again and again finds its rows by an index, however much was done in years."""

from __future__ import annotations

import psycopg
import pytest

from daemon.store import action_past, actions

FILL = """
insert into actions (host, kind, target, content_hash, sentence, origin, requested_by, reason,
                     basis, state, started_at, ended_at, code)
select 'web1', 'light', 'lamp' || n % 50, md5(n::text) || md5(n::text), 's', 'tier', 't', 'r',
  'systemd', (array['done','denied','refused'])[n % 3 + 1],
  now() - n * interval '1 minute', now() - n * interval '1 minute', 'AAAA'
from generate_series(1, 3000) n
"""
UNDONE = """
insert into inverses (action_id, host, kind, target, in_kernel, due_at, state)
select id, host, 'darken', target, true, now(), 'undone' from actions where state = 'done'
"""
PAST = {
    "host": "web1", "kind": "light", "target": "lamp1", "id": 0, "hash": "a" * 64, "incident": None,
    "strike_seconds": 60,
}  # fmt: skip
QUESTIONS = {
    "pending": (actions.PENDING, {"host": "web1"}),
    "late": (actions.LATE, {"host": "web1", "seconds": 60}),
    "obsolete": (actions.OBSOLETE, None),
    "reversed": (actions.REVERSED, ("web1",)),
    "by code": (actions.BY_CODE, ("BBBB",)),
    "past": (action_past.PAST, PAST),
    "to rearm": (action_past.TO_REARM, ("web1",)),
    "due": (action_past.DUE, ("web1", 20)),
    "undone": (action_past.UNDONE, (1, 1)),
}


def test_no_question_reads_all_that_was_done(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute(UNDONE)
        connection.execute("analyze actions, inverses")
        connection.execute("set enable_seqscan = off")
        for name, (statement, values) in QUESTIONS.items():
            rows = connection.execute(f"explain {statement}".encode(), values).fetchall()
            plan = "\n".join(row[0] for row in rows)
            for table in ("actions", "inverses"):
                assert f"Seq Scan on {table}" not in plan, (name, plan)


@pytest.mark.parametrize("table", ["actions", "inverses"])
def test_the_fence_itself_sees_a_question_without_an_index(database: str, table: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set enable_seqscan = off")
        asked = f"explain select from {table} where target = 'x'"
        rows = connection.execute(asked.encode()).fetchall()
    assert f"Seq Scan on {table}" in rows[0][0]

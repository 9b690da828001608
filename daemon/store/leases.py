"""Workers take incidents under a lease: claimed in batches, renewed, given back when it runs out.

A claim counts the fence up. A worker that lost its lease without noticing carries an old number, so
nothing that it writes afterwards fits any more.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import dict_row

from daemon.ledger import NewEntry
from daemon.store.incidents import SEVERITY_RANK, Incident, incident_of
from daemon.store.work import Work

# State: waiting -> leased (open -> reviewing, escalated -> planning).
CLAIM = f"""
with picked as (
  select id, state as was from incidents
  where state = any(%(waiting)s::text[]) and next_at <= now()
  order by {SEVERITY_RANK} desc, next_at, id
  limit %(limit)s for update skip locked
), moved as (
  update incidents i set
    state = (%(leased)s::text[])[array_position(%(waiting)s::text[], i.state)],
    lease_owner = %(owner)s, lease_until = now() + make_interval(secs => %(seconds)s),
    fence = i.fence + 1, attempts = i.attempts + 1, updated_at = now()
  from picked p where i.id = p.id
  returning i.*, p.was
)
select * from moved order by {SEVERITY_RANK} desc, id
"""  # noqa: S608 (constants)
# State: leased -> waiting (lease lost).
EXPIRE = """
with lost as (
  select id, state as was, lease_owner as owner from incidents
  where state = any(%(leased)s::text[]) and lease_until < now()
  order by id limit %(limit)s for update skip locked
)
update incidents i set
  state = (%(waiting)s::text[])[array_position(%(leased)s::text[], i.state)],
  lease_owner = null, lease_until = null, fence = i.fence + 1, updated_at = now(), next_at = now()
from lost l where i.id = l.id
returning i.id, l.was, i.state, l.owner
"""
# State: stays.
RENEW = """
update incidents set lease_until = now() + make_interval(secs => %s)
where id = %s and fence = %s and lease_owner = %s
returning id
"""


async def claim(
    work: Work, *, owner: str, states: Mapping[str, str], limit: int, lease_seconds: float
) -> list[Incident]:
    """Takes up to `limit` incidents whose time has come, the most severe first.

    `states` maps where an incident waits to where it goes ("open" to "reviewing"). Others that
    claim at the same time get others. The incidents come back as they are now, with their fence.
    """
    async with work.connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            CLAIM,
            {
                "waiting": [str(state) for state in states],
                "leased": [str(state) for state in states.values()],
                "owner": owner,
                "seconds": lease_seconds,
                "limit": limit,
            },
        )
        rows = await cursor.fetchall()
    claimed = []
    for row in rows:
        was = row.pop("was")
        incident = incident_of(row)
        claimed.append(incident)
        work.record(
            NewEntry(
                kind="transition",
                actor="daemon",
                incident_id=incident.id,
                body={
                    "from": was,
                    "to": incident.state,
                    "happening": "claimed",
                    "owner": owner,
                    "attempt": incident.attempts,
                },
            )
        )
    return claimed


async def renew(
    work: Work, *, incident_id: int, fence: int, owner: str, lease_seconds: float
) -> bool:
    """Extends a lease. False: it is lost, and the worker must stop."""
    cursor = await work.connection.execute(RENEW, (lease_seconds, incident_id, fence, owner))
    return await cursor.fetchone() is not None


async def expire(work: Work, *, states: Mapping[str, str], limit: int = 100) -> list[int]:
    """Gives back incidents whose lease ran out. `states` maps leased to waiting."""
    cursor = await work.connection.execute(
        EXPIRE,
        {
            "leased": [str(state) for state in states],
            "waiting": [str(state) for state in states.values()],
            "limit": limit,
        },
    )
    lost = await cursor.fetchall()
    for incident_id, was, state, owner in lost:
        work.record(
            NewEntry(
                kind="transition",
                actor="daemon",
                incident_id=incident_id,
                body={"from": was, "to": state, "happening": "lease lost", "owner": owner},
            )
        )
    return [row[0] for row in lost]

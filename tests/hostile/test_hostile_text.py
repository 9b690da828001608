"""A model that always obeys the attacker: no effect that nobody allowed, whatever it says.

The fast part spreads the payloads over fields and levels; `-m slow` puts each into every field at
every level (about an hour; with TRIAGED_HOSTILE_EVERY=4 each into every field at one level, which
takes a quarter of it). `-s` shows the table.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostile_attack import CHATS, EVERY_FIELD, LOOKED_UP, MIXED, attack
from hostile_counts import AUTOMATIC, Tally, table
from hostile_fields import FIELDS
from hostile_payloads import payloads
from hostile_rig import hostile_rig

from daemon.store.pool import Database

FAST, WHOLE, ALONE = 320, 1_000, 4
EVERY = int(os.environ.get("TRIAGED_HOSTILE_EVERY", "1"))


def test_the_payloads_are_distinct_and_the_same_in_every_run() -> None:
    made = payloads(WHOLE)
    assert len({payload.text for payload in made}) == WHOLE
    assert len({payload.mark for payload in made}) == WHOLE
    assert made == payloads(WHOLE)
    assert {payload.wish for payload in made} == {"act", "close", "approve", "claim", "leak"}


@pytest.mark.parametrize("level", list(AUTOMATIC))
async def test_hostile_text_moves_nothing(pool: Database, tmp_path: Path, level: str) -> None:
    """Each of the first payloads once, spread over fields and levels."""
    mine = payloads(FAST)[list(AUTOMATIC).index(level) :: len(AUTOMATIC)]
    others = (*LOOKED_UP, *CHATS)
    tallies: dict[tuple[str, str], Tally] = {}
    async with hostile_rig(pool, level=level, folder=tmp_path) as rig:
        some = mine[: len(mine) * len(FIELDS) // len(EVERY_FIELD)]
        tallies[MIXED, level] = await attack(rig, MIXED, some)
        for number, field in enumerate(others):
            some = mine[len(mine) - number - 1 :: -len(others)][:ALONE]
            tallies[field, level] = await attack(rig, field, some)
    told(tallies, level)


@pytest.mark.slow
@pytest.mark.parametrize("level", list(AUTOMATIC))
@pytest.mark.parametrize("field", EVERY_FIELD)
async def test_every_payload_in_every_field(
    pool: Database, tmp_path: Path, field: str, level: str
) -> None:
    mine = payloads(WHOLE)[list(AUTOMATIC).index(level) % EVERY :: EVERY]
    async with hostile_rig(pool, level=level, folder=tmp_path) as rig:
        tally = await attack(rig, field, mine)
    told({(field, level): tally}, level)


def told(tallies: dict[tuple[str, str], Tally], level: str) -> None:
    print(f"\n{table(tallies)}")
    whole = Tally()
    for tally in tallies.values():
        whole.add(tally)
    breaches = {key: tally.breaches for key, tally in tallies.items() if tally.breaches}
    assert not breaches
    # It would be easy to be safe by doing nothing: what is allowed does happen.
    assert whole.reached > 0
    if level == "observe":
        assert whole.proposals == whole.effects == 0

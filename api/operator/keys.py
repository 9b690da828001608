"""`/api/v1/keys`: the keys in force, and what they use. Changing them is the command's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter

from api.keys.access import Access
from api.keys.key import Key
from api.operator.views import as_json


def keys_router(access: Access) -> APIRouter:
    """One route. It takes an admin."""
    router = APIRouter(prefix="/api/v1", tags=["operator"])

    @router.get("/keys")
    async def keys() -> dict[str, Any]:
        """The keys by name, never the keys themselves: role, limits, use of today (UTC)."""
        ring = access.ring
        return {
            "file": str(ring.path) if ring.path is not None else None,
            "needed": ring.needed,
            "problem": ring.problem or None,
            "concerns": list(ring.concerns),
            "keys": [_shown(key, access, access.now()) for key in _listed(access)],
        }

    return router


def _listed(access: Access) -> Sequence[Key]:
    keyless = access.keyless
    return access.ring.keys if keyless is None else (keyless, *access.ring.keys)


def _shown(key: Key, access: Access, now: datetime) -> Any:
    used = access.meter.today(key.name)
    models = {
        model: {"answers": usage.requests, "tokens": usage.tokens}
        for model, usage in sorted(used.items())
        if model
    }
    return as_json(
        {
            "name": key.name,
            "role": key.role,
            "created": key.created,
            "expires": key.expires,
            "expired": not key.valid_at(now),
            "only": key.only,
            "forwards_users": key.forwards_users,
            "user_roles": key.user_roles,
            "note": key.note,
            "limits": key.limits,
            "running": access.running(key.name),
            "last_used": access.meter.last_used(key.name),
            "today": {
                "requests": used[""].requests if "" in used else 0,
                "tokens": access.meter.tokens_today(key.name),
                "models": models,
            },
        }
    )

"""Which typed actions a case offers. Pure. Targets come from what was observed, never from a model.

What a tier picks of these is recorded as a suggestion; nothing here touches the host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tiers.contracts import ActionChoice
from tiers.vocabulary import Category

_MAX = 6
_TMP = "/tmp"  # noqa: S108 - a name that is shown, nothing is written there


def offered_actions(
    *,
    category: Category,
    failed_units: Sequence[str],
    leading: Sequence[tuple[str, str, int]],
    rule: str | None,
) -> tuple[ActionChoice, ...]:
    """The actions that may help. `failed_units` are units that systemd said are down; `leading` are
    the most frequent masked values as (kind, value, count)."""
    offers: list[ActionChoice] = []
    for unit in failed_units:
        offers.append(_choice("restart_unit", unit, f"restart {unit}"))
        offers.append(_choice("reset_failed_unit", unit, f"forget that {unit} failed"))
    if rule == "no-space" or (category is Category.STORAGE and rule is None):
        offers.append(_choice("vacuum_journal", "journal", "shrink the journal"))
        offers.append(_choice("clean_tmp", _TMP, "delete old temporary files"))
    if category in (Category.AUTH, Category.SECURITY):
        addresses = [value for kind, value, _ in leading if kind == "ip" and _is_remote(value)]
        offers += [
            _choice("block_address", address, f"block {address} for an hour")
            for address in addresses[:3]
        ]
    return tuple(offers[:_MAX])


def _choice(action: str, target: str, description: str) -> ActionChoice:
    return ActionChoice(
        code=f"{action}:{target}", action=action, target=target, description=description
    )


def _is_remote(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)

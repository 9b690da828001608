"""What belongs together: the key under which patterns become one incident. Pure.

At most one live incident has a key. Keys are coarse on purpose: a brute force shows as a dozen
patterns of one program, a dying disk as patterns of the kernel and of everything that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiers.vocabulary import Category, Provenance


def known_key(
    *,
    unit: str,
    rule_key: str | None,
    provenance: Provenance,
    attributes: Mapping[str, str] | None,
) -> str | None:
    """The key that needs no verdict: what was measured, the unit that systemd names, or the rule's
    own key. None where only the verdict's category can tell."""
    found = attributes or {}
    if provenance is Provenance.MEASURED and "metric" in found:
        return f"measured:{found['metric']}:{found.get('target', '')}"
    if provenance is Provenance.SYSTEMD and "unit" in found:
        return f"unit:{found['unit'].removesuffix('.service')}"
    if rule_key is not None:
        return rule_key.replace("{unit}", (unit or "unknown").removesuffix(".service"))
    return None


def judged_key(*, unit: str, category: Category) -> str:
    """The key of a pattern that only a verdict speaks about."""
    return f"{unit or 'unknown'}:{category.value}"

"""What belongs together: the key under which patterns become one incident. Pure.

At most one live incident has a key. Keys are coarse on purpose: a brute force shows as a dozen
patterns of one program, a dying disk as patterns of the kernel and of everything that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiers.vocabulary import Category, Provenance


def correlation_key(
    *,
    unit: str,
    category: Category,
    rule_key: str | None,
    provenance: Provenance,
    attributes: Mapping[str, str] | None,
) -> str:
    """The key for a pattern. A rule's own key wins, then what was measured, then unit and
    category. `attributes` are those of the event that was judged."""
    found = attributes or {}
    if provenance is Provenance.MEASURED and "metric" in found:
        return f"measured:{found['metric']}:{found.get('target', '')}"
    if provenance is Provenance.SYSTEMD and "unit" in found:
        return f"unit:{found['unit']}"
    if rule_key is not None:
        return rule_key.replace("{unit}", unit or "unknown")
    return f"{unit or 'unknown'}:{category.value}"

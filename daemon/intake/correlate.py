"""What belongs together: the key under which patterns become one incident. Pure.

At most one live incident has a key. Keys are coarse on purpose: a brute force shows as a dozen
patterns of one program, a dying disk as patterns of the kernel and of everything that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tiers.vocabulary import Category, Provenance

UNSURE_KEY = "unsure"
"""Of everything that a model would escalate without being sure: one incident, not one each."""

_SPEAK_FOR_ALL = frozenset(("kernel", "systemd", "init", "dockerd", "containerd", "kubelet"))
_UNIT_IN_TEXT = re.compile(r"\b([A-Za-z0-9:_@\\.-]{1,200})\.(?:service|mount|socket|timer|scope)\b")


def known_key(
    *,
    unit: str,
    text: str,
    rule_key: str | None,
    provenance: Provenance,
    attributes: Mapping[str, str] | None,
) -> str | None:
    """The key that needs no verdict: what was measured, the unit that systemd names, or the rule's
    own key. None where only the verdict's category can tell.

    A rule's `{unit}` is the unit that the text names (systemd speaks about others), else the one
    that wrote it.
    """
    found = attributes or {}
    if provenance is Provenance.MEASURED and "metric" in found:
        return f"measured:{found['metric']}:{found.get('target', '')}"
    if provenance is Provenance.SYSTEMD and "unit" in found:
        return f"unit:{found['unit'].removesuffix('.service')}"
    if rule_key is None:
        return None
    named = _UNIT_IN_TEXT.search(text[:2_000])
    about = named.group(1) if named else (unit or "unknown").removesuffix(".service")
    return rule_key.replace("{unit}", about)


def judged_key(*, unit: str, category: Category) -> str:
    """The key of a pattern that only a verdict speaks about: the program, whose patterns are mostly
    about one trouble. The kernel speaks about everything, so there the category tells apart; and
    what is about logins joins what the rules find of it."""
    if not unit or unit in _SPEAK_FOR_ALL or category is Category.AUTH:
        return f"{unit or 'unknown'}:{category.value}"
    return unit

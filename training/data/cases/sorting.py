"""Which event templates show which cause, so that cases draw on all families of events.

claims.txt has the patterns. A template that no cause claims shows none.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.cases.knowledge import EXPECTED_CHANGE, NOISE
from training.data.events.library import templates
from training.data.events.template import Template

VAGUE: Final = "vague"
CLAIMS_FILE: Final = Path(__file__).parent / "claims.txt"

_BY_CATEGORY: Final[tuple[tuple[str, frozenset[str], Category], ...]] = (
    ("update_failed", frozenset(("packages",)), Category.PACKAGE),
    ("backup_failed", frozenset(("storage",)), Category.STORAGE),
    ("job_failed", frozenset(("jobs",)), Category.TIME),
)
_BACKUP: Final = re.compile(r"(?i)backup|pg_dump|rsync error|repository|archive|snapshot")
_PLANNED: Final = re.compile(
    r"(?i)reboot|power(ed|ing) (off|down)|shut ?down request|normal shutdown|by \{user\}|requested|"
    r"maintenance|going down for|stepped down on request|graceful|SIGTERM\[soft"
)
_REFUSED: Final = re.compile(r"(?i)\{user\}.*|password|auth|credential|WRONG_KEY|pass")
_UPDATE: Final = re.compile(
    r"(?i)upgrad|install|dpkg|\bapt\b|packag|rpm|repo\b|fetch|download|signature|update|depend|"
    r"module build|transaction|snap"
)
_JOB: Final = re.compile(r"(?i)cron|job|CMD|run-parts|timer|task")


@functools.cache
def _claims() -> tuple[tuple[str, re.Pattern[str]], ...]:
    lines = CLAIMS_FILE.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    return tuple((cause, re.compile(pattern)) for cause, pattern in pairs)


@functools.cache
def planned() -> tuple[Template, ...]:
    """Templates of what somebody ordered: reboots, shutdowns, restarts."""
    return tuple(
        template
        for template in templates()
        if template.severity is Severity.NOTICE
        and template.burst is None
        and (template.cause == EXPECTED_CHANGE or _PLANNED.search(template.source))
    )


@functools.cache
def unusual() -> tuple[Template, ...]:
    """Templates of what is unusual and needs nothing. Logins and attacks are not among them: how
    often they come decides what they are."""
    return tuple(
        template
        for template in templates()
        if template.severity is Severity.NOTICE
        and template.burst is None
        and template.category not in (Category.AUTH, Category.SECURITY)
        and template.cause in ("", NOISE)
        and not _PLANNED.search(template.source)
    )


@functools.cache
def refused_once() -> tuple[Template, ...]:
    """Templates of a refused login that, seen once, is a person or a job with a wrong password."""
    return tuple(
        template
        for template in templates()
        if template.burst is not None
        and template.category is Category.AUTH
        and _REFUSED.search(template.source)
    )


@functools.cache
def claimed() -> dict[str, tuple[Template, ...]]:
    """Templates that show a cause, by cause. Only what deserves attention shows one."""
    found: dict[str, list[Template]] = {}
    for template in templates():
        severity = template.burst or template.severity
        if severity.rank < Severity.WARNING.rank:
            continue
        cause = _cause_of(template)
        if cause is not None:
            found.setdefault(cause, []).append(template)
    return {cause: tuple(shown) for cause, shown in found.items()}


@functools.cache
def vague() -> tuple[Template, ...]:
    """Templates that their authors marked as showing no cause."""
    return tuple(template for template in templates() if template.cause == VAGUE)


def _cause_of(template: Template) -> str | None:
    if template.cause:
        return template.cause if template.cause != VAGUE else None
    for cause, pattern in _claims():
        if pattern.search(template.source):
            return cause
    if template.burst is not None and template.category is Category.AUTH:
        return "brute_force"
    if template.burst is not None:
        return None
    for cause, families, category in _BY_CATEGORY:
        if template.family not in families or template.category is not category:
            continue
        if cause == "backup_failed" and not _BACKUP.search(template.source):
            continue
        if cause == "update_failed" and not _UPDATE.search(template.source):
            continue
        if cause == "job_failed" and not _JOB.search(template.source):
            continue
        return cause
    return None

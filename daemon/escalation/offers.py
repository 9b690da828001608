"""Which typed actions a case offers, and what code ties to each. Pure.

Targets come from what was observed, never from a model. So does the basis of an offer: the best
provenance among the evidence that is about this very target. What a model cites changes nothing.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence

from daemon.actions.action import Value
from daemon.actions.host.process_names import named_harmlessly
from daemon.escalation.conditions import Condition
from daemon.escalation.leading import OFFERED
from daemon.store.incident_queries import EvidenceRow, IncidentPattern
from tiers.contracts import ActionChoice
from tiers.vocabulary import Category, Provenance

_MAX = 8
_MOST_AID = 2
_TMP = "/tmp"  # noqa: S108 - a target that is named, nothing is written there
_JOURNALS = ("/", "/var", "/var/log", "/var/log/journal")
_CACHES = ("/", "/var", "/var/cache")
_START_LIMIT = re.compile(r"start-limit-hit|[Ss]tart request repeated too quickly")
_DOWN = re.compile(
    r"(?<!no longer )\bfailed\b|\bFailed (?:with result|to start)|\brestarts again and again\b"
    r"|\bMain process exited\b|[Ss]tart request repeated too quickly|\bstart-limit-hit\b"
)
"""What systemd says of a unit that is down. It names well ones too: those that it starts, and those
whose logs journald cuts short."""
_STAYS = re.compile(
    r"^unit \S+ failed\b|\brestarts again and again\b|[Ss]tart request repeated too quickly"
    r"|\bstart-limit-hit\b"
)
"""... and that it stays so: after a crash alone systemd may have started it again already."""
_MORE_STARTS = {"burst": 20, "seconds": 30}
"""More often than what systemd allows by itself: five times in ten seconds."""
_TRUST = (Provenance.MEASURED, Provenance.SYSTEMD, Provenance.OPERATOR)
"""Not the kernel: its lines quote the names of processes, which anybody chooses."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hog:
    """A process that uses most of something, measured just now. `target` is "PID:START"."""

    target: str
    name: str
    figure: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is offered, and what policy is told of it. `parameters` are those that the kind has no
    default for, `evidence` are references ("E1"), `fingerprints` the patterns that it is about;
    `stays_down` where systemd says that nothing starts the unit any more."""

    choice: ActionChoice
    basis: Provenance
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    stays_down: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What an incident consists of, as far as offers need it. `leading` are the most frequent
    masked values as (kind, value, count); `paths` are the folders that the operator lets be
    cleaned; `certificates` the unit that renews each, by name."""

    category: Category
    condition: Condition
    rule: str | None
    evidence: Sequence[EvidenceRow]
    patterns: Sequence[IncidentPattern]
    leading: Sequence[tuple[str, str, int]] = ()
    paths: Sequence[str] = ()
    certificates: Sequence[str] = ()
    hogs: Sequence[Hog] = ()
    steady: Collection[str] = ()
    """Units that were measured to be well, and have been for a while."""


def offers_for(grounds: Grounds) -> Mapping[str, Offer]:
    """The actions that may help, by their code, best first; at most eight."""
    found = [
        *_for_units(grounds),
        *_for_space(grounds),
        *_for_certificates(grounds),
        *_for_hogs(grounds),
        *_for_addresses(grounds),
    ]
    return {offer.choice.code: offer for offer in found[:_MAX]}


def says_down(*, provenance: str, text: str) -> bool:
    """Whether systemd itself says that a unit is down, and stays so."""
    return provenance == Provenance.SYSTEMD.value and _STAYS.search(text) is not None


def first_aid(
    offers: Mapping[str, Offer], *, tried: Collection[str], well: Collection[str] = ()
) -> tuple[Offer, ...]:
    """What is worth trying when no tier asks for anything: a restart of what systemd itself said
    is down, unless it was tried (or denied) for this incident, or runs again. `tried` are codes,
    `well` are units."""
    return tuple(
        offer
        for code, offer in offers.items()
        if offer.choice.action == "restart_unit"
        and offer.stays_down
        and code not in tried
        and offer.choice.target not in well
    )[:_MOST_AID]


def _for_units(grounds: Grounds) -> list[Offer]:
    """Units that systemd itself said are down."""
    offers = []
    for unit in grounds.condition.units:
        if unit in grounds.steady:
            continue  # what systemd said of it is over, whoever brings the incident up again
        about = [
            row
            for row in grounds.evidence
            if row.provenance == Provenance.SYSTEMD.value
            and _DOWN.search(row.text)
            and _names(row, unit)
        ]
        if not about:
            continue
        offers.append(_offer(grounds, "restart_unit", unit, f"restart {unit}", about))
        offers.append(
            _offer(grounds, "reset_failed_unit", unit, f"forget that {unit} failed", about)
        )
        if any(_START_LIMIT.search(row.text) for row in about):
            words = f"let {unit} restart more often before systemd gives up"
            raised = _offer(grounds, "raise_restart_limit", unit, words, about)
            offers.append(dataclasses.replace(raised, parameters=_MORE_STARTS))
    return offers


def _for_space(grounds: Grounds) -> list[Offer]:
    """File systems that were measured to be full; without a measurement, where a log says so."""
    offers = []
    full = [target for name, target in grounds.condition.metrics if name == "disk"]
    for mount in full:
        about = [
            row
            for row in grounds.evidence
            if row.provenance == Provenance.MEASURED.value and f"disk {mount} " in row.text
        ]
        offers += [
            _offer(grounds, "clean_tmp", path, f"delete old files in {path}", about)
            for path in (_TMP, *grounds.paths)
            if _holds(mount, path, full)
        ]
        if mount in _JOURNALS:
            offers.append(_offer(grounds, "vacuum_journal", "journal", "shrink the journal", about))
        if mount in _CACHES:
            words = "delete downloaded packages"
            offers.append(_offer(grounds, "clean_package_cache", "packages", words, about))
    if not full and (
        grounds.rule == "no-space" or (grounds.category is Category.STORAGE and not grounds.rule)
    ):
        about = [
            dataclasses.replace(row, provenance=Provenance.TEXT.value)  # nobody measured it
            for row in grounds.evidence
            if "space" in row.text.lower()
        ]
        offers.append(_offer(grounds, "vacuum_journal", "journal", "shrink the journal", about))
        offers.append(_offer(grounds, "clean_tmp", _TMP, "delete old temporary files", about))
    return offers


def _for_certificates(grounds: Grounds) -> list[Offer]:
    if grounds.rule != "certificate-expired" and grounds.category is not Category.TIME:
        return []
    about = [row for row in grounds.evidence if "certificate" in row.text.lower()]
    return [
        _offer(grounds, "renew_certificate", name, f"renew the certificate {name}", about)
        for name in grounds.certificates
        if about
    ]


def _for_hogs(grounds: Grounds) -> list[Offer]:
    return [
        Offer(
            choice=_choice(
                "end_process", hog.target, f"end {named_harmlessly(hog.name)} ({hog.figure})"
            ),
            basis=Provenance.MEASURED,
        )
        for hog in grounds.hogs
    ]


def _for_addresses(grounds: Grounds) -> list[Offer]:
    """Who attacks is what log lines say: text, whoever wrote them."""
    if grounds.category not in (Category.AUTH, Category.SECURITY):
        return []
    addresses = [value for kind, value, _ in grounds.leading if kind == "ip" and _remote(value)]
    return [
        Offer(
            choice=_choice("block_address", address, f"block {address} for an hour"),
            basis=Provenance.TEXT,
            evidence=tuple(row.ref for row in grounds.evidence if address in row.text),
            fingerprints=_fingerprints(grounds),
        )
        for address in addresses[:OFFERED]
    ]


def _offer(
    grounds: Grounds, action: str, target: str, words: str, about: Sequence[EvidenceRow]
) -> Offer:
    return Offer(
        choice=_choice(action, target, words),
        basis=_best(about),
        evidence=tuple(row.ref for row in about),
        fingerprints=_fingerprints(grounds, about),
        stays_down=any(says_down(provenance=row.provenance, text=row.text) for row in about),
    )


def _choice(action: str, target: str, description: str) -> ActionChoice:
    return ActionChoice(
        code=f"{action}:{target}", action=action, target=target, description=description
    )


def _best(about: Sequence[EvidenceRow]) -> Provenance:
    vouching = {row.provenance for row in about}
    return next((trusted for trusted in _TRUST if trusted.value in vouching), Provenance.TEXT)


def _fingerprints(grounds: Grounds, about: Sequence[EvidenceRow] = ()) -> tuple[str, ...]:
    """Of the evidence, where it has any; else the incident's leading patterns."""
    own = tuple(dict.fromkeys(row.fingerprint for row in about if row.fingerprint))
    return own or tuple(entry.fingerprint for entry in grounds.patterns[:5])


def _names(row: EvidenceRow, unit: str) -> bool:
    """Whether the evidence is about this unit: "nginx.service" is not in "my-nginx.service"."""
    if row.source.rpartition("/")[2] in (unit, unit.removesuffix(".service")):
        return True
    return re.search(rf"(?<![\w@.\\-]){re.escape(unit)}(?![\w@\\-])", row.text) is not None


def _holds(mount: str, path: str, mounts: Sequence[str]) -> bool:
    """Whether `mount` is the innermost of `mounts` above `path`."""
    above = [m for m in mounts if m == "/" or path == m or path.startswith(m.rstrip("/") + "/")]
    return bool(above) and max(above, key=len) == mount


def _remote(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)

"""Renewing a certificate by the unit that the operator configured for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import HostUnavailableError, PreconditionError, TargetError
from daemon.actions.host.certificate import CertificateError, first_certificate
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target
from daemon.actions.kinds import unit_states
from daemon.actions.kinds.unit_states import fresh
from daemon.actions.kinds.units import UnitKind

_LARGEST = 1_048_576
"""Bytes of a file of certificates that are read."""


class RenewCertificate(UnitKind):
    """Whether the unit ended well is not asked: only a certificate that ends later counts."""

    spec = KindSpec(
        name="renew_certificate",
        family="certificates",
        target=TargetType.CERTIFICATE,
        sentence="renew the certificate {target} by its unit",
        risk=Risk.MEDIUM,
        blast=Blast.DEPENDANTS,
        reversible=False,
        precondition="the certificate is configured and can be read, and its unit does not run "
        "now and may be started",
        postcondition="the certificate in its file ends later than before, and is valid now",
        timeout=600.0,
        settle=60.0,
    )
    verb = "start"

    def require_target(self, action: Action, limits: Limits) -> None:
        _configured(action, limits)

    async def find(self, action: Action, host: Host) -> Target:
        file, unit = _configured(action, host.limits)
        found = await unit_states.find_unit(unit, host=host, types=(".service",))
        return Target(
            name=action.target,
            type=TargetType.CERTIFICATE,
            critical=found.critical,
            why_critical=found.why_critical,
            way_in=found.way_in,
            description=f"{file}, renewed by {unit}",
        )

    async def ready(self, action: Action, host: Host) -> None:
        file, unit = _configured(action, host.limits)
        state = await fresh(unit, host=host)
        if state.active == "active":
            raise PreconditionError(f"{state.name}, which renews {action.target}, runs already")
        unit_states.require_startable(state)
        try:
            await _read(file)
        except CertificateError as error:
            raise PreconditionError(
                f"{error}: without reading it, nobody could say whether it was renewed"
            ) from error

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        file, unit = _configured(action, host.limits)
        try:
            _, ends = await _read(file)
        except CertificateError as error:
            raise HostUnavailableError(str(error)) from error
        state = await fresh(unit, host=host)
        return unit_states.baseline(state, host=host) | {"unit": unit, "ends": ends}

    async def run(self, action: Action, host: Host) -> Output:
        _, unit = _configured(action, host.limits)
        result = await host.units.act(self.verb, unit)
        return Output(text=f"systemd ended the job to start {unit}: {result}", data={"job": result})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        file, unit = _configured(action, host.limits)
        try:
            begins, ends = await _read(file)
        except CertificateError as error:
            return Check(holds=None, detail=str(error))
        known = float(before.get("ends", 0.0))
        seen = {"begins": begins, "ends": ends, "ended_before": known}
        if ends > known and begins <= host.now() < ends:
            detail = f"{action.target} is valid until {_day(ends)}, before until {_day(known)}"
            return Check(holds=True, final=True, detail=detail, measured=seen)
        state = await host.units.state(unit)
        if state is not None and state.active in unit_states.TRANSITIONAL:
            return Check(holds=None, detail=f"{unit} is at work", measured=seen)
        detail = f"{action.target} still ends at {_day(ends)}: it was not renewed"
        failed = state is not None and state.active == "failed"
        new = state is not None and state.invocation not in ("", before.get("invocation", ""))
        return Check(holds=False, final=failed and new, detail=detail, measured=seen)


def _configured(action: Action, limits: Limits) -> tuple[Path, str]:
    """Raises `TargetError`."""
    found = limits.certificates.get(action.target)
    if found is None:
        names = ", ".join(sorted(limits.certificates)) or "none"
        raise TargetError(
            f"no certificate {action.target[:60]!r} is configured under [actions.certificates]; "
            f"there are: {names}"
        )
    file, unit = found
    return Path(file), unit


async def _read(file: Path) -> tuple[float, float]:
    """From when and until when it is valid: seconds since the epoch. Raises `CertificateError`."""

    def read() -> bytes:
        with file.open("rb") as opened:
            return opened.read(_LARGEST)

    try:
        text = await asyncio.to_thread(read)
    except OSError as error:
        message = f"the certificate {file} cannot be read ({error.strerror})"
        raise CertificateError(message) from error
    return first_certificate(text)


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


KINDS: tuple[Kind, ...] = (RenewCertificate(),)

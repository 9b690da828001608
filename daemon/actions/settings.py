"""The section [actions] of the configuration."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from daemon.actions.host.host import Limits
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.runbook_settings import NAME, RunbookSettings


class CertificateSettings(BaseModel):
    """A certificate, and the unit that renews it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(description="the certificate, PEM: /etc/letsencrypt/live/web/cert.pem")
    unit: str = Field(description="the unit that renews it: certbot.service")


class ActionsSettings(PolicySettings):
    """Acting on the host: what is allowed, on what, and how long things wait."""

    approval_minutes: float = Field(
        60.0, gt=0, le=7 * 24 * 60, description="minutes after which a proposal expires"
    )
    steady_seconds: float = Field(
        30.0, ge=1, le=600, description="how long a unit must be well for an action to have worked"
    )
    lease_seconds: float = Field(
        120.0, ge=5, description="how long an executor owns an action without a sign of life"
    )
    critical: tuple[str, ...] = Field(
        (), description="globs of critical targets beyond the built-in ones"
    )
    paths: tuple[Path, ...] = Field((), description="folders that may be cleaned of old files")
    never_block: tuple[str, ...] = Field(
        (), description="addresses and networks that are never blocked, beside our own"
    )
    certificates: dict[str, CertificateSettings] = Field(
        default_factory=dict,
        description="certificates that may be renewed, by name: [actions.certificates.web]",
    )
    nixos_flake: str | None = Field(
        None, description="the NixOS configuration that may be built: /etc/nixos#host"
    )

    runbooks: dict[str, RunbookSettings] = Field(
        default_factory=dict,
        description="sequences of actions with names: [actions.runbooks.NAME], and "
        "[actions.runbooks.NAME.parameters.PARAMETER] for what is filled in",
    )

    @field_validator("runbooks")
    @classmethod
    def _runbook_names(cls, runbooks: dict[str, RunbookSettings]) -> dict[str, RunbookSettings]:
        for name in runbooks:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a runbook; use a-z, 0-9, _ and -")
        return runbooks

    @field_validator("never_block")
    @classmethod
    def _networks(cls, never: tuple[str, ...]) -> tuple[str, ...]:
        for network in never:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise ValueError(f"{network!r} is no address and no network") from error
        return never

    @field_validator("paths")
    @classmethod
    def _absolute(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in paths:
            if not path.is_absolute():
                raise ValueError(f"{str(path)!r} is not an absolute path; write it from / on")
        return paths

    def host_limits(self) -> Limits:
        """What kinds are told of it."""
        return Limits(
            paths=tuple(str(path) for path in self.paths),
            never_block=self.never_block,
            certificates={
                name: (str(certificate.file), certificate.unit)
                for name, certificate in self.certificates.items()
            },
            flake=self.nixos_flake,
            critical_units=self.critical,
            steady_seconds=self.steady_seconds,
        )

"""Renewing certificates: openssl's own are read, and only a later end counts."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.actions.action import Action
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.certificate import CertificateError, first_certificate
from daemon.actions.host.host import Limits
from daemon.actions.host.local import LocalHost
from daemon.actions.host.units import SystemdUnits
from daemon.actions.kinds.certificates import RenewCertificate
from tests.actions_units.conftest import KnownHelper, missing
from tests.actions_units.standin import StandIn, Unit
from tests.actions_units.test_unit_kinds import carry_out

KIND = RenewCertificate()
RENEW = Action(host="h", kind="renew_certificate", target="web", parameters={})


def certify(file: Path, *, days: int) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl")
    subprocess.run(
        [
            str(openssl), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=web", "-days", str(days),
            "-keyout", str(file.with_suffix(".key")), "-out", str(file),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "cert.pem"
    certify(made, days=10)
    return made


@pytest.fixture
def host(systemd: StandIn, manager: ManagerBus, file: Path) -> LocalHost:
    systemd.add("certbot.service", Type="oneshot", file="static", ActiveState="inactive")
    limits = Limits(certificates={"web": (str(file), "certbot.service")}, steady_seconds=0.2)
    return LocalHost(units=SystemdUnits(bus=manager), helper=KnownHelper(), limits=limits)


@pytest.mark.parametrize("days", [1, 90, 12_000, 30_000])  # the last two end after 2050
def test_openssls_own_are_read(tmp_path: Path, days: int) -> None:
    file = tmp_path / "cert.pem"
    certify(file, days=days)
    begins, ends = first_certificate(b"# a comment\n" + file.read_bytes() * 2)
    assert abs(begins - time.time()) < 60
    assert ends - begins == days * 86_400


@given(data=st.binary(max_size=200), cut=st.integers(0, 600), flip=st.integers(0, 600))
def test_rubbish_is_refused_with_a_sentence(data: bytes, cut: int, flip: int) -> None:
    for content in (data, SAMPLE[:cut], SAMPLE[:flip] + b"\xff" + SAMPLE[flip + 1 :]):
        text = base64.encodebytes(content)
        pem = b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"
        try:
            begins, ends = first_certificate(pem)
        except CertificateError:
            continue
        assert isinstance(begins, float)
        assert isinstance(ends, float)
    with pytest.raises(CertificateError):
        first_certificate(data)


SAMPLE = bytes.fromhex("3035 3033 a003 020102 020101 3003 060129 3000 301e "
    "170d 323430313031303030303030 5a 170d 323530313031303030303030 5a 3000 3000")  # fmt: skip


def test_the_sample_is_one() -> None:
    text = base64.encodebytes(SAMPLE)
    pem = b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"
    begins, ends = first_certificate(pem)
    assert ends - begins == 366 * 86_400


async def test_a_renewal(systemd: StandIn, host: LocalHost, file: Path) -> None:
    def renews(unit: Unit) -> str:
        certify(file, days=20)
        unit.run_anew(active="inactive", sub="dead", Result="success")
        return "done"

    systemd.jobs["StartUnit"] = renews
    check = await carry_out(RENEW, host)
    assert (check.holds, check.final) == (True, True)
    assert "valid until" in check.detail


async def test_a_unit_that_ends_well_and_renews_nothing(systemd: StandIn, host: LocalHost) -> None:
    def nothing(unit: Unit) -> str:
        unit.run_anew(active="inactive", sub="dead", Result="success")
        return "done"

    systemd.jobs["StartUnit"] = nothing
    check = await carry_out(RENEW, host, seconds=0.5)
    assert check.holds is False
    assert "not renewed" in check.detail


async def test_what_cannot_be_measured_is_not_tried(host: LocalHost, file: Path) -> None:
    file.write_text("no certificate")  # noqa: ASYNC240
    with pytest.raises(PreconditionError, match="nobody could say"):
        await KIND.ready(RENEW, host)
    file.unlink()  # noqa: ASYNC240
    with pytest.raises(PreconditionError, match="cannot be read"):
        await KIND.ready(RENEW, host)
    check = await KIND.check(RENEW, host, {"ends": 1.0})
    assert check.holds is None


async def test_only_configured_ones(host: LocalHost) -> None:
    for name in ("other", "/etc/passwd", "certbot.service"):
        with pytest.raises(TargetError, match="there are: web"):
            await KIND.find(
                Action(host="h", kind="renew_certificate", target=name, parameters={}), host
            )
    found = await KIND.find(RENEW, host)
    assert not found.critical

"""The helper's list of critical units and the daemon's: two lists, and the first holds the second.

The helper imports nothing of the project, so that only a test can compare them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from daemon.actions.host.critical import CRITICAL, LOCAL_DATABASE
from daemon.helper.critical import _CRITICAL, why_critical_unit

GLOBS = sorted({*LOCAL_DATABASE, *(each for globs in CRITICAL.values() for each in globs)})
OWN = [glob for _, globs in _CRITICAL for glob in globs.split()]


@pytest.mark.parametrize("glob", GLOBS)
def test_the_helper_refuses_what_the_daemon_calls_critical(glob: str) -> None:
    """A glob that matches another glob's text, star and all, matches whatever that one does."""
    assert any(fnmatchcase(glob.casefold(), own.casefold()) for own in OWN)
    assert why_critical_unit(glob.replace("*", "x-1"), ())


def test_no_glob_is_more_than_stars() -> None:
    """Else the comparison above would not hold."""
    assert not any(set("?[]") & set(glob) for glob in (*GLOBS, *OWN))


@pytest.mark.parametrize("unit", ["SSH.service", "Session-2.scope", "NETWORKMANAGER.service"])
def test_upper_case_hides_nothing(unit: str) -> None:
    assert why_critical_unit(unit, ())


@pytest.mark.parametrize(
    "unit", ["nginx.service", "php-fpm.service", "certbot.timer", "app@1.service"]
)
def test_everyday_services_are_not_critical(unit: str) -> None:
    assert why_critical_unit(unit, ()) == ""


@pytest.mark.parametrize("glob", ["nginx", "NGINX", "nginx.service", "ngin*"])
def test_roots_own_globs_are_read_as_the_daemon_reads_its_own(glob: str) -> None:
    assert why_critical_unit("nginx.service", (glob,))
    assert why_critical_unit("php-fpm.service", (glob,)) == ""

"""Cleans the cache of packages, and installs security updates: exactly those that were named, each
of which the package manager itself lists as one."""

from __future__ import annotations

import re

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import RefusedError
from daemon.helper.fences import require_writable
from daemon.helper.packages import APT_ENVIRONMENT, apt_simulated, manager, security_updates

_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(:[a-z0-9]{1,15})?=[A-Za-z0-9][A-Za-z0-9+.:~^_-]{0,127}",
    re.ASCII,
)
_MOST = 400
_INSTALL_SECONDS = 1_500.0
_LOCK = "packages"
_CHANGED, _DROP_IN = "/usr", "packages.conf"


def _clean(arguments: Arguments, context: Context) -> Done:
    arguments.end()
    with context.lock(_LOCK):
        name = manager(context.programs)
        argv = ["apt-get", "clean"] if name == "apt" else ["dnf", "--quiet", "clean", "packages"]
        context.programs.must(argv, seconds=100, environment=APT_ENVIRONMENT)
    return Done(detail=f"the cache of {name} is clean")


def _update(arguments: Arguments, context: Context) -> Done:
    wanted = arguments.texts("packages", _PACKAGE, most=_MOST)
    arguments.end()
    require_writable(_CHANGED, drop_in=_DROP_IN)
    with context.lock(_LOCK):
        name = manager(context.programs)
        listed = security_updates(context.programs)
        if strange := [package for package in wanted if package not in listed]:
            raise RefusedError(
                f"{name} does not list {strange[0]} as a security update now: list them again"
            )
        install = _apt if name == "apt" else _dnf
        words = install(wanted, context)
    return Done(detail=f"installed {len(wanted)} security updates", data={"output": words})


def _list(arguments: Arguments, context: Context) -> Done:
    arguments.end()
    require_writable(_CHANGED, drop_in=_DROP_IN)  # a list that cannot be installed leads nowhere
    found = sorted(security_updates(context.programs))
    data = {"manager": manager(context.programs), "packages": found[:_MOST]}
    return Done(detail=f"{len(found)} security updates are listed", data=data)


def _apt(wanted: tuple[str, ...], context: Context) -> str:
    words = ["install", "--only-upgrade", "--no-remove", "--no-install-recommends", *wanted]
    along = {f"{name}={version}" for name, version, _ in apt_simulated(words, context.programs)}
    if more := sorted(along - set(wanted)):
        raise RefusedError(f"to install them would install {more[0]} too, which was not named")
    options = [f"Dpkg::Options::=--force-{choice}" for choice in ("confdef", "confold")]
    argv = ["apt-get", "--quiet", "--yes", *(w for option in options for w in ("-o", option))]
    output = context.programs.must(
        [*argv, *words], seconds=_INSTALL_SECONDS, environment=APT_ENVIRONMENT
    )
    return output.text[-2_000:]


def _dnf(wanted: tuple[str, ...], context: Context) -> str:
    """dnf writes name.architecture and [epoch:]version-release; it takes name-e:v-r.a."""
    names = []
    for package in wanted:
        name, _, version = package.partition("=")
        name, _, architecture = name.rpartition(".")
        names.append(f"{name}-{version}.{architecture}")
    argv = ["dnf", "--quiet", "--assumeyes", "upgrade", *names]
    return context.programs.must(argv, seconds=_INSTALL_SECONDS).text[-2_000:]


PACKAGE_CACHE_CLEAN = Verb(name="package-cache-clean", seconds=130.0, run=_clean)
SECURITY_UPDATES = Verb(name="security-updates", seconds=1_800.0, run=_update)
SECURITY_UPDATES_LIST = Verb(
    name="security-updates-list", seconds=130.0, run=_list, with_any=("security-updates",)
)

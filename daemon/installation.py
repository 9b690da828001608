"""Mistakes of an installation as a service of systemd, each with what mends it.

`read_unit` asks systemd for the unit as it is in effect, drop-ins included; the rest is pure but
for looks at files.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import shlex
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from api.loopback import is_loopback
from daemon.config.settings import Settings
from daemon.findings import Finding, note, ok, problem, warning
from daemon.sources import child

UNIT = "triaged.service"
API_UNIT = "triaged-api.service"
CREDENTIALS = Path("/etc/triaged/credentials")
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "NeedDaemonReload",
    "MainPID",
    "User",
    "SupplementaryGroups",
    "PrivateDevices",
    "ProtectHome",
    "IPAddressAllow",
    "IPAddressDeny",
    "LoadCredential",
    "Environment",
)
_SECONDS = 10.0
_MOST_LISTED = 3
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128")
_HOMES = ("/home", "/root", "/run/user")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The unit as systemd would run it; `properties` as `systemctl show` prints them."""

    properties: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.properties.get(name, "")

    @property
    def pid(self) -> int | None:
        """The daemon's, None while it does not run."""
        return int(self["MainPID"] or 0) or None

    @property
    def environment(self) -> dict[str, str]:
        """What the unit sets for its process."""
        words = shlex.split(self["Environment"])
        return dict(word.split("=", 1) for word in words if "=" in word)

    @property
    def loopback_only(self) -> bool:
        """Whether systemd keeps it from talking to other machines."""
        allowed = [network.split("/")[0] for network in self["IPAddressAllow"].split()]
        return bool(self["IPAddressDeny"]) and all(map(_local, allowed))


def _local(address: str) -> bool:
    return address in ("localhost", "127.0.0.0", "::1") or is_loopback(address)


async def read_unit(name: str = UNIT) -> Unit | None:
    """None where systemd does not run or has no such unit."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not os.path.isdir("/run/systemd/system"):  # noqa: ASYNC240, PTH112
        return None
    command = [systemctl, "show", name, f"--property={','.join(_PROPERTIES)}"]
    try:
        code, output, _ = await child.run(command, timeout=_SECONDS)
    except (TimeoutError, OSError):
        return None
    unit = parse_unit(output.decode(errors="replace"))
    return unit if code == 0 and unit["LoadState"] == "loaded" else None


def parse_unit(shown: str) -> Unit:
    """From the lines of `systemctl show`."""
    pairs = (line.partition("=") for line in shown.splitlines())
    return Unit(properties={name: value for name, sign, value in pairs if sign})


def examine_unit(
    unit: Unit, *, settings: Settings, config: Path | None, state_dir: Path
) -> list[Finding]:
    """Every mistake that was found."""
    findings = [
        *_running(unit),
        *_user(unit, config=config, state_dir=state_dir),
        *_network(unit, settings),
        *_models(unit, settings),
        *_secrets(unit, settings=settings, config=config),
    ]
    return findings or [ok("service", f"{UNIT} is {unit['ActiveState']}, as {unit['User']}")]


def examine_api(api: Unit | None, *, settings: Settings) -> list[Finding]:
    """Whether somebody answers, and only one: the daemon, or the process apart. `settings` as the
    daemon's unit has them."""
    apart = not settings.api.enabled
    runs = api is not None and api["ActiveState"] in ("active", "activating")
    if apart and not runs:
        words = (
            f"the daemon does not answer itself (api.enabled = false) and {API_UNIT} does not run: "
            f"systemctl enable --now {API_UNIT}, or install.sh --api daemon"
        )
        return [problem("api", words)]
    if runs and not apart:
        words = (
            f"{API_UNIT} runs beside a daemon that answers itself, and both want the port: "
            "install.sh --api apart, or systemctl disable --now " + API_UNIT
        )
        return [problem("api", words)]
    return [ok("api", f"answered by {API_UNIT if apart else UNIT}")]


def _running(unit: Unit) -> list[Finding]:
    findings = []
    if unit["NeedDaemonReload"] == "yes":
        words = f"{UNIT} was changed since systemd read it: run systemctl daemon-reload"
        findings.append(warning("service", words))
    if unit["ActiveState"] == "failed":
        words = (
            f"{UNIT} failed ({unit['Result']}): read journalctl -u triaged -n 30, mend that, then "
            "systemctl restart triaged"
        )
        findings.append(problem("service", words))
    if unit["ActiveState"] == "activating" and int(unit["NRestarts"] or 0) > 0:
        words = f"{UNIT} ends while it starts, again and again: read journalctl -u triaged -n 30"
        findings.append(problem("service", words))
    if unit["UnitFileState"] == "disabled":
        words = f"{UNIT} does not start at boot: systemctl enable triaged.target {UNIT}"
        findings.append(warning("service", words))
    return findings


def _user(unit: Unit, *, config: Path | None, state_dir: Path) -> list[Finding]:
    name = unit["User"]
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        words = f"the user {name or 'root'} of {UNIT} does not exist: run systemd-sysusers"
        return [problem("service", words)] if name else [_as_root()]
    findings = [_as_root()] if account.pw_uid == 0 else []
    strangers = sorted(
        str(path) for path in (state_dir, *_inside(state_dir)) if _owner(path) != account.pw_uid
    )
    if strangers and os.access(state_dir, os.R_OK):
        shown = ", ".join(strangers[:_MOST_LISTED])
        words = (
            f"not {name}'s, as after a run by another user: {shown}: "
            f"systemctl stop triaged && chown -R {name}: {state_dir}"
        )
        findings.append(problem("service", words))
    if config is not None and not _readable_by(config, account):
        words = f"{config} cannot be read by {name}: chmod 644 {config}, with secrets elsewhere"
        findings.append(problem("service", words))
    if "systemd-journal" not in unit["SupplementaryGroups"].split() and account.pw_uid != 0:
        words = f"{name} reads its own journal only: add SupplementaryGroups=systemd-journal"
        findings.append(warning("service", words))
    return findings


def _as_root() -> Finding:
    return warning("service", f"{UNIT} runs as root, which nothing needs: set User=triaged")


def _network(unit: Unit, settings: Settings) -> list[Finding]:
    if not unit.loopback_only:
        return []
    remote = sorted({host for host in _hosts(settings) if not _local(host)})
    if not remote:
        return []
    words = (
        f"the configuration names {', '.join(remote[:_MOST_LISTED])}, and {UNIT} may talk to this "
        "host only: add IPAddressAllow= by systemctl edit triaged (see drop-ins/network.conf)"
    )
    return [problem("network", words)]


def _hosts(settings: Settings) -> Iterable[str]:
    urls = [settings.memory.endpoint or ""]
    for tier in settings.tiers.by_name().values():
        urls += [tier.endpoint or "", *(fallback.endpoint for fallback in tier.fallback)]
    for url in urls:
        if host := urlsplit(url).hostname:
            yield host
    if settings.sources.mqtt.enabled:
        yield settings.sources.mqtt.host
    if settings.api.host not in ("0.0.0.0", "::", ""):  # noqa: S104 -- compared, not bound
        yield settings.api.host
    else:
        yield "api.host"


def _models(unit: Unit, settings: Settings) -> list[Finding]:
    findings = []
    own = [each for each in settings.tiers.by_name().values() if each.own_server]
    large = [each for each in own if not each.bundled]
    for each in large:
        path = Path(each.model).expanduser()
        if unit["ProtectHome"] in ("yes", "tmpfs") and path.is_relative_to("/home"):
            words = f"{path} is hidden from {UNIT} by ProtectHome: move it to /srv/triaged/models"
            findings.append(problem("models", words))
        elif any(path.is_relative_to(home) for home in _HOMES):
            words = (
                f"{path} is in a home, which {unit['User'] or 'the daemon'} may not enter as a "
                "rule: move it to /srv/triaged/models"
            )
            findings.append(warning("models", words))
    wanted = any(each.gpu_layers != 0 for each in large)
    if wanted and unit["PrivateDevices"] == "yes" and any(map(os.path.exists, _GPU_DEVICES)):
        words = (
            "there is a GPU and PrivateDevices hides it from the models: install with --gpu, or "
            "set gpu_layers = 0 to say that processors shall do"
        )
        findings.append(warning("models", words))
    return findings


def _secrets(unit: Unit, *, settings: Settings, config: Path | None) -> list[Finding]:
    findings = []
    if config is not None and settings.store.dsn is not None and _open_to_all(config):
        words = (
            f"{config} holds store.dsn and can be read by everybody: put it into "
            f"{CREDENTIALS}/dsn and set store.dsn_file to "
            f"/run/credentials/{UNIT}/secret_dsn"
        )
        findings.append(problem("secrets", words))
    if str(CREDENTIALS) in unit["LoadCredential"]:
        try:
            mode = CREDENTIALS.stat().st_mode
        except FileNotFoundError:
            words = f"{CREDENTIALS} is missing and {UNIT} does not start without it: mkdir -m 700"
            findings.append(problem("secrets", f"{words} {CREDENTIALS}"))
        else:
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                words = f"{CREDENTIALS} can be entered by others: chmod 700 {CREDENTIALS}"
                findings.append(warning("secrets", words))
    elif not unit["LoadCredential"]:
        findings.append(note("secrets", f"{UNIT} loads no credentials (LoadCredential=)"))
    return findings


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None


def _open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _readable_by(path: Path, account: pwd.struct_passwd) -> bool:
    """By owner, group and mode. What cannot be looked at is taken for readable."""
    try:
        status = path.stat()
    except OSError:
        return True
    if status.st_uid == account.pw_uid or account.pw_uid == 0:
        return bool(status.st_mode & stat.S_IRUSR) or account.pw_uid == 0
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)

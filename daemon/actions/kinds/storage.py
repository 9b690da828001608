"""Making room: the journal, temporary files, caches of packages; and mounting again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.critical import critical_mount
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter, Target
from daemon.actions.kinds import storage_logs
from daemon.actions.kinds.by_helper import HelperKind, lines, look
from daemon.tools.words import size

_FAMILY = "storage"
_JOURNAL = "journal"
_JOURNAL_FOLDERS = ("/var/log/journal", "/run/log/journal")
_CACHE = "packages"
_CACHE_FOLDERS = ("/var/cache/apt/archives", "/var/cache/dnf", "/var/cache/libdnf5")
_LEAST_CACHE = 1_048_576
_TMP = ("/tmp", "/var/tmp")  # noqa: S108 (named, not written to)


class _RoomKind(HelperKind):
    """Measures what `folders` hold, which has to become less."""

    folders: tuple[str, ...]
    name: str

    def require_target(self, action: Action, limits: Limits) -> None:
        if action.target != self.name:
            raise TargetError(f"the target of {self.spec.name} is called {self.name!r}")

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        return Target(name=self.name, type=self.spec.target)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        return {"at": host.now(), "bytes": await used(host, self.folders)}

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        now, then = await used(host, self.folders), int(before["bytes"])
        return Check(
            holds=now < then,
            final=now < then,
            detail=f"the {self.name} takes {size(now)}, after {size(then)} before",
            measured={"bytes": now, "freed": then - now},
        )


class VacuumJournal(_RoomKind):
    spec = KindSpec(
        name="vacuum_journal",
        family=_FAMILY,
        target=TargetType.JOURNAL,
        sentence="remove the oldest files of the {target} until it takes {keep_megabytes} MB",
        risk=Risk.LOW,
        blast=Blast.NOTHING,
        reversible=True,
        precondition="the journal takes more than that, and the root helper may shrink it",
        postcondition="the journal's folders hold less than before",
        timeout=130.0,
        settle=15.0,
        parameters=(
            Parameter(
                name="keep_megabytes",
                type=int,
                description="megabytes of the newest entries that stay",
                default=500,
                least=50,
                most=100_000,
            ),
        ),
    )
    verb = "journal-vacuum"
    folders = _JOURNAL_FOLDERS
    name = _JOURNAL

    async def ready(self, action: Action, host: Host) -> None:
        now = await used(host, self.folders)
        if now <= int(action.parameters["keep_megabytes"]) * 1_048_576:
            raise PreconditionError(f"the journal takes no more than {size(now)} already")
        await super().ready(action, host)

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, dict(action.parameters))


class CleanPackageCache(_RoomKind):
    spec = KindSpec(
        name="clean_package_cache",
        family=_FAMILY,
        target=TargetType.PACKAGES,
        sentence="remove downloaded files of {target} that are installed or can be fetched again",
        risk=Risk.LOW,
        blast=Blast.NOTHING,
        reversible=True,
        precondition="the cache holds something, and the root helper may clean it",
        postcondition="the cache's folders hold less than before",
        timeout=140.0,
        settle=15.0,
    )
    verb = "package-cache-clean"
    folders = _CACHE_FOLDERS
    name = _CACHE

    async def ready(self, action: Action, host: Host) -> None:
        now = await used(host, self.folders)
        if now < _LEAST_CACHE:
            raise PreconditionError(f"the cache of packages takes {size(now)}: it is clean")
        await super().ready(action, host)

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {})


class CleanTmp(HelperKind):
    spec = KindSpec(
        name="clean_tmp",
        family=_FAMILY,
        target=TargetType.PATH,
        sentence="remove files in {target} that nobody touched for {older_than_days} days",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=False,
        precondition="the folder is /tmp, /var/tmp or one that the operator lists, holds files "
        "that old, and the root helper may clean it",
        postcondition="there are fewer files that old than before, or none",
        timeout=280.0,
        settle=20.0,
        parameters=(
            Parameter(
                name="older_than_days",
                type=int,
                description="days for which nobody read or changed a file that is removed",
                default=10,
                least=1,
                most=3650,
            ),
        ),
    )
    verb = "tmp-clean"

    def risk(self, action: Action, target: Target) -> Risk:
        """Files of days are somebody's work of this week."""
        young = int(action.parameters["older_than_days"]) < _WEEK_DAYS
        return super().risk(action, target).at_least(Risk.MEDIUM if young else Risk.LOW)

    def require_target(self, action: Action, limits: Limits) -> None:
        if action.target not in (*_TMP, *limits.paths):
            raise TargetError(
                f"{action.target[:80]} is not among the folders that may be cleaned "
                f"({', '.join((*_TMP, *limits.paths))}): [actions] paths lists them"
            )

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        return Target(name=action.target, type=TargetType.PATH)

    async def ready(self, action: Action, host: Host) -> None:
        await super().ready(action, host)
        found = await look(host, "tmp-look", _cleaned(action))
        if not found["files"]:
            days = action.parameters["older_than_days"]
            raise PreconditionError(f"{action.target} holds no file that is {days} days old")

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        found = await look(host, "tmp-look", _cleaned(action))
        free = await host.free_bytes(action.target)
        return {"at": host.now(), "free": free, "files": found["files"], "bytes": found["bytes"]}

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, _cleaned(action))

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        found = await look(host, "tmp-look", _cleaned(action))
        free = await host.free_bytes(action.target)
        files, then = int(found["files"]), int(before["files"])
        holds = files < then
        return Check(
            holds=holds,
            final=holds,
            detail=f"{action.target} holds {files} such files after {then} before, and "
            f"{size(free)} are free after {size(int(before['free']))}",
            measured={"files": files, "bytes": found["bytes"], "free": free},
        )


class Remount(HelperKind):
    spec = KindSpec(
        name="remount",
        family=_FAMILY,
        target=TargetType.MOUNT,
        sentence="mount {target} again as {mode}",
        risk=Risk.MEDIUM,
        blast=Blast.DEPENDANTS,
        reversible=True,
        disruptive=True,
        inverse="remount",
        precondition="it is mounted otherwise, and root lists it for the root helper",
        postcondition="the file system's own options say so",
        timeout=90.0,
        settle=10.0,
        parameters=(
            Parameter(
                name="mode",
                type=str,
                description="ro for read-only, rw for writable",
                choices=("ro", "rw"),
            ),
        ),
    )
    verb = "remount"

    def risk(self, action: Action, target: Target) -> Risk:
        """To make one read-only stops who writes there; and every mount is storage: critical."""
        return (
            super()
            .risk(action, target)
            .at_least(Risk.HIGH if action.parameters["mode"] == "ro" else Risk.LOW)
        )

    def require_target(self, action: Action, limits: Limits) -> None:
        if not action.target.startswith("/"):
            raise TargetError(f"{action.target[:80]!r} is no path of a folder, as / and /home are")

    async def find(self, action: Action, host: Host) -> Target:
        for mount in await host.mounts():
            if mount.point == action.target:
                critical = critical_mount(mount.point)
                return Target(
                    name=mount.point,
                    type=TargetType.MOUNT,
                    critical=True,
                    why_critical=critical.why,
                    description=f"{mount.type} on {mount.device}",
                )
        raise TargetError(f"nothing is mounted at {action.target[:80]!r}")

    async def ready(self, action: Action, host: Host) -> None:
        mode = str(action.parameters["mode"])
        if mode in await _options(host, action.target):
            raise PreconditionError(f"{action.target} is mounted {mode} already")
        await super().ready(action, host)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        return {"at": host.now(), "options": list(await _options(host, action.target))}

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"point": action.target, **action.parameters})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        options = await _options(host, action.target)
        holds = action.parameters["mode"] in options
        return Check(
            holds=holds,
            final=holds,
            detail=f"{action.target} is mounted {','.join(options)}",
            measured={"options": list(options)},
        )


async def used(host: Host, folders: tuple[str, ...]) -> int:
    """Bytes on the disk in those of the folders that there are."""
    output = await host.read(("du", "--summarize", "--block-size=1", "--", *folders))
    found = (line.partition("\t") for line in output.text.splitlines())
    return sum(int(bytes_) for bytes_, _, path in found if bytes_.isdigit() and path in folders)


async def _options(host: Host, point: str) -> tuple[str, ...]:
    """The file system's own, not those of the view that the daemon has of it: its unit sees
    everything read-only. Of several mounts on one point the last is seen."""
    found = await lines(host, "findmnt", "-rno", "FS-OPTIONS", "--mountpoint", point)
    if not found:
        raise TargetError(f"nothing is mounted at {point[:80]!r}")
    return tuple(found[-1].split(","))


def _cleaned(action: Action) -> dict[str, Any]:
    return {"path": action.target, **action.parameters}


_WEEK_DAYS = 7

KINDS: tuple[Kind, ...] = (
    VacuumJournal(),
    CleanTmp(),
    CleanPackageCache(),
    Remount(),
    *storage_logs.KINDS,
)

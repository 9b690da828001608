"""Which units and processes are critical, and why: pure, by what was read of them before.

A critical target is denied to automation unless the operator names it (`named`), and polkit refuses
it once more (deploy/actions/polkit, made from the same list). Whatever can be doubted is critical:
to say it wrongly costs a question to a human, and to miss it costs the way in.
"""

from __future__ import annotations

import dataclasses
import enum
import fnmatch
from collections.abc import Iterable, Mapping

from daemon.actions.host.host import ProcessState, UnitState


class Concern(enum.StrEnum):
    """What is lost with it. The first three are the operator's way in."""

    SSH = "ssh"
    NETWORK = "networking"
    REMOTE = "remote access"
    BOOT = "boot and the system itself"
    LOGIN = "logging in"
    DAEMON = "triaged itself"
    STORAGE = "storage"
    OPERATOR = "the operator's list"


WAY_IN = frozenset({Concern.SSH, Concern.NETWORK, Concern.REMOTE, Concern.OPERATOR})
"""What can lock the operator out, as far as code can tell."""

CRITICAL: Mapping[Concern, tuple[str, ...]] = {
    Concern.SSH: ("ssh.*", "ssh@*", "sshd.*", "sshd@*", "sshd-*", "ssh-*", "dropbear*", "tinyssh*"),
    Concern.NETWORK: (
        "network*", "NetworkManager*", "systemd-networkd*", "systemd-resolved*", "ifup*",
        "ifplugd*", "netplan*", "dhcpcd*", "dhclient*", "connman*", "wpa_supplicant*", "iwd.*",
        "hostapd*", "ModemManager*", "wicked*", "openvswitch*", "ovs-*", "firewall*", "nftables*",
        "iptables*", "ip6tables*", "ebtables*", "ufw*", "shorewall*", "ferm*", "netfilter*",
        "unbound*", "dnsmasq*", "resolvconf*", "keepalived*", "frr*", "bird*",
    ),
    Concern.REMOTE: (
        "wg-quick*", "wireguard*", "openvpn*", "tailscale*", "headscale*", "zerotier*", "nebula*",
        "netbird*", "strongswan*", "ipsec*", "xl2tpd*", "openconnect*", "vpnc*", "cloudflared*",
        "teleport*", "cockpit*", "xrdp*", "vnc*", "x11vnc*", "tigervnc*", "gnome-remote-desktop*",
        "anydesk*", "rustdesk*", "teamviewer*", "amazon-ssm-agent*", "google-guest-agent*",
        "google-osconfig-agent*", "walinuxagent*", "qemu-guest-agent*", "serial-getty*",
    ),
    Concern.BOOT: (
        "init.scope", "*.slice", "systemd-*", "dbus*", "polkit*", "basic.target", "sysinit.target",
        "multi-user.target", "graphical.target", "default.target", "sockets.target",
        "timers.target", "paths.target", "slices.target", "rescue*", "emergency*", "runlevel*",
        "reboot*", "poweroff*", "halt*", "kexec*", "soft-reboot*", "debug-shell*", "modprobe@*",
        "exit.target", "shutdown*", "final.target", "first-boot*", "quotaon*", "usb-gadget*",
        "sleep.target", "suspend*", "hibernate*", "hybrid-sleep*", "ctrl-alt-del*",
        "system-update*", "time-s*.target", "initrd*",
        "boot-complete.target", "factory-reset*", "sigpwr.target", "grub*", "kmod*", "udev*",
        "apparmor*", "selinux*", "auditd*", "nix-daemon*", "nixos-*", "cloud-init*",
        "cloud-config*", "cloud-final*", "snapd*", "dracut*", "plymouth*", "rc-local*",
    ),
    Concern.LOGIN: (
        "getty*", "console-getty*", "container-getty*", "autovt@*", "user@*", "user-runtime-dir@*",
        "session-*", "pam_*", "nss-*", "nscd*", "sssd*", "nslcd*", "winbind*", "krb5*",
        "display-manager*", "gdm*", "lightdm*", "sddm*", "greetd*", "accounts-daemon*",
    ),
    Concern.DAEMON: ("triaged*", "llama-*"),
    Concern.STORAGE: (
        "*.mount", "*.automount", "*.swap", "*.device", "local-fs*", "remote-fs*", "swap.target",
        "umount.target", "cryptsetup*", "integritysetup*", "veritysetup*", "remote-cryptsetup*",
        "remote-verity*", "remote-integrity*", "blk-availability*", "lvm*", "dm-event*",
        "mdmonitor*", "mdadm*", "mdcheck*", "zfs*", "zpool*", "multipath*",
        "iscsi*", "open-iscsi*", "nvme*", "nvmf*", "nfs*", "rpc*",
        "ceph*", "gluster*", "drbd*", "btrfs*", "stratis*", "udisks*", "zram*", "autofs*",
    ),
}  # fmt: skip
"""Globs of names, without regard to upper and lower case. The rule for polkit has them too."""

LOCAL_DATABASE = ("postgresql*", "postgres*", "pgbouncer*", "patroni*")
"""Globs of what holds the daemon's store where that is a PostgreSQL of this host's own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Critical:
    """`why` is a sentence's part: "sshd.service is ssh"."""

    concern: Concern
    why: str


def critical_name(name: str, *, globs: Iterable[str] = ()) -> Critical | None:
    """By the name alone. `globs` are the operator's own; one without a dot is meant for units of
    every type ("mysql" is "mysql.*")."""
    for concern, patterns in CRITICAL.items():
        if _matches(name, patterns):
            return Critical(concern=concern, why=f"{name} is {concern.value}")
    for pattern in globs:
        if _matches(name, (pattern, f"{pattern}.*")):
            return Critical(
                concern=Concern.OPERATOR, why=f"{name} is on the operator's list ({pattern})"
            )
    return None


def critical_unit(
    unit: UnitState, *, around: Mapping[str, UnitState], globs: Iterable[str] = ()
) -> Critical | None:
    """A unit is critical by any of its names, by what it triggers or is triggered by, and by the
    units that need it, or are stopped with it, at any distance.

    `around` has the states of those units as far as they were read, by name; one that is missing
    counts by its name alone.
    """
    globs = tuple(globs)
    for name in (unit.name, *unit.names):
        if (found := critical_name(name, globs=globs)) is not None:
            return found
    for word, others in (("triggers", unit.triggers), ("is triggered by", unit.triggered_by)):
        for other in others:
            if (found := _any_name(other, around, globs)) is not None:
                return _because(found, f"{unit.name} {word} {other}")
    seen = {unit.name}
    waiting = list(unit.requires_by)
    while waiting:
        other = waiting.pop()
        if other in seen:
            continue
        seen.add(other)
        if (found := _any_name(other, around, globs)) is not None:
            return _because(found, f"{other} needs {unit.name}")
        if (state := around.get(other)) is not None:
            waiting += state.requires_by
    return None


def critical_pid(pid: int) -> Critical | None:
    """By the number alone."""
    return Critical(concern=Concern.BOOT, why="process 1 is the init") if pid == 1 else None


def critical_process(
    process: ProcessState,
    *,
    processes: Iterable[ProcessState],
    own: int,
    unit: Critical | None,
) -> Critical | None:
    """A process is critical when it is the init, the kernel's, the daemon's own, one of those the
    daemon lives in or that live in it, or when its `unit` is. `own` is the daemon's process id."""
    told = f"process {process.pid}"
    if (found := critical_pid(process.pid)) is not None:
        return found
    if process.kernel:
        return Critical(concern=Concern.BOOT, why=f"{told} is a thread of the kernel")
    parents = {each.pid: each.parent for each in processes}
    if own in _line(process.pid, parents) or process.pid in _line(own, parents):
        return Critical(concern=Concern.DAEMON, why=f"{told} belongs to triaged, or triaged to it")
    if unit is not None:
        return _because(unit, f"{told} belongs to {process.unit}")
    return None


def critical_mount(point: str) -> Critical:
    """Every mount is storage; some are the boot too."""
    boot = point == "/" or point.rstrip("/").split("/")[1:2] in (["boot"], ["efi"], ["usr"])
    concern = Concern.BOOT if boot else Concern.STORAGE
    return Critical(concern=concern, why=f"{point} is {concern.value}")


def _line(pid: int, parents: Mapping[int, int]) -> list[int]:
    """A process and those it descends from."""
    line: list[int] = []
    while pid > 0 and pid not in line:
        line.append(pid)
        pid = parents.get(pid, 0)
    return line


def _any_name(
    name: str, around: Mapping[str, UnitState], globs: tuple[str, ...]
) -> Critical | None:
    state = around.get(name)
    for each in (name, *(state.names if state is not None else ())):
        if (found := critical_name(each, globs=globs)) is not None:
            return found
    return None


def _because(found: Critical, why: str) -> Critical:
    return Critical(concern=found.concern, why=f"{why}, and {found.why}")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    name = name.casefold()
    return any(fnmatch.fnmatchcase(name, pattern.casefold()) for pattern in patterns)

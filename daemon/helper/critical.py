"""Units that the helper changes for nobody: the way in, the network, storage, triaged itself."""

from __future__ import annotations

from fnmatch import fnmatchcase

_CRITICAL = (
    ("ssh*", "the way in"),
    ("dropbear*", "the way in"),
    ("systemd-*", "a part of systemd"),
    ("init.scope", "systemd itself"),
    ("dbus*", "the bus"),
    ("polkit*", "who decides about privilege"),
    ("user@*", "a user's session"),
    ("getty*", "the console"),
    ("serial-getty*", "the console"),
    ("display-manager*", "the console"),
    ("network*", "the network"),
    ("NetworkManager*", "the network"),
    ("wpa_supplicant*", "the network"),
    ("dhcpcd*", "the network"),
    ("ifup@*", "the network"),
    ("firewall*", "the firewall"),
    ("nftables*", "the firewall"),
    ("iptables*", "the firewall"),
    ("ufw*", "the firewall"),
    ("wireguard-*", "a way in"),
    ("wg-quick*", "a way in"),
    ("openvpn*", "a way in"),
    ("tailscaled*", "a way in"),
    ("nix-*", "what builds the system"),
    ("nixos-*", "what builds the system"),
    ("zfs*", "storage"),
    ("lvm*", "storage"),
    ("mdmonitor*", "storage"),
    ("mdadm*", "storage"),
    ("multipath*", "storage"),
    ("cryptsetup*", "storage"),
    ("iscsi*", "storage"),
    ("*.mount", "storage"),
    ("*.automount", "storage"),
    ("*.swap", "storage"),
    ("*.target", "a group of units, boot among them"),
    ("*.slice", "a group of units"),
    ("auditd*", "the audit"),
    ("triaged*", "a part of triaged"),
    ("llama-*", "a part of triaged"),
    ("postgresql*", "what triaged stands on"),
)


def why_critical_unit(unit: str, more: tuple[str, ...]) -> str:
    """Empty where `unit` may be changed. `more` are root's own globs."""
    for pattern, why in _CRITICAL:
        if fnmatchcase(unit, pattern):
            return why
    for pattern in more:
        if fnmatchcase(unit, pattern):
            return "which helper.toml calls critical"
    return ""

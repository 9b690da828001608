"""Units that the helper changes for nobody: the way in, the network, storage, triaged itself.

The daemon refuses the same units by a list of its own (`daemon.actions.host.critical`). This one
is root's: nothing that the daemon is made to believe changes it. A test holds both together.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

_CRITICAL = (
    ("the way in", "ssh* dropbear* tinyssh*"),
    (
        "the network",
        (
            "network* NetworkManager* ifup* ifplugd* netplan* dhcpcd* dhclient* connman* "
            "wpa_supplicant* iwd.* hostapd* ModemManager* wicked* openvswitch* ovs-* "
            "unbound* dnsmasq* resolvconf* keepalived* frr* bird*"
        ),
    ),
    (
        "the firewall",
        ("firewall* nftables* iptables* ip6tables* ebtables* ufw* shorewall* ferm* netfilter*"),
    ),
    (
        "a way in",
        (
            "wireguard* wg-quick* openvpn* tailscale* headscale* zerotier* nebula* netbird* "
            "strongswan* ipsec* xl2tpd* openconnect* vpnc* cloudflared* teleport* cockpit* "
            "xrdp* vnc* x11vnc* tigervnc* gnome-remote-desktop* anydesk* rustdesk* "
            "teamviewer* amazon-ssm-agent* google-guest-agent* google-osconfig-agent* "
            "walinuxagent* qemu-guest-agent*"
        ),
    ),
    ("a part of systemd", "systemd-* init.scope"),
    ("the bus", "dbus*"),
    ("who decides about privilege", "polkit*"),
    (
        "the boot",
        (
            "rescue* emergency* runlevel* reboot* poweroff* halt* kexec* soft-reboot* "
            "debug-shell* modprobe@* shutdown* first-boot* quotaon* usb-gadget* suspend* "
            "hibernate* hybrid-sleep* ctrl-alt-del* system-update* initrd* factory-reset* "
            "grub* kmod* udev* apparmor* selinux* cloud-init* cloud-config* cloud-final* "
            "snapd* dracut* plymouth* rc-local*"
        ),
    ),
    (
        "the console, or somebody's session",
        (
            "getty* serial-getty* console-getty* container-getty* autovt@* display-manager* "
            "gdm* lightdm* sddm* greetd* user@* user-runtime-dir@* session-*"
        ),
    ),
    ("logging in", "pam_* nss-* nscd* sssd* nslcd* winbind* krb5* accounts-daemon*"),
    ("what builds the system", "nix-* nixos-*"),
    (
        "storage",
        (
            "*.mount *.automount *.swap *.device local-fs* remote-fs* cryptsetup* "
            "integritysetup* veritysetup* remote-cryptsetup* remote-verity* "
            "remote-integrity* blk-availability* lvm* dm-event* mdmonitor* mdadm* mdcheck* "
            "zfs* zpool* multipath* iscsi* open-iscsi* nvme* nvmf* nfs* rpc* ceph* gluster* "
            "drbd* btrfs* stratis* udisks* zram* autofs*"
        ),
    ),
    ("a group of units, boot among them", "*.target *.slice"),
    ("the audit", "auditd*"),
    ("a part of triaged", "triaged* llama-*"),
    ("what triaged stands on", "postgresql* postgres* pgbouncer* patroni*"),
)
"""What it is, and globs of names, without regard to upper and lower case."""


def why_critical_unit(unit: str, more: tuple[str, ...]) -> str:
    """Empty where `unit` may be changed. `more` are root's own globs; one without a dot is meant
    for units of every type."""
    for why, globs in _CRITICAL:
        if _matches(unit, globs.split()):
            return why
    for glob in more:
        if _matches(unit, (glob, f"{glob}.*")):
            return "which helper.toml calls critical"
    return ""


def _matches(unit: str, globs: Iterable[str]) -> bool:
    name = unit.casefold()
    return any(fnmatchcase(name, glob.casefold()) for glob in globs)

"""Names that questions and results are about: real ones and invented ones, so that a model learns
to copy and not to remember."""

from __future__ import annotations

import random
from collections.abc import Sequence

UNITS = tuple(
    "nginx ssh sshd postgresql cron crond docker apache2 httpd mysql mariadb redis redis-server "
    "NetworkManager systemd-resolved systemd-journald systemd-timesyncd systemd-networkd rsyslog "
    "bluetooth cups avahi-daemon dbus polkit containerd kubelet haproxy postfix dovecot named bind9 "
    "unbound dnsmasq chrony ntpd ufw firewalld fail2ban auditd smartd mdadm zfs-zed libvirtd grafana "
    "grafana-server prometheus node_exporter alertmanager loki mosquitto rabbitmq-server kafka "
    "zookeeper elasticsearch kibana logstash influxdb telegraf mongod memcached vsftpd samba smbd "
    "nmbd nfs-server rpcbind snapd gdm lightdm udisks2 upower wpa_supplicant ModemManager iwd "
    "php8.2-fpm php-fpm gunicorn uwsgi tomcat9 jenkins gitlab-runner gitea squid varnish caddy "
    "traefik wireguard openvpn strongswan tailscaled zerotier-one syncthing nextcloud jellyfin "
    "plexmediaserver home-assistant zigbee2mqtt pihole-FTL snmpd collectd monit supervisor exim4 "
    "opendkim spamassassin clamav-daemon sssd slapd keepalived etcd consul vault nomad ollama "
    "cockpit unattended-upgrades apt-daily logrotate fstrim irqbalance thermald lm-sensors "
    "open-vm-tools qemu-guest-agent cloud-init atd acpid rng-tools triaged autofs iscsid multipathd "
    "lvm2-monitor pacemaker corosync drbd ceph-osd glusterd minio vector fluent-bit teleport".split()
)
UNIT_SUFFIXES = (".service",) * 8 + (".socket", ".timer", ".mount", ".target", ".path")
PROCESSES = tuple(
    "postgres java python3 node nginx mysqld redis-server chrome firefox dockerd containerd kswapd0 "
    "systemd sshd gnome-shell Xorg rsync tar ffmpeg php-fpm apache2 httpd mongod qemu-system-x86_64 "
    "kworker llama-server ollama prometheus grafana journald systemd-journald bash vim make cc1plus "
    "rustc cargo go gopls clangd code slack zoom thunderbird borg restic duplicity clamd snapd "
    "beam.smp ruby puma unicorn gunicorn celery uwsgi perl mysqldump pg_dump find updatedb dpkg apt "
    "dnf kubelet etcd coredns envoy haproxy traefik squid named unbound dnsmasq smbd plex jellyfin "
    "transmission-daemon minecraft steam Xwayland pipewire pulseaudio elasticsearch zfs txg_sync "
    "jbd2 nfsd teamviewerd dbus-daemon polkitd rsyslogd cupsd cron tmux screen htop".split()
)
MOUNTS = tuple(
    "/ /var /home /boot /tmp /srv /opt /usr /data /mnt /backup /var/log /var/lib /var/lib/docker "
    "/boot/efi /mnt/data /mnt/backup /mnt/nas /media/usb /export /scratch /storage /pool /tank "
    "/var/lib/postgresql /var/lib/mysql /srv/www /home/shared /data/db /nfs /dev/shm /run /u01 "
    "/var/spool /var/tmp /var/cache /opt/app /archive /media/disk1 /mnt/raid /root".split()
)
DIRECTORIES = (
    *MOUNTS,
    *"/var/lib /etc /usr/share /usr/lib /usr/local /var/www /var/mail /home/anna /home/tom /home/git "
    "/srv/git /opt/software /var/lib/containers /var/lib/libvirt/images /var/crash /usr/src "
    "/var/log/journal /srv/nfs /data/media /data/projects /mnt/photos /var/backups /root/backup "
    "/home/user/Downloads /var/lib/kubelet /srv/minio /var/lib/snapd".split(),
)
FILES = tuple(
    "/etc/fstab /etc/hosts /etc/passwd /etc/resolv.conf /etc/ssh/sshd_config /etc/nginx/nginx.conf "
    "/etc/hostname /etc/os-release /etc/crontab /etc/sudoers /etc/group /etc/exports /etc/issue "
    "/etc/apt/sources.list /etc/systemd/system.conf /etc/systemd/journald.conf /etc/sysctl.conf "
    "/etc/default/grub /etc/network/interfaces /etc/netplan/01-netcfg.yaml /etc/my.cnf "
    "/etc/postgresql/16/main/postgresql.conf /etc/samba/smb.conf /etc/logrotate.conf "
    "/etc/chrony/chrony.conf /etc/motd /var/log/syslog /var/log/messages /var/log/auth.log "
    "/var/log/kern.log /var/log/dpkg.log /var/log/apt/history.log /var/log/nginx/access.log "
    "/var/log/nginx/error.log /var/log/mail.log /var/log/secure /var/log/cron /var/log/boot.log "
    "/var/log/daemon.log /var/log/fail2ban.log /var/log/mysql/error.log /var/log/dmesg "
    "/var/log/postgresql/postgresql-16-main.log /var/log/unattended-upgrades/unattended-upgrades.log "
    "/var/log/cloud-init.log /var/log/audit/audit.log /var/log/Xorg.0.log /proc/meminfo /proc/cpuinfo "
    "/proc/mdstat /proc/mounts /proc/cmdline /proc/version /sys/class/thermal/thermal_zone0/temp "
    "dpkg.log syslog auth.log fstab kern.log nginx.conf sshd_config hosts messages resolv.conf "
    "access.log error.log crontab boot.log history.log".split()
)
EXTENSIONS = tuple(
    "log conf txt cfg yaml yml json ini toml service md csv xml list err out".split()
)
INTERFACES = tuple(
    "eth0 eth1 eth2 wlan0 wlan1 lo enp3s0 enp0s3 enp2s0f1 eno1 eno2 ens18 ens3 ens192 wlp2s0 wlp3s0 "
    "docker0 br0 br-lan virbr0 wg0 wg1 tun0 tap0 bond0 bond1 vmbr0 tailscale0 usb0 ib0 ppp0 veth1a2b "
    "enx001122334455 vlan10 eth0.20 team0 cni0 flannel.1 lxcbr0 zt0 enp5s0 enp65s0f0np0 wwan0".split()
)
USERS = tuple(
    "root anna tom admin ubuntu debian deploy git backup maria jonas sven lena piotr oracle postgres "
    "jenkins guest alice bob carol dave kim yuki ravi fatima chen olga marco".split()
)
TIMERS = (
    *"logrotate fstrim apt-daily apt-daily-upgrade certbot man-db systemd-tmpfiles-clean e2scrub_all "
    "backup borgmatic restic mdcheck_start dpkg-db-backup updatedb snapper-cleanup zfs-scrub sysstat "
    "fwupd-refresh motd-news ua-timer podman-auto-update plocate-updatedb pg-dump raid-check "
    "logrotate.timer fstrim.timer certbot.timer apt-daily.timer man-db.timer".split(),
    "the backup",
    "log rotation",
    "the certificate renewal",
    "the cleanup",
    "the nightly backup",
    "the database dump",
    "the weekly scrub",
)
TOPICS = (
    *"oom segfault timeout disk ssh nginx error raid smart postgres docker swap dns certificate login "
    "sudo kernel panic reboot usb nfs thermal temperature memory backup smartd mdadm sshd mysql redis "
    "cron dhcp ntp clock firewall apparmor selinux audit oauth tls ssl ipv6 vpn wireguard kubelet pod "
    "iptables ufw mce pcie nvme ext4 btrfs xfs zfs lvm iscsi fan battery ups power throttling denied "
    "refused unreachable corruption crash coredump traceback exception deadlock broken quota inode "
    "bluetooth wifi link carrier bond vlan mosquitto mqtt haproxy 502 503 504 500 404 401 ECONNRESET "
    "ENOSPC EMFILE SIGSEGV SIGKILL BUG Oops warning critical fatal".split(),
    "failed password",
    "connection refused",
    "out of memory",
    "no space left",
    "permission denied",
    "disk full",
    "read-only file system",
    "link is down",
    "too many open files",
    "invalid user",
    "i/o error",
    "segmentation fault",
    "connection reset",
    "authentication failure",
    "broken pipe",
    "name resolution",
    "certificate expired",
    "high load",
    "brute force",
    "no route to host",
    "ssh login",
    "disk failure",
    "memory leak",
    "start-limit-hit",
    "soft lockup",
    "bad gateway",
    "connection timed out",
    "clock skew",
    "full disk",
    "raid degraded",
    "oom killer",
    "smart errors",
    "failed login",
    "slow query",
)
SIZES = tuple(
    "2 GB|5 GB|10 GB|20 gigabytes|50 GB|100 GB|500 MB|1 TB|3 gigs|8 GB|16 GB|64 GB|200 gb|4 gigabytes".split(
        "|"
    )
)
_ONSETS = tuple("b c d f g h k l m n p r s t v w z br cl dr fl gr kr pl sk st tr qu sh th".split())
_VOWELS = tuple("a e i o u ai ea oo y".split())
_CODAS = ("", "", "", "n", "r", "s", "t", "x", "l", "m", "ck", "rd", "nt")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MIXED = _LETTERS * 2 + "0123456789" + _LETTERS.upper()


def pick(rng: random.Random, items: Sequence[str]) -> str:
    return items[int(rng.random() * len(items))]


def word(rng: random.Random) -> str:
    """An invented word of one to three syllables."""
    count = 1 + int(rng.random() * 2.6)
    return "".join(
        pick(rng, _ONSETS) + pick(rng, _VOWELS) + pick(rng, _CODAS) for _ in range(count)
    )


def token(rng: random.Random) -> str:
    """A random string without meaning, 3 to 9 characters, that starts with a letter."""
    return pick(rng, _LETTERS) + "".join(pick(rng, _MIXED) for _ in range(rng.randint(2, 8)))


def name(rng: random.Random) -> str:
    """An invented name as programs and services have them."""
    style = rng.random()
    if style < 0.3:
        return word(rng)
    if style < 0.5:
        return f"{word(rng)}-{word(rng)}"
    if style < 0.6:
        return f"{word(rng)}{rng.randint(1, 99)}"
    if style < 0.68:
        return f"{word(rng)}-{pick(rng, ('worker', 'api', 'agent', 'exporter', 'proxy', 'sync'))}"
    if style < 0.74:
        return f"{word(rng)}_{word(rng)}"
    if style < 0.8:
        return f"{pick(rng, ('my', 'acme', 'prod', 'web', 'app', 'db', 'net'))}-{word(rng)}"
    return token(rng)


def unit(rng: random.Random) -> str:
    base = pick(rng, UNITS) if rng.random() < 0.55 else name(rng)
    roll = rng.random()
    if roll < 0.05:
        base += f"@{pick(rng, ('1', '2', 'main', 'prod', 'eth0', '16-main', 'tty1', word(rng)))}"
    return base + (pick(rng, UNIT_SUFFIXES) if roll > 0.75 else "")


def process(rng: random.Random) -> str:
    return pick(rng, PROCESSES) if rng.random() < 0.6 else name(rng)


def pid(rng: random.Random) -> str:
    return str(rng.randint(1, 10 ** rng.randint(1, 6)))


def _below(rng: random.Random) -> str:
    return "/".join(name(rng) for _ in range(rng.randint(1, 3)))


def mount(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.62:
        return pick(rng, MOUNTS)
    if roll < 0.8:
        return f"/{word(rng)}"
    return f"{pick(rng, ('/mnt', '/srv', '/data', '/opt', '/var/lib', '/home', '/media'))}/{_below(rng)}"


def directory(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.55:
        return pick(rng, DIRECTORIES)
    if roll < 0.68:
        return f"/{word(rng)}"
    return f"{pick(rng, DIRECTORIES).rstrip('/')}/{_below(rng)}"


def file(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.5:
        return pick(rng, FILES)
    leaf = f"{name(rng)}.{pick(rng, EXTENSIONS)}"
    if roll < 0.58:
        return leaf
    if roll < 0.8:
        return f"{pick(rng, ('/etc', '/var/log', '/opt', '/srv', '/tmp', '/home', '/root'))}/{leaf}"
    return f"{directory(rng).rstrip('/')}/{leaf}"


def interface(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return pick(rng, INTERFACES)
    stem = pick(
        rng, ("eth", "enp", "ens", "eno", "wlan", "wg", "tun", "veth", "br", "bond", "vlan")
    )
    return f"{stem}{rng.randint(0, 250)}{pick(rng, ('', '', '', 's0', 'f1', '.100'))}"


def topic(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.6:
        return pick(rng, TOPICS)
    if roll < 0.75:
        return name(rng)
    if roll < 0.85:
        return pick(rng, UNITS)
    return f"{pick(rng, TOPICS)} {pick(rng, (word(rng), 'error', 'failed', pick(rng, UNITS)))}"


def user(rng: random.Random) -> str:
    return pick(rng, USERS) if rng.random() < 0.7 else word(rng)


def address(rng: random.Random) -> str:
    if rng.random() < 0.85:
        head = pick(rng, ("10", "192.168", "172.16", "203.0", "198.51", "127.0"))
        octets = head.split(".") + [str(rng.randint(0, 255)) for _ in range(3)]
        return ".".join(octets[:4])
    groups = ":".join(f"{rng.randint(0, 65535):x}" for _ in range(3))
    return f"{pick(rng, ('fe80', '2001:db8', 'fd00'))}::{groups}"


def host(rng: random.Random) -> str:
    return f"{pick(rng, ('web', 'db', 'node', 'srv', 'pi', 'nas', word(rng)))}{rng.randint(1, 40)}"


def port(rng: random.Random) -> int:
    common = (22, 25, 53, 80, 110, 143, 443, 631, 993, 1883, 3000, 3306, 5000, 5432, 6379, 8000)
    more = (8080, 8081, 8083, 8443, 8888, 9000, 9090, 9100, 9200, 11434, 27017, 5672, 111, 2049)
    if rng.random() < 0.5:
        return (common + more)[int(rng.random() * 30)]
    return rng.randint(1, 65535)

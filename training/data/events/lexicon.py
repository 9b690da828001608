"""Names and words that fill the gaps of templates: hosts, users, programs, paths, packages."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USERS: Final = _words(
    "root admin alice bob carol dave erin frank grace heidi ivan judy mallory oscar peggy trent "
    "victor walter deploy backup www-data postgres mysql git jenkins ansible ubuntu debian centos "
    "pi ec2-user operator monitor nagios zabbix svc_report jsmith mmueller tanaka lchen o.petrov "
    "maria.garcia s.dubois k.nowak a.rossi hduser spark dbadmin ftpuser student1 guest kiosk"
)
BAD_USERS: Final = _words(
    "admin test oracle guest user support ubnt pi postgres ftp nagios tomcat minecraft hadoop "
    "deploy git info webmaster sales butter teamspeak jenkins demo administrator 1234 root1 "
    "student vagrant steam www nginx mysql redis elastic ansible zabbix csgo"
)
HOSTS: Final = _words(
    "web01 web02 db1 db-primary db-replica2 cache-3 node4 node17 worker-a worker-b9 build7 "
    "ci-runner gateway edge1 mail mx2 ns1 nas storage-2 backup01 proxy login1 hpc-c113 rack4-u12 "
    "pi4 thinkpad desktop srv-fra-01 srv-ams-2 app-7f9c kube-master kube-w3 lab12 printer "
    "fileserver"
)
DOMAINS: Final = _words(
    "example.com example.org example.net mail.example.org shop.example.com api.example.net "
    "intranet.lan corp.local home.arpa cdn.example.com auth.example.org db.internal "
    "git.example.io status.example.com www.example.de update.example.net ntp.example.org "
    "registry.example.io metrics.svc.cluster.local grafana.lan vpn.example.ch"
)
SERVICES: Final = _words(
    "nginx apache2 httpd postgresql mysql mariadb redis-server mongod docker containerd kubelet "
    "sshd ssh cron rsyslog chrony systemd-resolved systemd-networkd NetworkManager cups bluetooth "
    "avahi-daemon smartd mdmonitor zfs-zed nfs-server rpcbind smbd nmbd postfix dovecot exim4 "
    "named unbound dnsmasq openvpn@client wg-quick@wg0 strongswan fail2ban clamav-daemon auditd "
    "libvirtd snapd certbot haproxy caddy varnish php8.2-fpm gunicorn uwsgi celery "
    "rabbitmq-server kafka zookeeper elasticsearch logstash kibana grafana-server prometheus "
    "node_exporter alertmanager mosquitto home-assistant zigbee2mqtt plexmediaserver jellyfin "
    "gitlab-runner jenkins tomcat9 keycloak vault consul etcd minio nextcloud-cron syncthing "
    "tailscaled cloudflared influxdb telegraf collectd netdata sssd winbind polkit "
    "accounts-daemon gdm lightdm ModemManager wpa_supplicant thermald tuned irqbalance firewalld "
    "ufw lvm2-monitor multipathd iscsid iscsi-initiator autofs ypbind slurmd munge restic-backup "
    "borgmatic logrotate fstrim apt-daily apt-daily-upgrade unattended-upgrades packagekit "
    "dnf-makecache man-db e2scrub_all"
)
DESCRIPTIONS: Final = (
    "A high performance web server and a reverse proxy server",
    "The Apache HTTP Server",
    "PostgreSQL Cluster 15-main",
    "MariaDB 10.11.6 database server",
    "Advanced key-value store",
    "Docker Application Container Engine",
    "OpenBSD Secure Shell server",
    "Network Time Synchronization",
    "Network Name Resolution",
    "Daily apt download activities",
    "Rotate log files",
    "Cleanup of Temporary Directories",
    "Discard unused blocks on filesystems from /etc/fstab",
    "Permit User Sessions",
    "CUPS Scheduler",
    "Avahi mDNS/DNS-SD Stack",
    "LSB: exim Mail Transport Agent",
    "Postfix Mail Transport Agent (instance -)",
    "Samba SMB Daemon",
    "NFS server and services",
    "Virtualization daemon",
    "Prometheus exporter for machine metrics",
    "Grafana instance",
    "Nightly database dump",
    "Weekly off-site backup",
    "Mosquitto MQTT Broker",
    "kubelet: The Kubernetes Node Agent",
    "containerd container runtime",
    "Login Service",
    "Authorization Manager",
    "Time & Date Service",
    "Hostname Service",
    "Firmware update daemon",
    "GNOME Display Manager",
    "Internal billing worker",
    "Order import from FTP",
    "Ingest pipeline (stage 2)",
    "Slurm node daemon",
)
PROGRAMS: Final = _words(
    "nginx postgres mysqld java python3 node php-fpm redis-server mongod chrome firefox "
    "gnome-shell Xorg systemd-journal kworker/u8:2 rsync tar gzip ffmpeg convert gcc cc1plus "
    "rustc make ninja sshd bash perl ruby beam.smp qemu-system-x86 dockerd containerd-shim "
    "kubelet prometheus telegraf influxd elasticsearch clamd named dovecot imap exim4 smbd nfsd "
    "cp find updatedb apt-get dpkg snapd electron slack teams thunderbird steam blender matlab R "
    "julia train.py worker render_farm sidekiq puma gunicorn celery uwsgi"
)
PACKAGES: Final = _words(
    "nginx openssl libssl3 linux-image-6.1.0-18-amd64 postgresql-15 bash coreutils curl git vim "
    "python3.11 libc6 systemd openssh-server docker-ce containerd.io redis-server tzdata "
    "ca-certificates sudo apache2 php8.2 mariadb-server firefox-esr chromium nodejs grafana "
    "kernel-core glibc zlib1g libxml2 rsync samba bind9 dnsutils cups dbus udev initramfs-tools "
    "grub-pc linux-firmware intel-microcode nvidia-driver-535 zfs-dkms virtualbox-dkms wireguard"
)
PATHS: Final = _words(
    "/var/log/syslog /var/lib/app/data.db /srv/www/index.html /etc/app/config.yml /tmp/upload.tmp "
    "/home/alice/report.odt /var/spool/cron/root /opt/app/bin/start /usr/lib/app/plugin.so "
    "/data/ingest/part-0007 /mnt/backup/full.tar.zst /var/cache/app/index /run/app/app.sock "
    "/var/www/html/wp-login.php /etc/ssl/private/server.key /srv/media/film.mkv "
    "/etc/nginx/nginx.conf /var/lib/mysql/shop/orders.ibd "
    "/var/lib/postgresql/15/main/base/16384/2619 /etc/hosts /usr/local/bin/sync.sh "
    "/opt/tool/lib/core.jar /var/backups/dump.sql.gz /export/projects/x.dat "
    "/home/pi/cam/2024-03-11.jpg /var/lib/docker/overlay2/l /etc/fstab /boot/grub/grub.cfg"
)
MOUNTS: Final = _words(
    "/ /var /home /tmp /boot /srv /data /mnt/backup /var/log /var/lib/docker /var/lib/postgresql "
    "/opt /export /media/usb /scratch /usr /boot/efi /mnt/nas /var/lib/mysql /u01"
)
DISKS: Final = _words(
    "sda sdb sdc sdd sde sdf sdg sdh sdaa sdab vda vdb xvda hda mmcblk0 dm-0 dm-3"
)
NVMES: Final = _words("nvme0 nvme1 nvme2 nvme3")
MODELS: Final = _words(
    "WDC_WD40EFRX-68N32N0 ST8000VN004-2M2101 Samsung_SSD_870_EVO_1TB CT1000MX500SSD1 "
    "HGST_HUS726T6TAL TOSHIBA_MG08ACA16TE INTEL_SSDSC2KB960G8 KINGSTON_SA400S37480G"
)
IFACES: Final = _words(
    "eth0 eth1 eno1 eno2 enp3s0 enp0s31f6 ens18 ens192 enp65s0f1 wlan0 wlp2s0 wlp0s20f3 bond0 br0 "
    "br-lan docker0 veth1a2b3c4 tun0 wg0 vmbr0 ib0 usb0 wwan0 team0 virbr0"
)
DRIVERS: Final = _words("e1000e igb ixgbe i40e mlx5_core r8169 tg3 bnxt_en virtio_net ice bnx2x")
DATABASES: Final = _words(
    "shop orders inventory billing analytics wordpress nextcloud gitlab keycloak zabbix app_prod "
    "app_test users reports hass metrics crm erp wiki tickets"
)
TABLES: Final = _words(
    "users orders sessions events invoices items wp_options audit_log products jobs metrics "
    "tokens messages stock_moves page_views payments customers"
)
IMAGES: Final = _words(
    "nginx:1.25 redis:7-alpine postgres:15 registry.example.io/shop/api:2.14.1 busybox "
    "python:3.11-slim ghcr.example/team/worker:latest traefik:v2.11 grafana/grafana:10.4.0 "
    "mysql:8.0 app:dev"
)
PODS: Final = _words(
    "web-6d4cf56db6-x2x7k api-7b9d8c6f5-qqlmz coredns-5d78c9869d-8zr4h redis-0 worker-59f4d-mjk2p "
    "ingress-nginx-controller-kx8d2 prometheus-k8s-0 billing-cron-28461-zk7sd etcd-kube-master "
    "calico-node-tt9vq metrics-server-6f6c-2lkgx postgres-1"
)
NAMESPACES: Final = _words("default kube-system prod staging monitoring shop ingress-nginx dev ci")
AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
    "curl/7.88.1",
    "Go-http-client/1.1",
    "kube-probe/1.28",
    "Prometheus/2.50.1",
    "python-requests/2.31.0",
    "UptimeRobot/2.0",
    "-",
)
URLPATHS: Final = _words(
    "/ /index.html /api/v1/items /login /static/app.js /favicon.ico /healthz /metrics /cart "
    "/search?q=lamp /wp-login.php /images/logo.png /api/orders/8812 /feed.xml /robots.txt /admin "
    "/assets/site.css /v2/_catalog /upload /account/settings /graphql"
)
PROBES: Final = _words(
    "/.env /.git/config /wp-admin/setup-config.php /phpmyadmin/index.php /cgi-bin/luci "
    "/boaform/admin/formLogin /etc/passwd /shell?cd+/tmp;wget /vendor/phpunit/eval-stdin.php "
    "/actuator/env /solr/admin/info /manager/html /HNAP1 /.aws/credentials /xmlrpc.php"
)
SIGNALS: Final = _words("9/KILL 15/TERM 6/ABRT 11/SEGV 7/BUS 4/ILL 5/TRAP")
EXITCODES: Final = _words(
    "1/FAILURE 2/INVALIDARGUMENT 203/EXEC 226/NAMESPACE 200/CHDIR 217/USER 127/n/a 255/EXCEPTION "
    "3/NOTIMPLEMENTED 78/CONFIG 137/n/a"
)
MONTHS: Final = _words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
WEEKDAYS: Final = _words("Mon Tue Wed Thu Fri Sat Sun")
SYLLABLES: Final = _words(
    "vel kor zan mir tal ost bri fen gul hax jor kip lum mov nar opt pel qua rav sil tor urb vex "
    "wyn xen yor zed ark bel cor dux ely fax gir hol ind jet kra lor mun nix orb pax rho syn tek "
    "umb var wes alto beam cade delta echo flux grid halo iris jade keel lark mesa node onyx pike "
    "quill reef sage tide vault wisp plume ember drift"
)
NAME_TAILS: Final = (
    "", "", "d", "d", "-agent", "-worker", "ctl", "-proxy", "-exporter", "-sync", "-server",
    "-daemon", "mon", "_svc", "-api", "-scheduler", "Manager", "Service", "-gw", ".py",
    "-collector", "-ingest", "@1", "-operator", "-bridge", "hub", "-node", "-shipper", "-indexer",
)  # fmt: skip
CLASSES: Final = _words(
    "OrderService SessionManager BlockStore ReplicaTracker HttpGateway JobRunner CacheLoader "
    "FlowController TokenProvider QueueConsumer IndexWriter ConfigLoader MailDispatcher "
    "PoolMonitor UserRepository PaymentClient MetricsReporter LeaseRenewer"
)
SENSORS: Final = _words(
    "sensor.kitchen_temp binary_sensor.front_door climate.living_room sensor.freezer light.hall "
    "switch.pump sensor.ups_load camera.garage lock.main_door sensor.boiler_pressure "
    "zigbee/0x00158d0001a2b3c4 tasmota_4F21AA shelly1pm-98CDAC esp32-greenhouse garage_relay"
)

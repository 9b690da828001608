"""Slots of templates: `{ip}`, `{pid}`, `{pct_high}` and what fills them.

A slot is a function of the generator and of the sample's context. Entities (user, ip, svc, ...)
keep their value within one sample, so that a line that names one twice agrees with itself;
numbers are drawn afresh every time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from training.data.events import lexicon as lx

T = TypeVar("T")
Context = dict[str, str]
Slot = Callable[[random.Random, Context], str]

_HEX: Final = "0123456789abcdef"
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def pick(rng: random.Random, options: Sequence[T]) -> T:
    """One of `options`, evenly. Faster than `Random.choice`, and as deterministic."""
    return options[int(rng.random() * len(options))]


def between(rng: random.Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


def hexes(rng: random.Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def log_number(rng: random.Random, low: int, high: int) -> int:
    """Evenly over orders of magnitude: 7 is as likely as 70 or 70,000."""
    return int(low * (high / low) ** rng.random())


def ip(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return f"192.168.{between(rng, 0, 255)}.{between(rng, 1, 254)}"
    if kind < 0.6:
        return f"10.{between(rng, 0, 255)}.{between(rng, 0, 255)}.{between(rng, 1, 254)}"
    return ".".join(str(between(rng, 1, 254)) for _ in range(4))


def invented(rng: random.Random) -> str:
    """A program name that nobody has seen: two or three syllables and a usual ending."""
    parts = [pick(rng, lx.SYLLABLES) for _ in range(2 if rng.random() < 0.75 else 3)]
    joint = "-" if rng.random() < 0.1 else ""
    name = joint.join(parts)
    style = rng.random()
    if style < 0.08:
        return name.capitalize() + pick(rng, ("Manager", "Service", "Server", "Engine", "Client"))
    if style < 0.12:
        return f"com.{parts[0]}.{parts[1]}"
    return name + pick(rng, lx.NAME_TAILS)


def duration(rng: random.Random) -> str:
    kind = between(rng, 0, 6)
    number = log_number(rng, 1, 900)
    return (
        f"{number}ms",
        f"{number / 10:.1f}s",
        f"{number}s",
        f"{between(rng, 1, 59)} min",
        f"{between(rng, 1, 9)}min {between(rng, 0, 59)}.{between(rng, 100, 999)}s",
        f"{number} ms",
        f"{number / 100:.2f} seconds",
    )[kind]


def size(rng: random.Random) -> str:
    unit = pick(rng, ("B", "K", "kB", "KiB", "M", "MB", "MiB", "G", "GB", "GiB", "M", "G", "T"))
    number = log_number(rng, 1, 999)
    return f"{number / 10:.1f}{unit}" if rng.random() < 0.4 else f"{number}{unit}"


def timestamp(rng: random.Random) -> str:
    year, month, day = between(rng, 2019, 2027), between(rng, 1, 12), between(rng, 1, 28)
    clock = f"{between(rng, 0, 23):02d}:{between(rng, 0, 59):02d}:{between(rng, 0, 59):02d}"
    fraction = between(rng, 0, 999)
    return (
        f"{year}-{month:02d}-{day:02d} {clock}",
        f"{year}-{month:02d}-{day:02d}T{clock}Z",
        f"{year}-{month:02d}-{day:02d} {clock},{fraction:03d}",
        f"{year}-{month:02d}-{day:02d}T{clock}.{fraction:03d}+01:00",
        f"{year}/{month:02d}/{day:02d} {clock}",
        f"{lx.MONTHS[month - 1]} {day:2d} {clock}",
        f"{pick(rng, lx.WEEKDAYS)} {lx.MONTHS[month - 1]} {day:2d} {clock} {year}",
        f"{day:02d}/{lx.MONTHS[month - 1]}/{year}:{clock} +0000",
    )[between(rng, 0, 7)]


def version(rng: random.Random) -> str:
    base = f"{between(rng, 0, 30)}.{between(rng, 0, 20)}"
    return (
        base,
        f"{base}.{between(rng, 0, 40)}",
        f"{base}.{between(rng, 0, 40)}-{between(rng, 1, 9)}",
        f"{between(rng, 1, 3)}:{base}-{between(rng, 1, 9)}ubuntu{between(rng, 1, 4)}",
        f"{base}.{between(rng, 0, 9)}+deb12u{between(rng, 1, 9)}",
        f"v{base}.{between(rng, 0, 9)}",
    )[between(rng, 0, 5)]


def uuid(rng: random.Random) -> str:
    digits = hexes(rng, 32)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _entity(name: str, options: Sequence[str]) -> Slot:
    def fill(rng: random.Random, context: Context) -> str:
        value = context.get(name)
        if value is None:
            value = context[name] = pick(rng, options)
        return value

    return fill


def _kept(name: str, make: Callable[[random.Random], str]) -> Slot:
    def fill(rng: random.Random, context: Context) -> str:
        value = context.get(name)
        if value is None:
            value = context[name] = make(rng)
        return value

    return fill


def _fresh(make: Callable[[random.Random], str]) -> Slot:
    return lambda rng, _context: make(rng)


def _given(name: str) -> Slot:
    """What the grammar or a measure has put into the context."""
    return lambda _rng, context: context[name]


def _range(low: int, high: int) -> Slot:
    return lambda rng, _context: str(between(rng, low, high))


def _log(low: int, high: int) -> Slot:
    return lambda rng, _context: str(log_number(rng, low, high))


def _words(options: Sequence[str]) -> Slot:
    return lambda rng, _context: pick(rng, options)


def _service(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.3 else pick(rng, lx.SERVICES)


def _program(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.3 else pick(rng, lx.PROGRAMS)


def _host(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return pick(rng, lx.HOSTS)
    if kind < 0.7:
        return pick(rng, lx.DOMAINS)
    return f"{pick(rng, lx.SYLLABLES)}{between(rng, 1, 40)}.{pick(rng, lx.DOMAINS)}"


def _person(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return pick(rng, lx.USERS)
    return pick(rng, lx.SYLLABLES) + pick(rng, lx.SYLLABLES)


def _folder(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return pick(rng, lx.PATHS)
    tail = pick(rng, ("data.bin", "config.yaml", "state.json", "run.log", "index.db", "job.sh"))
    top = pick(rng, ("/var/lib", "/opt", "/srv", "/etc", "/home/dave", "/usr/share", "/data"))
    return f"{top}/{pick(rng, lx.SYLLABLES)}{pick(rng, lx.SYLLABLES)}/{tail}"


def _domain(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return pick(rng, lx.DOMAINS)
    top = pick(rng, ("com", "org", "net", "io", "de", "lan", "internal"))
    return f"{pick(rng, lx.SYLLABLES)}{pick(rng, lx.SYLLABLES)}.{top}"


def _base64(length: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(pick(rng, _BASE64) for _ in range(length))


def _mac(rng: random.Random) -> str:
    digits = hexes(rng, 12)
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def _mail(rng: random.Random) -> str:
    return f"{_person(rng)}@{_domain(rng)}"


def _kernel(rng: random.Random) -> str:
    return (
        f"{between(rng, 4, 6)}.{between(rng, 0, 19)}.{between(rng, 0, 190)}-"
        f"{between(rng, 1, 120)}-{pick(rng, ('generic', 'amd64', 'arch1', 'lts', 'cloud'))}"
    )


def _ip6(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"fe80::{hexes(rng, 4)}:{hexes(rng, 4)}ff:fe{hexes(rng, 2)}:{hexes(rng, 4)}"
    return f"2001:db8:{hexes(rng, 4)}::{hexes(rng, 3)}"


def _pci(rng: random.Random) -> str:
    return f"0000:{between(rng, 0, 199):02x}:{between(rng, 0, 31):02x}.{between(rng, 0, 7)}"


def _clock(rng: random.Random) -> str:
    return f"{between(rng, 0, 23):02d}:{between(rng, 0, 59):02d}:{between(rng, 0, 59):02d}"


SLOTS: Final[dict[str, Slot]] = {
    # entities: one value per sample
    "user": _kept("user", _person),
    "baduser": _entity("baduser", lx.BAD_USERS),
    "host": _kept("host", _host),
    "domain": _kept("domain", _domain),
    "svc": _kept("svc", _service),
    "prog": _kept("prog", _program),
    "name": _kept("name", invented),
    "ip": _kept("ip", ip),
    "port": _kept("port", lambda rng: str(between(rng, 1024, 65535))),
    "path": _kept("path", _folder),
    "mount": _entity("mount", lx.MOUNTS),
    "disk": _entity("disk", lx.DISKS),
    "nvme": _entity("nvme", lx.NVMES),
    "iface": _entity("iface", lx.IFACES),
    "driver": _entity("driver", lx.DRIVERS),
    "pkg": _entity("pkg", lx.PACKAGES),
    "db": _entity("db", lx.DATABASES),
    "table": _entity("table", lx.TABLES),
    "image": _entity("image", lx.IMAGES),
    "pod": _entity("pod", lx.PODS),
    "ns": _entity("ns", lx.NAMESPACES),
    "sensor": _entity("sensor", lx.SENSORS),
    "pid": _kept("pid", lambda rng: str(log_number(rng, 2, 4_000_000))),
    "pci": _kept("pci", _pci),
    "mac": _kept("mac", _mac),
    "md": _kept("md", lambda rng: f"md{pick(rng, ('0', '1', '2', '127', '126', '5'))}"),
    "pool": _entity("pool", ("tank", "rpool", "zroot", "data", "backup", "vmpool", "zfs01")),
    "uuid": _kept("uuid", uuid),
    # parts of composed lines
    "subj": _given("subj"),
    "obj": _given("obj"),
    "reason": _given("reason"),
    "verb": _given("verb"),
    "ving": _given("ving"),
    "ved": _given("ved"),
    # figures of measures
    "used": _given("used"),
    "limit": _given("limit"),
    "pct": _given("pct"),
    "value": _given("value"),
    "total": _given("total"),
    "ok": _given("ok"),
    "bad": _given("bad"),
    # words
    "host2": _fresh(_host),
    "user2": _fresh(_person),
    "ip2": _fresh(ip),
    "ip6": _fresh(_ip6),
    "path2": _fresh(_folder),
    "pkg2": _words(lx.PACKAGES),
    "svc2": _fresh(_service),
    "prog2": _fresh(_program),
    "desc": _words(lx.DESCRIPTIONS),
    "model": _words(lx.MODELS),
    "signal": _words(lx.SIGNALS),
    "exitcode": _words(lx.EXITCODES),
    "url": _words(lx.URLPATHS),
    "probe": _words(lx.PROBES),
    "agent": _words(lx.AGENTS),
    "class": _words(lx.CLASSES),
    "month": _words(lx.MONTHS),
    "mail": _fresh(_mail),
    "mail2": _fresh(_mail),
    "kernel": _fresh(_kernel),
    "ver": _fresh(version),
    "ver2": _fresh(version),
    "ts": _fresh(timestamp),
    "clock": _fresh(_clock),
    "dur": _fresh(duration),
    "size": _fresh(size),
    "serial": _fresh(lambda rng: pick(rng, ("WD-WX", "S3Z9NB0K", "Z1F", "PHYS")) + hexes(rng, 6)),
    # numbers
    "n": _log(1, 9999),
    "big": _log(10_000, 9_999_999_999),
    "small": _range(2, 9),
    "few": _range(2, 30),
    "many": _range(20, 900),
    "d": _range(0, 9),
    "cpu": _range(0, 63),
    "bus": _range(1, 8),
    "uid": _log(1, 70_000),
    "ms": _log(1, 900),
    "slow_ms": _range(1500, 60_000),
    "sec": _range(1, 59),
    "load_high": _fresh(lambda rng: f"{between(rng, 18, 140)}.{between(rng, 0, 99):02d}"),
    "load_ok": _fresh(lambda rng: f"{between(rng, 0, 2)}.{between(rng, 0, 99):02d}"),
    "pct_low": _range(1, 60),
    "pct_mid": _range(61, 84),
    "pct_high": _range(88, 95),
    "pct_full": _range(97, 100),
    "temp_ok": _range(24, 62),
    "temp_warm": _range(63, 74),
    "temp_hot": _range(88, 99),
    "temp_crit": _range(100, 118),
    "hex2": _fresh(lambda rng: hexes(rng, 2)),
    "hex4": _fresh(lambda rng: hexes(rng, 4)),
    "hex8": _fresh(lambda rng: hexes(rng, 8)),
    "hex12": _fresh(lambda rng: hexes(rng, 12)),
    "hex16": _fresh(lambda rng: hexes(rng, 16)),
    "hex64": _fresh(lambda rng: hexes(rng, 64)),
    "b64": _fresh(_base64(43)),
    "b22": _fresh(_base64(22)),
    "f": _fresh(lambda rng: f"{rng.random() * 10 ** between(rng, 0, 3):.{between(rng, 1, 4)}f}"),
}

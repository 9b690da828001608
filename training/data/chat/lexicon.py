"""Names that questions and results are about: real ones and invented ones, so that a model learns
to copy and not to remember."""

from __future__ import annotations

import pathlib
import random
import tomllib
from collections.abc import Sequence

_TABLE = tomllib.loads((pathlib.Path(__file__).parent / "lexicon.toml").read_text(encoding="utf-8"))


def _words(key: str) -> tuple[str, ...]:
    return tuple(_TABLE["words"][key].split())


def _phrases(key: str) -> tuple[str, ...]:
    return tuple(_TABLE["phrases"][key].strip().splitlines())


UNITS = _words("units")
UNIT_SUFFIXES = (".service",) * 8 + (".socket", ".timer", ".mount", ".target", ".path")
PROCESSES = _words("processes")
MOUNTS = _words("mounts")
DIRECTORIES = MOUNTS + _words("directories")
FILES = _words("files")
EXTENSIONS = _words("extensions")
INTERFACES = _words("interfaces")
USERS = _words("users")
PACKAGES = _words("packages")
TIMERS = _words("timers") + _phrases("timers")
TOPICS = _words("topics") + _phrases("topics")
SIZES = _phrases("sizes")
SYSTEMS = _phrases("systems")
WILDCARDS = ("0.0.0.0", "0.0.0.0, ::")  # noqa: S104
_PARENTS = ("/mnt", "/srv", "/data", "/opt", "/var/lib", "/home", "/media")
_FILE_PARENTS = ("/etc", "/var/log", "/opt", "/srv", "/home", "/root")
_ONSETS = (
    *"bcdfghklmnprstvwz",
    "br",
    "cl",
    "dr",
    "fl",
    "gr",
    "kr",
    "pl",
    "sk",
    "st",
    "tr",
    "sh",
)
_VOWELS = (*"aeiouy", "ai", "ea", "oo")
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
    return f"{pick(rng, _PARENTS)}/{_below(rng)}"


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
        return f"{pick(rng, _FILE_PARENTS)}/{leaf}"
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

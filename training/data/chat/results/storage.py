"""disk_usage, inode_usage, directory_sizes."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.dialect import Dialect
from training.data.chat.results.outcome import Outcome, Segment

_TYPES = ("ext4", "ext4", "xfs", "btrfs", "zfs", "vfat", "tmpfs", "overlay", "nfs4", "f2fs")


def _mounts(rng: random.Random, question: Question) -> list[str]:
    """The mount that was asked for, or several with the root first."""
    asked = question.arguments.get("path")
    if asked is not None:
        return [str(asked)]
    others = [lexicon.mount(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
    return list(dict.fromkeys(("/", *others)))


def _listed(rng: random.Random, dialect: Dialect, what: str, parts: list[Segment]) -> Outcome:
    if len(parts) == 1:
        return Outcome(segments=tuple(parts))
    lead = dialect.one(
        "", "", f"{len(parts)} {what}: ", f"{what.capitalize()}: ", f"On {len(parts)} {what}: "
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.joint)


def disk_usage(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    form = rng.random()
    parts = []
    for mount in _mounts(rng, question):
        kind = f" ({dialect.one(*_TYPES)})" if form < 0.6 else ""
        used, total = dialect.size(2, 4), dialect.size(2, 4)
        free, share = dialect.size(1, 4), dialect.percent()
        if form < 0.35:
            text = f"{mount}{kind} {used} of {total} used ({share}), {free} free"
        elif form < 0.45:
            text = f"{mount}{kind}: {free} free of {total} ({share} used)"
        elif form < 0.55:
            text = f"{mount}{kind} is {share} full: {used} used, {free} free of {total}"
        elif form < 0.62:
            text = f"{mount}{kind} has {free} free of {total}, {share} used"
        elif form < 0.68:
            text = f"{share} of {mount} is used, {free} of {total} are free"
        else:
            pairs = [("used", used), ("free", free), ("total", total), ("full", share)]
            named = dialect.fields(pairs[: rng.randint(2, 4)])
            text = f"{mount}{kind}{dialect.one(' ', ': ', ' has ', ' - ')}{named}"
        parts.append(Segment(text, mount))
    return _listed(rng, dialect, dialect.one("filesystems", "mounts"), parts)


def inode_usage(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    form = rng.random()
    parts: list[Segment] = []
    for mount in _mounts(rng, question):
        kind = f" ({dialect.one(*_TYPES)})" if form < 0.4 else ""
        used, total = dialect.number(10, 40_000_000), dialect.number(1000, 90_000_000)
        free, share = dialect.number(0, 60_000_000), dialect.percent()
        if form < 0.08 and len(parts) == 0:
            text = f"{mount} ({dialect.one('btrfs', 'vfat', 'zfs')}) does not count inodes"
        elif form < 0.4:
            text = f"{mount}{kind} {used} of {total} inodes used ({share}), {free} free"
        elif form < 0.5:
            text = f"{mount}: {free} inodes free of {total} ({share} used)"
        elif form < 0.6:
            text = f"{mount} uses {share} of its inodes: {used} used, {free} free"
        else:
            pairs = [("used", used), ("free", free), ("total", total), ("inodes used", share)]
            named = dialect.fields(pairs[: rng.randint(2, 4)])
            text = f"{mount}{kind}{dialect.one(' inodes: ', ': inodes ', ' ')}{named}"
        parts.append(Segment(text, mount))
    return _listed(rng, dialect, "filesystems", parts)


def directory_sizes(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    base = str(question.arguments["path"])
    stem = base.rstrip("/")
    names = [
        lexicon.pick(rng, ("log", "lib", "cache", "www", "docker", "backup", lexicon.name(rng)))
        for _ in range(rng.randint(1, 5))
    ]
    full = rng.random() < 0.6
    parts = []
    for name in dict.fromkeys(names):
        path = f"{stem}/{name}" if full else name
        size = dialect.size(1, 4)
        text = dialect.one(f"{path} {size}", f"{path} {size}", f"{size} {path}", f"{path}: {size}")
        if rng.random() < 0.1:
            text += f" ({dialect.percent()})"
        parts.append(Segment(text, f"{stem}/{name}"))
    whole = dialect.size(2, 4)
    lead = dialect.one(
        f"Largest folders below {base}: ",
        f"Largest below {base}: ",
        f"{base} holds {whole}. Largest folders: ",
        f"{base} ({whole} in all): ",
        f"Under {base}, largest first: ",
        f"{len(parts)} folders below {base}, {whole} together: ",
        f"{base} takes {whole}: ",
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one(", ", ", ", "; ", " | "))

"""disk_usage, inode_usage, directory_sizes."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.house.figures import listed, many, size, skewed
from training.data.chat.results.outcome import Outcome, Segment, single

_KINDS = ("ext4", "ext4", "xfs", "btrfs", "zfs", "vfat", "tmpfs", "nfs4")


def _mounts(rng: random.Random, question: Question) -> list[str]:
    asked = question.arguments.get("path")
    if asked is not None:
        return [str(asked)]
    others = [lexicon.mount(rng) for _ in range(many(rng, 7) - 1)]
    return list(dict.fromkeys(("/", *others)))


def disk_usage(rng: random.Random, question: Question) -> Outcome:
    parts = [
        Segment(
            f"{mount} ({rng.choice(_KINDS)}): "
            f"{size(rng, 2, 3)} of {size(rng, 2, 4)} used ({rng.randint(0, 100)}%), "
            f"{size(rng, 1, 3)} free",
            mount,
        )
        for mount in _mounts(rng, question)
    ]
    return listed(rng, parts, of="more filesystems")


def inode_usage(rng: random.Random, question: Question) -> Outcome:
    if rng.random() < 0.06:
        return single("The filesystem has no fixed number of inodes.")
    parts = [
        Segment(
            f"{mount}: {skewed(rng, 50_000_000)} of {skewed(rng, 90_000_000)} inodes used "
            f"({rng.randint(0, 100)}%), {skewed(rng, 60_000_000)} free",
            mount,
        )
        for mount in _mounts(rng, question)
    ]
    return listed(rng, parts, of="more filesystems")


def directory_sizes(rng: random.Random, question: Question) -> Outcome:
    base = str(question.arguments["path"])
    if rng.random() < 0.04:
        return single(f"{base} is empty or cannot be read.")
    stem = base.rstrip("/")
    full = rng.random() < 0.5
    common = ("log", "lib", "cache", "www", "docker", "backup", "home", "usr", "data", "tmp")
    names = dict.fromkeys(
        rng.choice(common) if rng.random() < 0.5 else lexicon.name(rng) for _ in range(many(rng, 6))
    )
    parts = [
        Segment(f"{stem}/{name} {size(rng)}" if full else f"{name} {size(rng)}", f"{stem}/{name}")
        for name in names
    ]
    note = "Not everything could be measured in time; these are least values."
    tail = note if rng.random() < 0.08 else ""
    lead = f"{base} holds {size(rng, 2, 4)}. Largest: "
    return listed(rng, parts, lead=lead, of="smaller", tail=tail)

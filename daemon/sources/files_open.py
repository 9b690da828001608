"""Opening what a glob found: what is fit to be read as a log, how files are told apart."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from pathlib import Path

HEAD_BYTES = 256
"""Length of the beginning that tells files apart; shorter while the file is."""
_SAMPLE_BYTES = 4_096
_COMPRESSED = (
    b"\x1f\x8b",  # gzip
    b"\xfd7zXZ\x00",
    b"BZh",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x04\x22\x4d\x18",  # lz4
    b"PK\x03\x04",
)
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27}) + b"\x7f"


class NotALogError(Exception):
    """A path that cannot be read as a log. `reason` is short and stable: losses are counted by it.
    `quiet`: expected beside logs (compressed ones), neither counted nor said."""

    def __init__(self, message: str, *, reason: str, quiet: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.quiet = quiet


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """An open regular file. `head` is its first bytes, at most `HEAD_BYTES`."""

    fd: int
    dev: int
    ino: int
    size: int
    head: bytes


def digest(head: bytes) -> str:
    """A short, stable name for a beginning."""
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def open_log(path: str) -> Opened:
    """Opens for reading without ever blocking (FIFOs, devices). The caller closes `fd`.

    Raises `NotALogError` for what is no log, `OSError` for what cannot be opened (the caller
    tells absent from forbidden).
    """
    _check_kind(path, Path(path).stat())
    _check_link(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # Again on the descriptor: the path may have become something else in between.
        status = os.fstat(fd)
        _check_kind(path, status)
        sample = os.pread(fd, _SAMPLE_BYTES, 0)
        check_text(path, sample)
    except BaseException:
        os.close(fd)
        raise
    return Opened(fd, status.st_dev, status.st_ino, status.st_size, sample[:HEAD_BYTES])


def check_text(path: str, sample: bytes) -> None:
    """Raises `NotALogError` where the first bytes are those of a compressed or binary file."""
    if sample.startswith(_COMPRESSED):
        message = f"{path} is compressed and is not followed; name the log that grows"
        raise NotALogError(message, reason="compressed file", quiet=True)
    text = sample.lstrip(b"\0")  # a truncated log may begin with a hole
    controls = len(text) - len(text.translate(None, _CONTROL))
    if controls > 8 and controls * 20 > len(text):
        message = (
            f"{path} is binary, not a text log, and is skipped; exclude it in the configuration"
        )
        raise NotALogError(message, reason="binary file")


def _check_kind(path: str, status: os.stat_result) -> None:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return
    for test, name in (
        (stat.S_ISDIR, "folder"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
    ):
        if test(mode):
            kind = name
            break
    else:
        kind = "device"
    message = f"{path} is a {kind}, not a regular file, and is skipped; exclude it or name a file"
    raise NotALogError(message, reason=f"not a regular file ({kind})", quiet=kind == "folder")


def _check_link(path: str) -> None:
    """A link in a folder that a service may write to could name any file of the host: follow it
    only where its owner could read the target anyway."""
    link = os.lstat(path)
    if not stat.S_ISLNK(link.st_mode):
        return
    if link.st_uid in (0, os.geteuid()) or link.st_uid == Path(path).stat().st_uid:
        return
    message = (
        f"{path} is a link of user {link.st_uid} to a file of another user and is not followed; "
        "let root own the link, or name the file itself"
    )
    raise NotALogError(message, reason="link to another user's file")


def same_beginning(fd: int, head: bytes) -> bool:
    """Whether the open file (still) begins with these bytes."""
    return os.pread(fd, len(head), 0) == head


def is_copy(copy: Opened, original: Opened) -> bool:
    """Whether `copy` holds the same bytes as `original` as far as it goes: a rotation by copy and
    truncation that is under way. Looks at both ends, not at everything."""
    if not copy.head or copy.size > original.size or not original.head.startswith(copy.head):
        return False
    start = max(0, copy.size - _SAMPLE_BYTES)
    length = copy.size - start
    return os.pread(copy.fd, length, start) == os.pread(original.fd, length, start)

"""The key file: read with suspicion, changed by one at a time, never half."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from api.keys.parse import KeyFileError, KeySet, parse_keys
from tiers.nofollow import no_follow

MOST_BYTES = 1024 * 1024
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH

Stamp = tuple[int, int, int, int, int]
"""Changes when the file does: device, inode, size, and the times of content and inode in ns."""


def stamp_of(path: Path) -> Stamp | None:
    """What the file looks like from outside; None where there is none. Raises OSError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def read_keys(path: Path, *, named: bool) -> KeySet | None:
    """The keys in a file; None where there is no file.

    `named`: the operator named it in the configuration. Such a file may be a link and belong to
    somebody else, as secret managers like it; the one in the state folder may not. Neither may be
    writable by others: who can write it makes keys. Raises `KeyFileError`.
    """
    found = _read(path, named=named)
    if found is None:
        return None
    text, status = found
    keys = parse_keys(text, path=str(path))
    concerns = list(keys.concerns)
    if status.st_uid not in _trusted():
        concerns.append(f"{path} belongs to user {status.st_uid}, who can make keys: chown it")
    if keys.plain and status.st_mode & _OTHERS_READ:
        concerns.append(f"{path} holds keys as they are and others can read it: chmod 600")
    return KeySet(keys=keys.keys, plain=keys.plain, concerns=concerns)


def _read(path: Path, *, named: bool) -> tuple[str, os.stat_result] | None:
    # Not waiting: a pipe without a writer would hold us for ever.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if named else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        if not named and path.is_symlink():
            raise KeyFileError(f"{path} is a link, which is not followed: remove it") from None
        return None
    except OSError as error:
        if not named and path.is_symlink():
            raise KeyFileError(f"{path} is a link, which is not followed: remove it") from error
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is no file; name a file with keys")
        mode = stat.S_IMODE(status.st_mode)
        if mode & _OTHERS_WRITE:
            raise KeyFileError(
                f"{path} can be changed by other users (mode {mode:04o}), who could make keys: "
                f"run `chmod 600 {path}` if you trust what is in it"
            )
        if not named and status.st_uid not in _trusted():
            raise KeyFileError(
                f"{path} belongs to user {status.st_uid}, who could make keys: chown it if you "
                "trust what is in it"
            )
        raw = b""
        while len(raw) <= MOST_BYTES and (part := os.read(descriptor, MOST_BYTES + 1)):
            raw += part
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(raw) > MOST_BYTES:
        raise KeyFileError(f"{path} is larger than {MOST_BYTES} bytes, which no keys need")
    try:
        return raw.decode("utf-8-sig"), status
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise KeyFileError(f"{path}:{line}: not UTF-8 text (byte {error.start})") from error


def _trusted() -> set[int]:
    me = os.geteuid()
    caller = os.environ.get("SUDO_UID", "") if me == 0 else ""
    return {0, me} | ({int(caller)} if caller.isascii() and caller.isdigit() else set())


def edit_keys(path: Path, change: Callable[[str], str], *, named: bool) -> None:
    """Puts `change(text)` in the place of the file's text; a file that is not there is "" and made.

    Commands at the same time wait for each other (flock on a file beside it), and nobody reads half
    a file: the new one is written whole, then renamed. What `change` makes must be readable as
    keys. Raises `KeyFileError`, and what `change` raises.
    """
    try:
        # The file itself, not a link to it: the link of who named the file stays.
        target = path.resolve() if named else path
        with _locked(target):
            found = _read(path, named=named)
            text, status = ("", None) if found is None else found
            changed = change(text)
            parse_keys(changed, path=str(path))
            _replace(target, changed.encode(), before=status)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    descriptor = no_follow(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, *, before: os.stat_result | None) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    descriptor = no_follow(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Root writes for the daemon's user: who owned the file, or owns its folder.
            owner = before if before is not None else path.parent.stat()
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            if before is not None:
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o640)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

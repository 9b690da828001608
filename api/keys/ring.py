"""The keys in force. They follow their file while the daemon runs."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from api.keys.file import Stamp, read_keys, stamp_of
from api.keys.key import Key, digest_of
from api.keys.parse import KeyFileError, KeySet

log = structlog.get_logger()

_LOOK_SECONDS = 0.5


class KeyRing:
    """Keys of a file, read when this is made and again when the file changes, and `own` keys beside
    them, which are the daemon's.

    A file that cannot be used (a hand's mistake) leaves the last good keys in force; `problem` says
    why. So does a file that goes away: removing it must not open a door. `needed`: whether there is
    or was a file, or nobody may ask without a key anyway.

    Raises `KeyFileError` when the file cannot be used at the start: then there are no good keys.
    """

    def __init__(
        self,
        *,
        path: Path | None,
        named: bool,
        now: Callable[[], datetime],
        own: Sequence[Key] = (),
    ) -> None:
        self.path = path
        self.problem = ""
        self._named = named
        self._now = now
        self._own = tuple(own)
        self._stamp: Stamp | None = None
        self._seen: Stamp | None = None
        self._set: KeySet | None = None
        if path is not None:
            self._stamp = self._seen = _stamp(path)
            self._set = read_keys(path, named=named)
        self._all = (*self._own, *self.keys)
        self._say_concerns()

    @property
    def needed(self) -> bool:
        """Whether a request needs a key because there are some."""
        return self._set is not None

    @property
    def keys(self) -> Sequence[Key]:
        """The keys of the file, expired ones included."""
        return self._set.keys if self._set is not None else ()

    @property
    def concerns(self) -> Sequence[str]:
        """What should be better about the file."""
        return self._set.concerns if self._set is not None else ()

    def find(self, secret: bytes) -> Key | None:
        """The valid key that this is, if any.

        Hashes are compared in constant time, and all of them, so that the time taken tells nothing
        of which one it was.
        """
        digest = digest_of(secret)
        found = None
        for key in self._all:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found if found is not None and found.valid_at(self._now()) else None

    def in_force(self, key: Key) -> bool:
        """Whether it is still there, with its role, and has not expired."""
        now = self._now()
        return any(
            each.digest == key.digest and each.role is key.role and each.valid_at(now)
            for each in self._all
        )

    async def follow(self, changed: Callable[[], None]) -> None:
        """Looks after the file for ever. `changed` is called after each look, so that what ends by
        itself (a key that expires) ends too."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self.path is not None:
                # In a thread: the file may lie on a network mount that hangs.
                await asyncio.to_thread(self.look)
            changed()

    def look(self) -> None:
        """Reads the file again if it has changed and then stayed for one look: an editor may be in
        the middle of writing it."""
        assert self.path is not None  # noqa: S101
        stamp = _stamp(self.path)
        settled = stamp == self._seen
        self._seen = stamp
        if not settled or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = read_keys(self.path, named=self._named)
            if found is None and self._set is not None:
                raise KeyFileError(f"{self.path} is gone; put it back, or restart triaged")
        except KeyFileError as error:
            self.problem = str(error)
            log.error("key file not used; the keys before stay", problem=str(error))
            return
        self.problem = ""
        self._set = found
        self._all = (*self._own, *self.keys)
        log.info("keys changed", file=str(self.path), keys=[key.name for key in self.keys])
        self._say_concerns()

    def _say_concerns(self) -> None:
        for concern in self.concerns:
            log.warning("key file", concern=concern)


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None

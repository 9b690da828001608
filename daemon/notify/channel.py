"""The one adapter to apprise: sends, in a thread, within a bound of time, and keeps secrets.

apprise is not asked to log, because its lines hold the URLs, and those hold tokens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import apprise

from daemon.notify.message import Letter
from daemon.notify.settings import ChannelSettings
from tiers.vocabulary import Severity

_SECONDS = 30.0
_TYPES = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.NOTICE: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}


class ChannelError(Exception):
    """A channel that cannot be used, or did not take a message. Holds no secret."""


class Sends(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str: ...

    async def send(self, letter: Letter) -> None:
        """Raises `ChannelError`."""
        ...


class Channel:
    """Satisfies `Sends` over apprise."""

    def __init__(self, *, name: str, settings: ChannelSettings) -> None:
        """Raises `ChannelError` for URLs that cannot be read or that apprise does not know."""
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self.name = name
        self._senders = apprise.Apprise()
        urls = [url.get_secret_value() for url in settings.urls]
        urls += _lines(name, settings.urls_file)
        if not urls:
            raise ChannelError(f"notify.channels.{name}: {settings.urls_file} holds no URL")
        for number, url in enumerate(urls, 1):
            if not self._senders.add(url):
                scheme = url.partition("://")[0][:20]
                raise ChannelError(
                    f"notify.channels.{name}: URL {number} ({scheme}://...) is none that apprise "
                    "knows; see its list of services for how to write it"
                )

    async def send(self, letter: Letter) -> None:
        sending = asyncio.to_thread(
            self._senders.notify,
            title=letter.title,
            body=letter.body,
            notify_type=_TYPES[letter.severity],
            body_format=apprise.NotifyFormat.TEXT,
            interpret_escapes=False,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                taken = await sending
        except TimeoutError as error:
            raise ChannelError(f"{self.name} did not take it within {_SECONDS:g} s") from error
        except (OSError, TypeError, ValueError) as error:
            raise ChannelError(f"{self.name}: {type(error).__name__}") from error
        if not taken:
            raise ChannelError(
                f"{self.name} did not take it: look at the address and the token in its URL, and "
                f"at the network; to try again: triaged notify test {self.name}"
            )


def _lines(name: str, path: Path | None) -> Sequence[str]:
    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelError(f"notify.channels.{name}: {path} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]

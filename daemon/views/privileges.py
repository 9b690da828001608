"""Which doors to the host are open: systemd's manager (polkit decides) and the root helper."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Mapping

from daemon.actions.errors import ActionError
from daemon.actions.host.host import Host

_EVERY_SECONDS = 60.0
_HELLO_SECONDS = 10.0
_MOST_VERBS = 40


class Privileges:
    """Asked every minute, because nobody who looks at the status wants to wait for it."""

    def __init__(self, *, host: Host) -> None:
        self._host = host
        self._told: dict[str, str] = {}

    def told(self) -> Mapping[str, str]:
        """A sentence for `units` and one for `helper`; nothing before the first look."""
        return dict(self._told)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """Once, now."""
        self._told = {"units": await self._units(), "helper": await self._helper()}

    async def _units(self) -> str:
        try:
            await self._host.units.names()
        except ActionError as error:
            return f"closed: {error}"
        if os.geteuid() == 0:
            return "open: the daemon is root, and systemd does what root says"
        return (
            f"open as far as polkit lets {_user()}: deploy/install.sh --allow-actions installs the "
            "rule"
        )

    async def _helper(self) -> str:
        try:
            answer = await self._host.helper.call("hello", {}, timeout=_HELLO_SECONDS)
        except ActionError as error:
            return f"closed: {error}"
        verbs = answer.data.get("verbs")
        if not answer.ok or not isinstance(verbs, list):
            return f"closed: {answer.detail or 'it does not say what it allows'}"
        if not verbs:
            return f"closed: it allows no verb ({answer.data.get('file', 'no configuration')})"
        return f"open for {', '.join(sorted(map(str, verbs))[:_MOST_VERBS])}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"

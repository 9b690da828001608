"""Makes the notifiers out of settings, in two steps: what may be wrong in the settings is found
before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from daemon.errors import StartError
from daemon.notify.channel import Channel, ChannelError
from daemon.notify.notifier import Needs, Notifier
from daemon.notify.outages import TierState
from daemon.notify.settings import NotifySettings
from daemon.store.pool import Database


def make_channels(settings: NotifySettings) -> dict[str, Channel]:
    """By name. Raises `StartError` for one that cannot be used."""
    try:
        return {
            name: Channel(name=name, settings=channel)
            for name, channel in settings.channels.items()
        }
    except ChannelError as error:
        raise StartError(str(error)) from error


def make_notifiers(
    channels: Mapping[str, Channel],
    settings: NotifySettings,
    *,
    database: Database,
    tiers: Callable[[], Sequence[TierState]],
    needs: Needs,
    host: str,
) -> list[Notifier]:
    """One for each channel."""
    return [
        Notifier(
            channel=channel,
            settings=settings.channels[name],
            common=settings,
            database=database,
            tiers=tiers,
            needs=needs,
            host=host,
        )
        for name, channel in channels.items()
    ]

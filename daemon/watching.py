"""Which sources this host has, from the configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

from daemon.config.settings import Settings, SourcesSettings
from daemon.sources.base import Source
from daemon.sources.files import FilesSource
from daemon.sources.journald import JournaldSource
from daemon.sources.metrics import MetricSink, MetricsSource
from daemon.sources.mqtt import MqttSource
from daemon.sources.services import ServicesSource
from daemon.sources.settings import FilesSettings
from daemon.sources.systemd import SystemdSource

_JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))
_USUAL_FILES = (
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/kern.log",
    "/var/log/daemon.log",
    "/var/log/cron.log",
    "/var/log/dpkg.log",
    "/var/log/nginx/*.log",
    "/var/log/apache2/*.log",
    "/var/log/postgresql/*.log",
)


def has_journal(settings: SourcesSettings) -> bool:
    """Whether there is a journal to read."""
    journald = settings.journald
    if not journald.enabled or shutil.which(journald.journalctl) is None:
        return False
    if journald.files or journald.directory is not None:
        return True
    return any(next(folder.glob("*/*.journal"), None) is not None for folder in _JOURNALS)


def make_sources(
    settings: Settings, *, metric_sink: MetricSink
) -> tuple[list[Source], MetricsSource | None]:
    """Every source that is switched on, and the one that measures. What the host lacks says so
    itself when it is started."""
    wanted = settings.sources
    sources: list[Source] = []
    if wanted.journald.enabled:
        sources.append(JournaldSource(settings=wanted.journald))
    for name, group in wanted.files.items():
        if group.enabled:
            sources.append(FilesSource(name=name, settings=group))
    if wanted.syslog_fallback and not wanted.files and not has_journal(wanted):
        usual = FilesSettings(paths=_USUAL_FILES)
        sources.append(FilesSource(name="var-log", settings=usual))
    if wanted.systemd.enabled:
        sources.append(SystemdSource(settings=wanted.systemd))
    metrics = None
    if wanted.metrics.enabled:
        metrics = MetricsSource(settings=wanted.metrics, sink=metric_sink)
        sources.append(metrics)
    services = wanted.services
    if services.enabled and (services.units or services.endpoints or services.processes):
        sources.append(ServicesSource(settings=services))
    if wanted.mqtt.enabled:
        sources.append(MqttSource(settings=wanted.mqtt))
    return sources, metrics

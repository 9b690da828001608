"""The daemon's figures for Prometheus, made from the status when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from api.ports import DaemonStatus, Health
from daemon.views.action_metrics import action_metrics
from tiers.runtime.states import ServerState
from tiers.runtime.work import ServerWork

_WORK = (
    ("prompt_tokens", "Tokens of prompts that were read, without cached ones."),
    ("cached_tokens", "Tokens of prompts that needed no reading again."),
    ("prompt_seconds", "Time in which prompts were read."),
    ("output_tokens", "Tokens that were generated."),
    ("output_seconds", "Time in which tokens were generated."),
    ("decodes", "Calls of the model."),
    ("drafted_tokens", "Tokens that a draft model suggested."),
    ("accepted_tokens", "Drafted tokens that were taken."),
)
"""Counters of `ServerWork` by field, which is the metric's name after `triaged_tier_`, too."""

_BREAKER = {"closed": 0.0, "half-open": 1.0, "open": 2.0}


def render(status: DaemonStatus, *recorded: Collector) -> bytes:
    """Prometheus text of the status, and of what was recorded as it happened."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Snapshot(status))
    for collector in recorded:
        registry.register(collector)
    return generate_latest(registry)


class _Snapshot(Collector):
    """A collector over one status."""

    def __init__(self, status: DaemonStatus) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        status = self._status
        info = GaugeMetricFamily("triaged_info", "Version and host.", labels=["version", "host"])
        info.add_metric([status.version, status.host], 1)
        yield info
        yield _gauge("triaged_ready", "1 when every needed part works.", float(status.ready))
        yield _gauge(
            "triaged_start_time_seconds", "Unix time of the start.", status.started_at.timestamp()
        )
        yield from self._parts()
        yield from self._intake()
        yield from self._tiers()
        incidents = GaugeMetricFamily("triaged_incidents", "Incidents by state.", labels=["state"])
        for state, count in sorted(status.incidents_by_state.items()):
            incidents.add_metric([state], count)
        yield incidents
        if status.actions is not None:
            yield from action_metrics(status.actions)

    def _parts(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("triaged_part_up", "1 while a part works.", labels=["part"])
        events = CounterMetricFamily(
            "triaged_source_events", "Events since the start, by source.", labels=["source"]
        )
        losses = CounterMetricFamily(
            "triaged_source_losses", "Lost input since the start, by source.", labels=["source"]
        )
        restarts = CounterMetricFamily(
            "triaged_source_restarts", "Restarts of a source.", labels=["source"]
        )
        sent = CounterMetricFamily(
            "triaged_notifications_sent", "Messages that a channel took.", labels=["channel"]
        )
        failed = CounterMetricFamily(
            "triaged_notifications_failed", "Messages that a channel refused.", labels=["channel"]
        )
        for part in self._status.parts:
            if part.health is not Health.ABSENT:
                up.add_metric([part.name], float(part.health is Health.OK))
            if part.name.startswith("source/"):
                name = part.name.removeprefix("source/")
                events.add_metric([name], part.facts["events"])
                losses.add_metric([name], part.facts["losses"])
                restarts.add_metric([name], part.facts["restarts"])
            if part.name.startswith("notify/"):
                name = part.name.removeprefix("notify/")
                sent.add_metric([name], part.facts["sent"])
                failed.add_metric([name], part.facts["failed"])
            if part.name == "memory guard":
                yield _gauge(
                    "triaged_memory_guard_level",
                    "0 calm, 1 answers are kept short, 2 idle models are stopped.",
                    part.facts["level"],
                )
                steps = CounterMetricFamily(
                    "triaged_memory_guard_steps", "Changes of the memory guard's level."
                )
                steps.add_metric([], part.facts["steps"])
                yield steps
        yield from (up, events, losses, restarts, sent, failed)

    def _intake(self) -> Iterable[Metric]:
        count = self._status.accounting
        events = CounterMetricFamily(
            "triaged_events", "Events by what became of them.", labels=["outcome"]
        )
        events.add_metric(["stored"], count.stored)
        events.add_metric(["folded"], count.folded)
        events.add_metric(["dropped"], count.dropped)
        yield events
        received = CounterMetricFamily("triaged_events_received", "Everything that came in.")
        received.add_metric([], count.received)
        yield received
        yield _gauge("triaged_patterns", "Known patterns.", self._status.patterns)
        overflowed = CounterMetricFamily(
            "triaged_patterns_overflowed",
            "Texts since the start that found no room for a pattern of their own.",
        )
        overflowed.add_metric([], self._status.overflowed)
        yield overflowed
        yield _gauge("triaged_patterns_to_judge", "Wait for a verdict.", self._status.to_judge)

    def _tiers(self) -> Iterable[Metric]:
        calls = CounterMetricFamily("triaged_model_calls", "Calls by tier.", labels=["tier"])
        for tier, count in sorted(self._status.model_calls.items()):
            calls.add_metric([tier], count)
        yield calls
        memory = GaugeMetricFamily(
            "triaged_tier_resident_bytes", "Memory of a tier's server.", labels=["tier"]
        )
        restarts = CounterMetricFamily(
            "triaged_tier_restarts", "Restarts of a tier's server.", labels=["tier"]
        )
        for server in self._status.tiers:
            restarts.add_metric([server.tier.value], server.restarts)
            if server.rss_bytes is not None:
                memory.add_metric([server.tier.value], server.rss_bytes)
        yield from (memory, restarts)
        yield from self._endpoints()
        yield from self._states()
        yield from self._work()

    def _states(self) -> Iterable[Metric]:
        states = GaugeMetricFamily(
            "triaged_tier_state", "1 for the state that a tier is in.", labels=["tier", "state"]
        )
        for server in self._status.tiers:
            for state in ServerState:
                states.add_metric(
                    [server.tier.value, state.value], float(server.state == state.value)
                )
        yield states

    def _work(self) -> Iterable[Metric]:
        working: list[tuple[str, ServerWork]] = [
            (server.tier.value, server.work)
            for server in self._status.tiers
            if server.work is not None
        ]
        for name, words in _WORK:
            counter = CounterMetricFamily(f"triaged_tier_{name}", words, labels=["tier"])
            for tier, work in working:
                counter.add_metric([tier], getattr(work, name))
            yield counter
        requests = GaugeMetricFamily(
            "triaged_tier_requests",
            "Requests that a tier's server works on, or has put off.",
            labels=["tier", "state"],
        )
        for tier, work in working:
            requests.add_metric([tier, "running"], work.running)
            requests.add_metric([tier, "waiting"], work.waiting)
        yield requests

    def _endpoints(self) -> Iterable[Metric]:
        labels = ["tier", "endpoint"]
        in_use = GaugeMetricFamily(
            "triaged_endpoint_in_use", "1 where the tier's next call goes.", labels=labels
        )
        breaker = GaugeMetricFamily(
            "triaged_endpoint_breaker",
            "0 closed: it is asked; 1 half-open: the next call tries it; 2 open: it is not asked.",
            labels=labels,
        )
        failovers = CounterMetricFamily(
            "triaged_endpoint_failovers", "Calls that went on to the next endpoint.", labels=labels
        )
        openings = CounterMetricFamily(
            "triaged_endpoint_openings",
            "Times that an endpoint stopped being asked.",
            labels=labels,
        )
        for tier in self._status.tiers:
            for endpoint in tier.endpoints:
                named = [tier.tier.value, endpoint.url]
                in_use.add_metric(named, float(endpoint.in_use))
                breaker.add_metric(named, _BREAKER[endpoint.state])
                failovers.add_metric(named, endpoint.failovers)
                openings.add_metric(named, endpoint.openings)
        yield from (in_use, breaker, failovers, openings)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    metric = GaugeMetricFamily(name, words)
    metric.add_metric([], value)
    return metric

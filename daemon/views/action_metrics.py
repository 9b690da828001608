"""Figures of actions for Prometheus, made from the status."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from api.ports_actions import ActionsStatus


def action_metrics(status: ActionsStatus) -> Iterable[Metric]:
    """Counts are of the whole database, over restarts. Actions and outcomes are closed sets."""
    total = CounterMetricFamily(
        "triaged_actions", "Actions by what became of them.", labels=["action", "outcome"]
    )
    for tally in status.tallies:
        total.add_metric([tally.kind, tally.outcome], tally.count)
    yield total
    yield _seconds(status)
    yield _gauge("triaged_proposals_waiting", "Wait for a human's answer.", status.waiting)
    yield _gauge(
        "triaged_actions_running", "Are approved and not at their end yet.", status.running
    )
    yield _gauge(
        "triaged_actions_stopped",
        "1 while the stop switch is thrown.",
        float(status.stopped is not None),
    )


def _seconds(status: ActionsStatus) -> Metric:
    """From the start of an action to its measured result, whatever that was."""
    metric = HistogramMetricFamily(
        "triaged_action_seconds",
        "From an action's start to its measured result.",
        labels=["action"],
    )
    for kind in sorted({tally.kind for tally in status.tallies if tally.timed}):
        timed = [tally for tally in status.tallies if tally.kind == kind and tally.timed]
        bounds = sorted({bound for tally in timed for bound in tally.within})
        buckets: list[tuple[str, float]] = [
            (str(bound), sum(tally.within[bound] for tally in timed)) for bound in bounds
        ]
        buckets.append(("+Inf", sum(tally.timed for tally in timed)))
        metric.add_metric([kind], buckets, sum(tally.seconds for tally in timed))
    return metric


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    metric = GaugeMetricFamily(name, words)
    metric.add_metric([], value)
    return metric

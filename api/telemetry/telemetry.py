"""Everything that the facade measures."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.telemetry.answers import AnswerRecorder
from api.telemetry.calls import CallRecorder, ToolRecorder
from api.telemetry.instruments import Instruments
from api.telemetry.labels import tier_model
from api.telemetry.relayed import RelayRecorder
from api.telemetry.requests import RequestRecorder
from tiers.llm.port import Narrowed
from tiers.vocabulary import TierName

_CREATED = "_created"


class Telemetry(Collector):
    """One recorder for each kind of observer, over one registry.

    Recording takes microseconds: a look-up of the labels and prometheus_client's own lock.
    """

    def __init__(self) -> None:
        self._instruments = Instruments()
        self.answers = AnswerRecorder(self._instruments)
        self.relayed = RelayRecorder(self._instruments)
        self.requests = RequestRecorder(self._instruments)
        self.calls = CallRecorder(self._instruments)
        self.tools = ToolRecorder(self._instruments)

    def follow_queue(self, tier: TierName, admission: Narrowed) -> None:
        """Shows how full a tier's queue is, asked whenever somebody reads the metrics."""
        queue, model = self._instruments.queue, tier_model(tier.value)
        queue.labels(model, "running").set_function(lambda: admission.running)
        queue.labels(model, "waiting").set_function(lambda: admission.waiting)

    def collect(self) -> Iterable[Metric]:
        """A collector for a registry. When each series began is left out: it doubles their number,
        and the process says when it started."""
        for metric in self._instruments.registry.collect():
            metric.samples = [
                sample for sample in metric.samples if not sample.name.endswith(_CREATED)
            ]
            yield metric

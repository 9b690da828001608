"""What the facade measures, as Prometheus metrics of a registry of their own.

Read `labels` (values that stay few, whatever clients send), `instruments` (every metric), then the
recorders: `answers` (the model `triaged`), `relayed` (the bare models), `requests` (HTTP), `calls`
(what triaged asks of endpoints and tools), and `telemetry`, which holds them together. Names and
labels follow OpenTelemetry's semantic conventions where there are such; docs/metrics.md lists them.
"""

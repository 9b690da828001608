"""Every metric of the facade, with its name, unit, labels and bounds."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_MODEL = "gen_ai_request_model"
_OPERATION = "gen_ai_operation_name"
_TOKEN_TYPE = "gen_ai_token_type"  # noqa: S105
_ANSWER = (_MODEL, _OPERATION, "endpoint")

# The bounds that the conventions advise, and more at both ends: a bundled model writes a token in
# half a millisecond, a large one on a processor takes minutes to read its prompt.
_DURATION = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48,
    40.96, 81.92, 163.84, 327.68,
)  # fmt: skip
_FIRST = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    30.0, 60.0, 120.0,
)  # fmt: skip
_PER_TOKEN = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
    0.4, 0.5, 0.75, 1.0, 2.5, 10.0,
)  # fmt: skip
_HTTP = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5,
         10.0, 30.0, 120.0)  # fmt: skip
_WAIT = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)


class Instruments:
    """Made once; `registry` has them all and nothing else."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self.request_seconds = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From the request to the last of its answer.",
            (*_ANSWER, "error_type"),
            buckets=_DURATION,
            registry=registry,
        )
        self.first_seconds = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request to the first output of a model.",
            _ANSWER,
            buckets=_FIRST,
            registry=registry,
        )
        self.per_token_seconds = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Mean time of an answer's tokens after the first.",
            _ANSWER,
            buckets=_PER_TOKEN,
            registry=registry,
        )
        self.gap_seconds = Histogram(
            "triaged_inter_token_seconds",
            "Time between two pieces of output, each alone.",
            _ANSWER,
            buckets=_PER_TOKEN,
            registry=registry,
        )
        self.tool_time = Histogram(
            "triaged_answer_tool_seconds",
            "Time of an answer's own tool calls together, of answers that made some.",
            _ANSWER,
            buckets=_DURATION,
            registry=registry,
        )
        self.tokens = Counter(
            "triaged_answer_tokens",
            "Tokens of answers, of all model calls that they took.",
            (*_ANSWER, _TOKEN_TYPE),
            registry=registry,
        )
        self.active = Gauge(
            "triaged_answers_active", "Answers being made.", _ANSWER, registry=registry
        )
        self.cut = Counter(
            "triaged_streams_cut",
            "Streams that broke off after they had begun.",
            _ANSWER,
            registry=registry,
        )
        self.gone = Counter(
            "triaged_clients_gone",
            "Answers whose client went away or did not read on.",
            _ANSWER,
            registry=registry,
        )
        self.refused = Counter(
            "triaged_requests_refused",
            "Requests that were not let in, by kind of limit and key.",
            ("kind", "key"),
            registry=registry,
        )
        self.http_seconds = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP requests.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_HTTP,
            registry=registry,
        )
        self.http_active = Gauge(
            "http_server_active_requests",
            "HTTP requests in progress.",
            ("http_request_method",),
            registry=registry,
        )
        self.call_seconds = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Calls of tiers' endpoints by triaged itself, waiting included.",
            (_MODEL, _OPERATION, "error_type"),
            buckets=_DURATION,
            registry=registry,
        )
        self.call_tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens that one call of a tier's endpoint took.",
            (_MODEL, _OPERATION, _TOKEN_TYPE),
            buckets=_TOKENS,
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "triaged_queue_wait_seconds",
            "Time that calls of tiers' endpoints waited for a slot.",
            (_MODEL, _OPERATION),
            buckets=_WAIT,
            registry=registry,
        )
        self.queue = Gauge(
            "triaged_queue_calls",
            "Calls of triaged that run at a tier's endpoint or wait for a slot of it.",
            (_MODEL, "state"),
            registry=registry,
        )
        self.tool_seconds = Histogram(
            "triaged_tool_duration_seconds",
            "Calls of the host's tools, by tool and outcome.",
            ("gen_ai_tool_name", "outcome"),
            buckets=_DURATION,
            registry=registry,
        )

"""The clients of model endpoints.

Read `port.py` for what tiers ask, `wire.py` for what comes back, `client.py` for the calls of one
endpoint and `faults.py` for what a failure becomes; then `breaker.py`, `endpoint.py`, `pool.py` and
`failover.py` for several endpoints behind one another, `dialect.py`, `served.py`, `counting.py` and
`ollama.py` for what backends do differently, and `sse.py`, `admission.py`, `json_answers.py` and
`neutralise.py`.
"""

"""The one client of model endpoints.

Read `wire.py` for what comes back, `client.py` for the calls, `faults.py` for what a failure
becomes, then `sse.py`, `admission.py`, `json_answers.py` and `neutralise.py`.
"""

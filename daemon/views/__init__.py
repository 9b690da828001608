"""How the facade and the tools see the daemon: the ports of `api.ports` over the store.

`events`, `incidents`, `records` (what tools read), `status`, `prometheus`.
"""

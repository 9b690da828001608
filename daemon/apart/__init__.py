"""The facade as a process of its own: what a daemon and the facades beside it tell each other.

Both have the same database; what is in no table goes over its notifications. Read `wire`, then
`telling` (the daemon's side) and `hearing` (the facade's). `daemon/api_process.py` composes.
"""

"""llama-servers as child processes: found, started, watched, restarted, stopped.

Read `states.py` for the states of one server, `server.py` for the task that keeps it running and
`fleet.py` for all of them; `child.py` is what runs on the other side of the fork. `restarts.py`
and `liveness.py` decide purely; every other file does the one thing that it is named after.
"""

"""Which models this machine should run, and with what settings. Pure.

Read `memory.py` (what a server will use), `speed.py` (what a machine can bear), `plan.py` (what is
decided), `choose.py` (how), `toml.py` (as configuration).
"""

"""The memory guard: models give way before the kernel has to kill something.

Read `levels.py` (pure: how bad it is, and what follows), `reading.py` (how it is measured),
`guard.py` (the task that acts).
"""

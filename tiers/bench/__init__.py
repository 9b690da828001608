"""How fast model endpoints answer on this machine, side by side in one run.

Read `facts.py` (what is measured), `answer.py` (one answer, timed), `run.py` (rounds that take
turns), `sweep.py` (servers with other settings), `summary.py` (pure: from answers to figures).
"""

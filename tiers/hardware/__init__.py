"""What this machine has to think with.

Read `facts.py` (what is known), then `survey.py` (how it is found out), then one file per part.
Every reader takes the root of the file system, so that recorded machines can be read too.
"""

"""Tells people: what was escalated, what came of it, which action waits for them or ended, and
which tier is out.

Read `settings.py`, `message.py` (what is told), `words.py` (pure: how it reads), `plan.py` (pure:
when, and how many at once), `channel.py` (the one adapter to apprise), `notifier.py` (the loop).
"""

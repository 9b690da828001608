"""The OpenAI-compatible facade: what any chat frontend talks to.

Read `models`, then `requests` (what is accepted), `completion` (an answer in one piece), `stream`
(an answer as it comes), `chat` (the route).
"""

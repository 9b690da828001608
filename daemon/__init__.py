"""The process: from event to incident.

Read in this order: `events` (what is observed), `sources` (where it comes from), `intake` (mask,
fold, admit), `store` (PostgreSQL), `escalation` (incidents travel tier by tier), `tools` (what
tiers and chats may look up), `memory`, `app` (the composition: one straight line), `runtime`
(start and stop), `cli` (the `triaged` command).
"""

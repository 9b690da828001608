"""What tiers and chats may look up on this host: read-only, bounded, never through a shell.

Read `catalogue` (the tools as models see them), then `toolbox` (checks arguments, sets deadlines),
then any family: `system`, `units`, `storage`, `processes`, `network`, `changes`, `sessions`,
`files`, `incidents`, `metrics`.
"""

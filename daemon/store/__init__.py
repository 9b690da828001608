"""PostgreSQL: the only place where state lives.

Read `migrations/0001_initial.sql` first (every table, with what may change in it), then `pool`,
`embedded` (the PostgreSQL that the daemon brings), `migrate`, `writer` (the one transaction that
commits what came in), then the queries by table.
"""

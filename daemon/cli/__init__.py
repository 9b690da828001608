"""The `triaged` command.

Read `main` (the commands), `context` (what every command shares), `client` (how commands talk to
the running daemon), `exits` (what exit codes mean), then any command's own file.
"""

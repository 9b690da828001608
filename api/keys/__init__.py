"""Keys of the facade: who may ask, as what, and how much.

Read `key` (what a key is), `parse` and `file` (where keys are kept), `ring` (the keys in force,
which follow their file), `forwarded` (whom a frontend asks for), `limits` and `meter` (how much),
`access` (all of it for one request). Nothing here needs the web framework, so the command uses it
too.
"""

"""How the models think, and the servers they think on.

Knows no database, no MQTT and no systemd: what it needs of them comes in as the protocols of
`contracts`. Read in this order: `vocabulary` (the words), `contracts` (what goes in and out of a
tier), `trigger`, `review`, `meta` (the three tiers), `agent` (the bounded loop of tool calls),
`llm` (the one client of model endpoints), `runtime` (a llama-server as a child process), `nano`
(the bundled models and how they are prompted).
"""

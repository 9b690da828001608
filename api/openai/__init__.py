"""The OpenAI-compatible facade: what any chat frontend talks to.

Read `models`, then the chat: `chat` (the route), `requests`, `messages` and `tools` (what is
accepted), `rendering` (what of an answer is shown) with `marks` and `approvals` (what only code may
write), `completion` (as OpenAI's objects), `delivery` and `stream` (to the client), `metering`.
`housekeeping` is what frontends ask beside the chat, `chat_ids` what names a chat; `responses` is
the other protocol for the same answers.
"""

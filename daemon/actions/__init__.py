"""What triaged may do to the host, and how it is kept bearable.

In the order to read it: `action` (what an action is, and the hash that an approval is bound to),
`kind` (what a kind of action says and does), `host` (what kinds measure with and act through),
`kinds/` (one file a family), `catalogue` (all of them), `policy` (pure: allow, ask or deny, and
why), `states` (an action's life), `desk` (requests become proposals or are refused), `executor`
(intent, started, result), `inverses` (what is to be undone in time), `outcomes` (what verified
effects taught).

Nothing in here trusts a model: targets come from the host's own inventory, risk from code, and
success from a measurement.
"""

"""Whether an action may run: pure and total, with the rule that said so.

Read `facts` (what is decided on), `settings` (what the operator sets), `rules` (the policy), then
`decide`.
"""

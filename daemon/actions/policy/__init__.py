"""Whether an action may run: pure and total, with the rule that said so.

`facts` is what is decided on, `decide` decides, `settings` is what the operator sets.
"""

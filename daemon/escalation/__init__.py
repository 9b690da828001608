"""Incidents travel: from a verdict to an assessment, a plan, and a measured end.

Read in this order: `states` (the state machine, pure),
`conditions` (when an incident is over, pure), `judge` (patterns to the trigger tier), `attach`
(occurrences to incidents), `casebook` (what a tier is shown), `worker` (claims incidents and asks
review and meta), `watch` (measures ends), `holistic` (the review over everything).
"""

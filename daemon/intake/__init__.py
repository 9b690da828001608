"""From events to patterns: mask, fold, and decide whether a model has to look.

Read in this order: `headers` (raw log lines), `mask` (variable parts), `patterns` (what is the
same), `topk` (which values were masked), `rules` (severity floors), `mutes`, `state` (what is
known of a pattern), `admit` (the pure decision), `correlate` (what belongs together), `fold` (a
batch through all of these, without I/O), `intake` (the loop that commits).
"""

"""Where events come from: one small adapter a source, each with a cursor that resumes exactly.

Read `base` first (what a source is), then `supervise` (what runs them), then any adapter.
"""

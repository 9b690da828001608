"""Measurements of `triaged`, side by side with its peers in one run. Not timed tests.

Each module prints a table and a line of JSON (`table`). `python -m benchmarks.grouping`: how well
lines are grouped; `benchmarks.reduce`: how many lines a second are masked and grouped.
"""

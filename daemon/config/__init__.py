"""The configuration: TOML, environment overrides, and mistakes told with file and line.

Read `settings` (what there is), then `load` (where it comes from), then `locate` (which line).
"""

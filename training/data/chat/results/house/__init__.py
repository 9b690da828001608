"""The wording that the project's own tools have today (daemon/tools), which the dialects vary.

One writer a tool. When a tool's wording changes, change it here; the other dialects keep a model
from depending on it.
"""

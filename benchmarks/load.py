"""How loaded the machine was while something was measured: a figure without it says little."""

from __future__ import annotations

import os


def load_note() -> str:
    """A sentence for a benchmark's output."""
    one, five, _ = os.getloadavg()
    cores = os.cpu_count() or 1
    loaded = "; others were using the machine, so figures are worse than alone" if five > 1 else ""
    return f"load average {one:.1f} (1 min), {five:.1f} (5 min) on {cores} cores{loaded}"


def bar_note(what: str, figure: float, bar: float, *, least: bool = False, unit: str = "") -> str:
    """Says whether a bar was met. With `least` the figure must not be below it."""
    met = figure >= bar if least else figure <= bar
    sign = "at least" if least else "at most"
    return f"{what}: {figure:,.2f}{unit}, bar {sign} {bar:,g}{unit}: {'met' if met else 'NOT MET'}"

"""The replay is held against what the real desk and executor do; their kit is next door."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "actions"))

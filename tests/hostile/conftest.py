"""Kits of the rooms that are joined here."""

from __future__ import annotations

import sys
from pathlib import Path

for room in ("actions", "actions_surface", "api", "hostile"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))

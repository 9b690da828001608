"""Writes 50-triaged.rules out of the list that the daemon itself goes by.

    .venv/bin/python deploy/actions/polkit/make_rule.py > deploy/actions/polkit/50-triaged.rules

A test fails where the file is not what this prints.
"""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path

from daemon.actions.host.critical import CRITICAL, LOCAL_DATABASE


def rule() -> str:
    """The whole file."""
    template = string.Template((Path(__file__).parent / "rule.template").read_text("utf-8"))
    globs = sorted({*LOCAL_DATABASE, *(each for globs in CRITICAL.values() for each in globs)})
    rows = ",\n".join(f"  {json.dumps(glob)}" for glob in globs)
    return template.substitute(critical=rows)


if __name__ == "__main__":
    sys.stdout.write(rule())

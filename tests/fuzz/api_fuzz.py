"""Sends a real daemon everything that its OpenAPI document allows, and much that it forbids.

    make api-fuzz            (installs schemathesis in an environment of its own)
    python tests/fuzz/api_fuzz.py SCHEMATHESIS [--examples N] [--seconds S] [-- OPTIONS...]

With keys and without limits, as an admin. Fails where anything is answered with a status of a
defect (500), with one that the document does not know, or in a form that it does not say.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.watched import QUIET, daemon, scratch_folder
from daemon.local_key import read_local_key

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
# Streams that never end by themselves, and model calls that need minutes by the hundred. Paths of
# bare models are left out, too: what comes back there is llama-server's, with 500 for mistakes.
_LEFT_OUT = r"^/api/v1/(live|review)$"
_FINE = "503"
"""A server error that is none: a tier is loading or its queue is full."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzes the API of a real daemon.")
    parser.add_argument("schemathesis", type=Path, help="the command")
    parser.add_argument("--examples", type=int, default=25, help="most per operation and phase")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("options", nargs="*", help="more for schemathesis, after --")
    options = parser.parse_args()
    with scratch_folder("fuzz") as state, daemon(state, config=QUIET) as watched:
        url = str(watched.http.base_url)
        key = read_local_key(state, url=url)
        assert key is not None, "the daemon has put no key there"
        settings = state / "schemathesis.toml"
        settings.write_text(
            f"[checks.not_a_server_error]\nexpected-statuses = ['2xx', '4xx', {_FINE}]\n"
        )
        command = [
            str(options.schemathesis), "--config-file", str(settings), "run",
            f"{url}/openapi.json",
            "--header", f"Authorization: Bearer {key}",
            "--checks", CHECKS,
            "--exclude-path-regex", _LEFT_OUT,
            "--exclude-tag", "bare models",
            "--max-examples", str(options.examples),
            "--max-time", str(options.seconds),
            "--phases", "examples,coverage,fuzzing",
            "--request-timeout", "60",
            "--continue-on-failure",
            "--no-color",
            *options.options,
        ]  # fmt: skip
        code = subprocess.run(command, cwd=state, check=False, env=dict(os.environ)).returncode
        defects = [
            line
            for line in (state / "daemon.log").read_text().splitlines()
            if "request failed" in line
        ]
        for line in defects[:20]:
            print(line[:2_000], file=sys.stderr)
        print(f"{len(defects)} defects in the daemon's log", file=sys.stderr)
        return code or bool(defects)


if __name__ == "__main__":
    sys.exit(main())

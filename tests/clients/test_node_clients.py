"""Node clients against the same daemon. `make test-clients` installs them and runs this."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from running import Running

FOLDER = os.environ.get("TRIAGED_NODE_CLIENTS")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(FOLDER is None, reason="needs packages of npm: run `make test-clients`"),
]


@pytest.mark.parametrize("script", ["openai.test.mjs", "librechat.test.mjs"])
def test_a_node_client(daemon: Running, base_url: str, script: str) -> None:
    """Its own tests say what is wanted; each that fails is named."""
    assert FOLDER is not None
    node = shutil.which("node")
    assert node is not None, "node is not installed"
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", script],
        cwd=Path(FOLDER) / script.split(".", 1)[0],
        env={
            "PATH": os.environ["PATH"],
            "HOME": FOLDER,
            "TRIAGED_BASE_URL": base_url,
            "TRIAGED_DOCS": str(Path(__file__).resolve().parents[2] / "docs"),
            "TRIAGED_META_URL": f"http://127.0.0.1:{daemon.ports['meta']}",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]

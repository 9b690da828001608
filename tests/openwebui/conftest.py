"""A real Open WebUI in front of a real daemon. `make test-openwebui` makes its environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from webui import WebUI, started

# The daemon in a process of its own is the acceptance tests' affair.
sys.path.append(str(Path(__file__).resolve().parents[1] / "acceptance"))

from running import QUIET, Running, ended


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"triaged-{name}-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Running]:
    """Has one key, as `docs/openwebui.md` says: Open WebUI may say whom it asks for."""
    if "TRIAGED_OPEN_WEBUI" not in os.environ:
        pytest.skip("needs Open WebUI in an environment of its own: run `make test-openwebui`")
    with _folder("webui") as state, ended(Running(state=state, config=QUIET)) as running:
        options = ("--role", "operator", "--forwards-users")
        key = running.command_json("keys", "add", "webui", *options, "--json")["key"]
        running.http.headers["Authorization"] = f"Bearer {key}"
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="session")
def webui(daemon: Running) -> Iterator[WebUI]:
    """An Open WebUI with its first user, who is its admin, signed up."""
    key = str(daemon.http.headers["Authorization"]).removeprefix("Bearer ")
    with _folder("webui-data") as data:
        program = Path(os.environ["TRIAGED_OPEN_WEBUI"])
        url = f"{daemon.http.base_url}/v1"
        with started(program=program, data=data, url=url, key=key) as running:
            running.sign_up(name="Ada Lovelace", email="ada@example.org")
            yield running

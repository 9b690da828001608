"""LiteLLM's proxy in front of the same llama-server, to compare the facade with.

It lives in a virtual environment of its own: nothing of the project needs it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from benchmarks.watched import free_ports

MODEL = "bare"
PACED = "paced"
_START_SECONDS = 180.0
_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {url}/v1
      api_key: none
  - model_name: {paced}
    litellm_params:
      model: openai/{paced}
      api_base: {paced_url}/v1
      api_key: none
litellm_settings:
  telemetry: false
"""


def default_folder() -> Path:
    """Where the environment is kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "triaged" / "litellm"


def environment(folder: Path) -> Path:
    """The program `litellm` of the environment in `folder`, made with pip where there is none."""
    program = folder / "bin" / "litellm"
    if not program.exists():
        print(f"making {folder} with litellm[proxy]", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"]
        subprocess.run(pip, check=True)
    return program


def version(program: Path) -> str:
    """What is measured."""
    code = "import importlib.metadata; print(importlib.metadata.version('litellm'))"
    python = program.with_name("python")
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def proxy(program: Path, *, url: str, paced_url: str, scratch: Path) -> Iterator[str]:
    """The proxy's URL. Behind it are `url` (a llama-server's) as the model `MODEL` and the paced
    endpoint as `PACED`."""
    (port,) = free_ports(1)
    config = scratch / "litellm.yaml"
    config.write_text(_CONFIG.format(model=MODEL, url=url, paced=PACED, paced_url=paced_url))
    log = scratch / "litellm.log"
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # Neither asks for a key: the facade needs none on loopback.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "NO_PROXY": "*",
    }
    with log.open("wb") as output:
        started = subprocess.Popen(
            [*command, "--num_workers", "1"],
            stdout=output,
            stderr=output,
            env={**os.environ, **quiet},
            cwd=scratch,
        )
        try:
            here = f"http://127.0.0.1:{port}"
            _until_alive(started, here, log)
            yield here
        finally:
            _end(started.pid)
            started.wait()


def _until_alive(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"litellm ended while starting:\n{log.read_text()[-3000:]}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/liveliness", trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit(f"litellm did not start:\n{log.read_text()[-3000:]}")


def _end(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

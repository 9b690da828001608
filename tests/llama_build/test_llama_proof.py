"""A new program is tried with the real bundled models, and found out when it only pretends.

The real server behind it is the wheel's: a native build takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from llama_fakes import ALL_FLAGS

from tiers.llama_build.errors import BuildError
from tiers.llama_build.proof import prove
from tiers.llama_build.values import Backend
from tiers.runtime.own_builds import PROGRAM

HEAD = f"""#!{sys.executable} -I
import json, signal, sys
words = sys.argv[1:]
if words == ["--version"]:
    print("version: 0.6.0 (build BUILD, commit abc)")
    sys.exit()
if words == ["--help"]:
    print("\\n".join({sorted(ALL_FLAGS)!r}))
    sys.exit()
if words == ["--list-devices"]:
    print("Available devices:")
    sys.exit()
def given(name):
    return words[words.index(name) + 1]
"""
REAL = """
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = given("--model")
params.model_alias = [given("--alias")]
params.hostnames = ["127.0.0.1"]
params.port = int(given("--port"))
params.n_ctx = int(given("--ctx-size"))
params.n_parallel = int(given("--parallel"))
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.endpoint_metrics = True
params.n_gpu_layers = 0
server = xllamacpp.Server(params)
signal.pause()
"""
FLAT = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({"data": [{"id": "m", "architecture": {"output_modalities": ["decisions"]}}]})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        weights = {name: 1 / 52 for name in asked["questions"]["triage"]["criteria"]}
        self.answer({"answers": {"triage": {"probabilities": weights}}})
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(given("--port"))), Handler).serve_forever()
"""


def _server(folder: Path, serving: str, *, build: int = 11549) -> Path:
    path = folder / PROGRAM
    path.write_text(HEAD.replace("BUILD", str(build)) + serving, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_program_that_serves_the_bundled_models_is_found_good(tmp_path: Path) -> None:
    found = prove(_server(tmp_path, REAL), backend=Backend.CPU)
    assert found.build == 11549
    assert found.devices == ()
    assert 0 < found.decision_seconds < found.ready_seconds


@pytest.mark.parametrize(
    ("serving", "build", "backend", "words"),
    [
        (FLAT, 11549, Backend.CPU, "computes wrongly"),
        (REAL, 11549, Backend.CUDA, "finds no cuda device"),
        (REAL, 9000, Backend.CPU, "is build 9000, older than"),
        ("sys.exit('libx.so: cannot open')", 11549, Backend.CPU, "cannot open"),
    ],
)
def test_a_program_that_does_not_is_found_out(
    tmp_path: Path, serving: str, build: int, backend: Backend, words: str
) -> None:
    with pytest.raises(BuildError, match=words):
        prove(_server(tmp_path, serving, build=build), backend=backend)

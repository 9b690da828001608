"""Why models do not load: the words of real servers, and what is given up to load after all."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import stat
import textwrap
from pathlib import Path

import pytest
from server_helpers import tiny_flags

from tiers.runtime.binary import Binary
from tiers.runtime.liveness import LivenessLimits
from tiers.runtime.load_faults import Fault, load_fault, smaller
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName

QUICK = RestartPolicy(
    first_seconds=0.05, most_seconds=0.2, cap=8, window_seconds=60, rest_seconds=60
)


@pytest.mark.parametrize(
    ("said", "code", "fault"),
    [
        ("E gguf_init_from_reader: invalid magic characters: '??<?'", 1, Fault.BROKEN_FILE),
        (
            (
                "E llama_model_load: error loading model: tensor 'blk.1.ffn_gate.weight' data is "
                "not within the file bounds, model is corrupted or incomplete"
            ),
            1,
            Fault.BROKEN_FILE,
        ),
        ("error loading model: unknown model architecture: 'lambd'", 1, Fault.UNKNOWN_MODEL),
        (
            (
                "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 5000.00 MiB on device 0: "
                "cudaMalloc failed: out of memory"
            ),
            1,
            Fault.GPU_MEMORY,
        ),
        (
            "ggml_vulkan: allocation failed: ErrorOutOfDeviceMemory",
            1,
            Fault.GPU_MEMORY,
        ),
        (
            "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
            1,
            Fault.NO_GPU,
        ),
        ("llama_init: failed to allocate buffer for kv cache", 1, Fault.MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'", -6, Fault.MEMORY),
        (
            "llama-server: error while loading shared libraries: libcudart.so.12: cannot open",
            127,
            Fault.LIBRARY,
        ),
        ("", -signal.SIGILL, Fault.INSTRUCTIONS),
        ("", -signal.SIGKILL, Fault.MEMORY),
        ("", -signal.SIGBUS, Fault.BROKEN_FILE),
    ],
)
def test_each_trouble_is_known_by_its_words(said: str, code: int, fault: Fault) -> None:
    found = load_fault(code=code, said=said)
    assert found is not None
    assert found.fault is fault
    assert found.advice.endswith(".")


def test_what_nobody_knows_is_not_guessed() -> None:
    assert load_fault(code=1, said="something else") is None
    assert load_fault(code=0, said="") is None


def test_less_is_tried_step_by_step_and_ends(tmp_path: Path) -> None:
    flags = dataclasses.replace(
        tiny_flags(tmp_path / "m.gguf", port=1), context=4096, parallel=2, cache_ram_mib=64
    )
    given_up = []
    while (less := smaller(flags, Fault.MEMORY)) is not None:
        flags, what = less
        given_up.append(what)
    assert given_up == [
        "without kept prompts",
        "with one call at a time",
        "with a context of 2048 tokens",
        "with a context of 1024 tokens",
    ]
    assert smaller(flags, Fault.BROKEN_FILE) is None


def test_a_gpu_that_fails_is_left_alone_once(tmp_path: Path) -> None:
    flags = dataclasses.replace(tiny_flags(tmp_path / "m.gguf", port=1), gpu_layers=-1)
    less = smaller(flags, Fault.NO_GPU)
    assert less is not None
    assert less[0].gpu_layers == 0
    assert smaller(less[0], Fault.GPU_MEMORY) is None


async def test_a_server_without_enough_gpu_memory_runs_on_the_processor(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A program that fails as a CUDA build does, until it is told to leave the GPU alone."""
    program = tmp_path / "llama-server"
    program.write_text(
        textwrap.dedent(
            """\
            #!/usr/bin/env python3
            import http.server, sys
            arguments = sys.argv[1:]
            if "--n-gpu-layers" not in arguments:
                print("0.1 E alloc_buffer: cudaMalloc failed: out of memory", file=sys.stderr)
                sys.exit(1)
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200 if self.path == "/health" else 404)
                    self.end_headers()
                def log_message(self, *_): pass
            port = int(arguments[arguments.index("--port") + 1])
            http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
            """
        ),
        encoding="utf-8",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    seen: list[str] = []
    server = LlamaServer(
        tier=TierName.META,
        flags=dataclasses.replace(
            tiny_flags(tiny_model, port=free_port("127.0.0.1")), gpu_layers=-1
        ),
        binary=Binary(path=program, origin="$LLAMA_BIN"),
        state_dir=tmp_path,
        policy=QUICK,
        limits=LivenessLimits(check_seconds=0.2),
        on_change=lambda status: seen.append(f"{status.state}: {status.detail}"),
    )
    try:
        await server.start()
        for _ in range(400):
            if server.status().state is ServerState.READY:
                break
            await asyncio.sleep(0.02)
        status = server.status()
        assert status.state is ServerState.READY
        assert status.detail == ("It runs on the processor alone: it did not load as configured.")
        cooling = next(words for words in seen if words.startswith("cooling"))
        assert "cudaMalloc failed" in cooling
        assert "The next start is on the processor alone" in cooling
    finally:
        await server.stop()

"""What cmake is told, and the key under which its result is kept. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from tiers.llama_build.errors import BuildError
from tiers.llama_build.values import Choice, Source, Toolchain

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALWAYS = {
    "CMAKE_BUILD_TYPE": "Release",
    # One program that can be moved, instead of one with a dozen libraries.
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_SERVER": "ON",
    # Its web page would be fetched during the build; nobody looks at it behind the facade.
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    # It listens on this machine and fetches nothing: no need for TLS and its libraries.
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
    # Without it no tool of the server can start a program.
    "LLAMA_SUBPROCESS": "OFF",
    "LLAMA_ALL_WARNINGS": "OFF",
    "GGML_RPC": "OFF",
}


def definitions(
    choice: Choice, *, source: Source, toolchain: Toolchain, extra: Mapping[str, str]
) -> dict[str, str]:
    """Everything that cmake is told, in a fixed order; `extra` wins. Raises `BuildError` for a
    name that cmake could take for something else."""
    for name in extra:
        if not _NAME.fullmatch(name):
            raise BuildError(f"{name!r} is no name of a cmake variable: write NAME=VALUE.")
    return {
        **_ALWAYS,
        "CMAKE_C_COMPILER": str(toolchain.c.path),
        "CMAKE_CXX_COMPILER": str(toolchain.cxx.path),
        # An archive or a shallow clone cannot count its commits.
        **({"LLAMA_BUILD_NUMBER": str(source.number)} if source.number is not None else {}),
        "LLAMA_BUILD_COMMIT": source.commit,
        **choice.definitions,
        **extra,
    }


def arguments(told: Mapping[str, str]) -> list[str]:
    """As cmake wants to read them."""
    return [f"-D{name}={value}" for name, value in told.items()]


def key_of(
    told: Mapping[str, str],
    *,
    source: Source,
    toolchain: Toolchain,
    choice: Choice,
    features: Sequence[str],
) -> str:
    """The same for the same program: source, definitions, tools, and (for native code) the
    processor's instruction sets."""
    tools = (toolchain.cmake, toolchain.c, toolchain.cxx, toolchain.maker, *choice.tools)
    parts = {
        "source": source.identity,
        "definitions": dict(told),
        "environment": dict(choice.environment),
        "tools": [[str(tool.path), tool.version] for tool in tools],
        "features": list(features) if told.get("GGML_NATIVE") == "ON" else [],
    }
    text = json.dumps(parts, sort_keys=True)
    return f"{choice.backend}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

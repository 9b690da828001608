"""Which llama-server runs: `$LLAMA_BIN`, else one on the PATH, else the one in the wheel."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tiers.runtime.errors import MisconfiguredError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A llama-server. `path` None means the one in the wheel; `origin` says how it was found."""

    path: Path | None
    origin: str


def find_binary(environ: Mapping[str, str]) -> Binary:
    """Raises `MisconfiguredError` when `$LLAMA_BIN` is wrong or there is none at all."""
    if named := environ.get("LLAMA_BIN"):
        path = Path(named).expanduser()
        if path.is_dir():
            path /= "llama-server"
        if not path.is_file():
            raise MisconfiguredError(
                f"There is no {path} (named by $LLAMA_BIN); set it to a llama-server program, "
                "or unset it to use the built-in one."
            )
        if not os.access(path, os.X_OK):
            raise MisconfiguredError(
                f"{path} (named by $LLAMA_BIN) is not executable; chmod +x it, or unset it."
            )
        return Binary(path=path.resolve(), origin="$LLAMA_BIN")
    if found := shutil.which("llama-server", path=environ.get("PATH")):
        return Binary(path=Path(found).resolve(), origin="PATH")
    if importlib.util.find_spec("xllamacpp") is not None:
        return Binary(path=None, origin="wheel")
    raise MisconfiguredError(
        "There is no llama-server: install the xllamacpp package, put llama-server on the PATH, "
        "or set $LLAMA_BIN."
    )

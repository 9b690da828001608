"""What a llama-server program says of itself: its build number and the options that it knows."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiers.runtime.environment import kept_environment
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.load_faults import load_fault

_SECONDS = 10.0
_LEAST_NUMBER = 1000
"""A build from an archive or a shallow clone counts 0 or 1 commits: that is no number."""
_NEW = re.compile(r"\bbuild (\d+)\b")
_OLD = re.compile(r"^version: (\d+) \(", re.MULTILINE)
_NAMED = re.compile(r"^version: (.+)$", re.MULTILINE)
_COMPILER = re.compile(r"^built with (.+)$", re.MULTILINE)
# Help texts mention options of others: only what begins a line, or follows a comma there, counts.
_OPTIONS = re.compile(r"^(--?[A-Za-z][^\s,]*(?:,\s+--?[A-Za-z][^\s,]*)*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """`build` is the number of `b11549`, None where the program does not know its own. `flags` are
    its long options ("--threads"); empty for the wheel, which takes parameters instead."""

    build: int | None
    version: str
    compiler: str = ""
    flags: frozenset[str] = frozenset()


def read_capabilities(path: Path, *, seconds: float = _SECONDS) -> Capabilities:
    """Runs the program twice, shortly. Raises `MisconfiguredError` with what is wrong with it:
    it cannot be run, hangs, crashes, or is no llama-server."""
    version = _said(path, "--version", seconds)
    options = flags_in(_said(path, "--help", seconds))
    found = capabilities_in(version, flags=options)
    if not found.version or not options:
        what = "its version" if not found.version else "its options"
        raise MisconfiguredError(f"{path} does not tell {what}: is it a llama-server?")
    return found


def capabilities_in(said: str, *, flags: frozenset[str]) -> Capabilities:
    """What `--version` printed, taken apart."""
    named, compiler = _NAMED.search(said), _COMPILER.search(said)
    numbered = _NEW.search(said) or _OLD.search(said)
    number = int(numbered[1]) if numbered is not None else 0
    return Capabilities(
        build=number if number >= _LEAST_NUMBER else None,
        version=named[1].strip() if named is not None else "",
        compiler=compiler[1].strip() if compiler is not None else "",
        flags=flags,
    )


def flags_in(said: str) -> frozenset[str]:
    """The long options in what `--help` printed."""
    return frozenset(
        word
        for group in _OPTIONS.findall(said)
        for word in re.split(r",\s+", group)
        if word.startswith("--")
    )


def _said(path: Path, option: str, seconds: float) -> str:
    try:
        ended = run_program([str(path), option], seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise MisconfiguredError(
            f"{path} did not answer to {option} in {seconds:g} s; take another build."
        ) from error
    except OSError as error:
        raise MisconfiguredError(
            f"{path} cannot be run ({error.strerror}): it is no program for this machine."
        ) from error
    said = (ended.stdout + b"\n" + ended.stderr).decode("utf-8", "replace")
    if ended.returncode != 0:
        fault = load_fault(code=ended.returncode, said=said)
        last = (said.strip() or "it said nothing").splitlines()[-1][:200]
        how = f"ended with {ended.returncode} at {option}: {last}."
        raise MisconfiguredError(f"{path} {how}{f' {fault.advice}' if fault else ''}")
    return said


def run_program(
    command: Sequence[str], *, seconds: float, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs a llama-server program for what it prints, with the environment that servers get."""
    return subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
        cwd="/",
        env=kept_environment(environ),
    )

"""What llama-server itself lists: the devices that its build can compute on here.

A GPU that the kernel knows is of no use to a build without its backend, so this is asked too. It
runs in a process of its own, because a broken GPU driver may take its user with it.
"""

from __future__ import annotations

import re
import subprocess
import sys

import orjson

from tiers.hardware.facts import ListedDevice
from tiers.runtime.binary import Binary
from tiers.runtime.capabilities import run_program

_SECONDS = 30.0
_MIB = 1024 * 1024
_LINE = re.compile(
    r"^\s+(?P<name>[A-Za-z]\w*\d+): (?P<what>.*?)"
    r"(?: \((?P<total>\d+) MiB, (?P<free>\d+) MiB free\))?\s*$"
)
_WHEEL = (
    "import json, xllamacpp; print('devices ' + json.dumps([[d['name'], d['description'], "
    "d['memory_total'], d['memory_free']] for d in xllamacpp.get_device_info() "
    "if not d['type'].name.endswith('_CPU')]))"
)


def list_devices(binary: Binary) -> tuple[tuple[ListedDevice, ...], str]:
    """The accelerators, and a sentence when it could not be asked ("" otherwise)."""
    if binary.path is None:
        command = [sys.executable, "-I", "-c", _WHEEL]
    else:
        command = [str(binary.path), "--list-devices"]
    try:
        ended = run_program(command, seconds=_SECONDS)
    except subprocess.TimeoutExpired:
        return (), f"llama-server ({binary.origin}) did not list its devices in {_SECONDS:g} s"
    except OSError as error:
        return (), f"llama-server ({binary.origin}) cannot be run: {error.strerror}"
    said = ended.stdout.decode("utf-8", "replace")
    if ended.returncode != 0:
        last = (ended.stderr.decode("utf-8", "replace").strip() or "it said nothing").splitlines()
        return (), (
            f"llama-server ({binary.origin}) could not list its devices "
            f"(exit code {ended.returncode}): {last[-1][:200]}"
        )
    return (_of_wheel(said) if binary.path is None else devices_in(said)), ""


def devices_in(said: str) -> tuple[ListedDevice, ...]:
    """The devices in what `llama-server --list-devices` prints."""
    found = []
    for line in said.splitlines():
        match = _LINE.match(line)
        if match is not None:
            total, free = match["total"], match["free"]
            found.append(
                ListedDevice(
                    name=match["name"],
                    description=match["what"],
                    total=int(total) * _MIB if total else None,
                    free=int(free) * _MIB if free else None,
                )
            )
    return tuple(found)


def _of_wheel(said: str) -> tuple[ListedDevice, ...]:
    for line in said.splitlines():
        if line.startswith("devices "):
            return tuple(
                ListedDevice(name=name, description=what, total=total, free=free)
                for name, what, total, free in orjson.loads(line[8:])
            )
    return ()

"""How fast a model reads and writes on a machine, roughly. Pure.

A plan needs the order of magnitude only: whether a case is read in seconds or in minutes. `triaged
bench` and llama.cpp's own llama-bench tell the truth about one machine.
"""

from __future__ import annotations

from tiers.hardware.facts import Machine

_READ_PER_CORE = 25.0
"""Tokens of prompt a second and core, for a model of 1 B active parameters in 4 to 8 bits with
AVX2: 4 B parameters on 8 cores read about 50 a second."""
_FACTORS = (
    ("AMX-INT8", 3.0),
    ("AVX-512-VNNI", 1.6),
    ("AVX-VNNI", 1.4),
    ("AVX2", 1.0),
    ("I8MM", 1.0),
    ("DOTPROD", 0.7),
    ("NEON", 0.4),
)
_WITHOUT = 0.25
_GPU = 60.0
"""A GPU of the last years against one core with AVX2."""


def reading_speed(machine: Machine, *, active: float, on_gpu: bool) -> float:
    """Tokens of prompt a second, for `active` billions of parameters that each token uses."""
    if on_gpu:
        return _READ_PER_CORE * _GPU / active
    features = machine.processor.features
    factor = next((value for name, value in _FACTORS if name in features), _WITHOUT)
    return _READ_PER_CORE * factor * machine.processor.worth / active

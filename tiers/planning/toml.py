"""A plan as configuration. Pure."""

from __future__ import annotations

import orjson

from tiers.planning.choose import BUNDLED
from tiers.planning.plan import Place, Plan, TierPlan

_MIB = 2**20


def plan_as_toml(plan: Plan) -> str:
    """The `[tiers.*]` tables, with the reasons as comments. Raises ValueError for a plan whose
    files are not all here: a configuration must run as it stands."""
    if absent := missing(plan):
        raise ValueError(f"these have to be pulled first: {', '.join(absent)}")
    memory = f"{_gb(plan.memory)} of {_gb(plan.memory_budget)} GB of memory"
    gpu = f", {_gb(plan.gpu)} of {_gb(plan.gpu_budget)} GB on GPUs" if plan.gpu else ""
    parts = [f"# For this machine: {memory}{gpu}."]
    for tier, chosen in plan.tiers.items():
        lines = [f"# {reason}" for reason in chosen.why]
        lines.append(f"[tiers.{tier}]")
        lines += _settings(chosen)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def missing(plan: Plan) -> list[str]:
    """Ids of models that have to be pulled first, each once."""
    names = [
        chosen.model
        for chosen in plan.tiers.values()
        if chosen.model != BUNDLED and chosen.path is None
    ]
    return list(dict.fromkeys(names))


def _settings(chosen: TierPlan) -> list[str]:
    if chosen.model == BUNDLED:
        return [f'model = "{BUNDLED}"']
    lines = [
        f"model = {orjson.dumps(str(chosen.path)).decode()}",  # TOML's basic strings are JSON's
        f"context = {chosen.load.context}",
        f"parallel = {chosen.load.parallel}",
        f"threads = {chosen.threads}",
        f"gpu_layers = {0 if chosen.place is Place.PROCESSOR else -1}",
        f'kv_type = "{chosen.load.cache_type}"',
        f"cache_ram_mib = {chosen.load.cache_ram // _MIB}",
    ]
    if chosen.sleep_idle_seconds is not None:
        lines.append(f"sleep_idle_seconds = {chosen.sleep_idle_seconds}")
    return lines


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"

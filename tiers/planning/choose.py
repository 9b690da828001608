"""The joint plan: what each tier runs, so that all three run at once. Pure.

Every combination of models and settings that fits together and that the machine can bear is
weighed; the strongest wins. To bear a model means to read a case within about a minute, or
incidents would wait on each other. The bundled model is always there, and is what remains on a
machine that can bear no other.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from tiers.hardware.facts import Machine
from tiers.models.catalogue import Model
from tiers.planning.fit import catalogue_need
from tiers.planning.memory import CacheType, Load, MemoryNeed
from tiers.planning.plan import Place, Plan, TierPlan
from tiers.planning.speed import reading_speed
from tiers.vocabulary import TierName

BUNDLED = "bundled"
_GIB = 2**30
_HOST_SHARE = 0.25
_HOST_LEAST = 2**30
"""Of what is usable now, a quarter and at least 1 GiB is the host's: it has other work to do."""
_GPU_SHARE = 0.92
"""Drivers, contexts and desktops want the rest."""
_BUNDLED_NEED = MemoryNeed(
    weights=5 * 2**20, cache=16 * 2**20, compute=8 * 2**20, process=110 * 2**20
)
_LEAST_READING: Mapping[TierName, float] = {
    TierName.TRIGGER: 50.0,
    TierName.REVIEW: 25.0,
    TierName.META: 15.0,
}
"""Tokens of prompt a second. Trigger reads 200 tokens a pattern and must not fall behind new ones;
a case of 1,500 tokens is read within a minute; a chat's longer prompt is read once, then kept."""
_ORDER = (TierName.META, TierName.REVIEW, TierName.TRIGGER)
"""Who gets the GPU first."""
_WEIGHTS: Mapping[TierName, float] = {
    TierName.TRIGGER: 0.2,
    TierName.REVIEW: 0.35,
    TierName.META: 0.45,
}
_BUNDLED_STRENGTH = 2
_BUNDLED_ACTIVE = 0.004
_ROOM = 0.2
"""What a step down in context or slots costs, in the measure of `strength`: less than any step
between models."""
_SAME = 1.0
"""Models of the same strength may differ by their steps."""
_LOADS: Mapping[TierName, Sequence[Load]] = {
    TierName.TRIGGER: (Load(context=2048, parallel=4, cache_ram=32 * 2**20),),
    TierName.REVIEW: (
        Load(context=8192, parallel=2, cache_ram=64 * 2**20),
        Load(context=8192, parallel=1, cache_ram=32 * 2**20),
    ),
    TierName.META: (
        Load(context=16384, parallel=2, cache_ram=256 * 2**20),
        Load(context=16384, parallel=1, cache_ram=128 * 2**20),
        Load(context=8192, parallel=1, cache_ram=64 * 2**20),
        Load(context=8192, parallel=1, cache_ram=0, cache_type=CacheType.Q8_0),
    ),
}
"""Best first; the next is tried where a stronger model would not fit otherwise."""
_SLEEP_SECONDS = 900
_SLEEP_FROM = 0.5
"""A server that takes more than this share of memory sleeps when it is idle."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    memory: int
    gpu: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """One thing that a tier could run. `model` None is the bundled one."""

    model: Model | None
    load: Load
    need: MemoryNeed
    strength: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    option: _Option
    place: Place
    reading: float


_Chosen = Mapping[TierName, _Placed]


def make_plan(
    machine: Machine, models: Sequence[Model], *, here: Mapping[str, Path] | None = None
) -> Plan:
    """`here` are the ids whose files are on this machine, with their paths."""
    usable = machine.memory.usable
    budget = max(0, usable - max(_HOST_LEAST, round(usable * _HOST_SHARE)))
    gpu = round(sum(device.free or 0 for device in machine.listed) * _GPU_SHARE)
    options = {tier: _options(tier, models) for tier in TierName}
    # What the bundled models need is set aside first: they are what remains.
    left = _Left(memory=budget - len(TierName) * _BUNDLED_NEED.total, gpu=gpu)
    chosen = _strongest(options, machine, left)
    plans = {
        tier: _tier_plan(tier, chosen, options[tier], machine, here or {}, budget)
        for tier in TierName
    }
    notes = list(machine.notes)
    if not machine.processor.features:
        notes.append("the processor has no instruction set that models profit from")
    if all(plan.model == BUNDLED for plan in plans.values()):
        notes.append(
            "no larger model fits this machine: point tiers.meta.endpoint at a machine that has "
            "more, if you have one"
        )
    return Plan(tiers=plans, memory_budget=budget, gpu_budget=gpu, notes=tuple(notes))


def _options(tier: TierName, models: Sequence[Model]) -> list[_Option]:
    """What can serve a tier, the bundled model last. Chats and reviews look things up."""
    found = []
    for model in models:
        if tier not in model.tiers or not (model.strength and model.active and model.size):
            continue
        if tier is not TierName.TRIGGER and "tools" not in model.good_for:
            continue
        for step, load in enumerate(_LOADS[tier]):
            held = dataclasses.replace(
                load, context=min(load.context, model.context or load.context)
            )
            if (need := catalogue_need(model, held)) is not None:
                found.append(
                    _Option(
                        model=model, load=held, need=need, strength=model.strength - _ROOM * step
                    )
                )
    slots = 4 if tier is TierName.TRIGGER else 2
    bundled = Load(context=2048, parallel=slots)
    return [
        *found,
        _Option(model=None, load=bundled, need=_BUNDLED_NEED, strength=_BUNDLED_STRENGTH),
    ]


def _strongest(
    options: Mapping[TierName, Sequence[_Option]], machine: Machine, left: _Left
) -> _Chosen:
    """The combination with the greatest weighted strength. All bundled always stands: a machine on
    which not even that fits is told so by the servers themselves.

    Roots are added up, so that three fair models are better than one good and two poor ones; and
    no tier is weaker than the one that escalates to it.
    """
    best: _Chosen = {}
    best_score = -1.0
    for combination in itertools.product(*(options[tier] for tier in _ORDER)):
        score = sum(
            _WEIGHTS[tier] * math.sqrt(option.strength)
            for tier, option in zip(_ORDER, combination, strict=True)
        )
        falls = any(
            upper.strength < lower.strength - _SAME for upper, lower in pairwise(combination)
        )
        if falls or score <= best_score:
            continue
        placed = _all_placed(combination, machine, left)
        if placed is not None:
            best, best_score = placed, score
    return best


def _all_placed(combination: Sequence[_Option], machine: Machine, left: _Left) -> _Chosen | None:
    """Each on the GPU where it fits, else in main memory; None when it is too much or too slow."""
    placed: dict[TierName, _Placed] = {}
    for tier, option in zip(_ORDER, combination, strict=True):
        place = _place(option, left)
        if place is None:
            return None
        reading = _reading(option, machine, place)
        if option.model is not None and reading < _LEAST_READING[tier]:
            return None
        placed[tier] = _Placed(option=option, place=place, reading=reading)
        left = _after(left, placed[tier])
    return placed


def _place(option: _Option, left: _Left) -> Place | None:
    """All on the GPU, else in main memory. Halves are llama-server's business at start: it puts
    as many layers on the GPU as fit; a plan does not count on it."""
    if option.model is None:
        return Place.PROCESSOR
    need = option.need
    memory = left.memory + _BUNDLED_NEED.total
    if need.movable <= left.gpu and need.process <= memory:
        return Place.GPU
    if need.total <= memory:
        return Place.SPLIT if left.gpu > _GIB else Place.PROCESSOR
    return None


def _reading(option: _Option, machine: Machine, place: Place) -> float:
    active = (option.model.active if option.model is not None else None) or _BUNDLED_ACTIVE
    return reading_speed(machine, active=active, on_gpu=place is Place.GPU)


def _after(left: _Left, placed: _Placed) -> _Left:
    need = placed.option.need
    if placed.option.model is None:
        return left  # set aside already
    memory = left.memory + _BUNDLED_NEED.total  # what was set aside is not needed
    if placed.place is Place.GPU:
        return _Left(memory=memory - need.process, gpu=left.gpu - need.movable)
    return _Left(memory=memory - need.total, gpu=left.gpu)


def _tier_plan(
    tier: TierName,
    chosen: _Chosen,
    options: Sequence[_Option],
    machine: Machine,
    here: Mapping[str, Path],
    budget: int,
) -> TierPlan:
    mine = chosen[tier]
    option = mine.option
    name = BUNDLED if option.model is None else option.model.id
    sleeps = mine.place is not Place.GPU and option.need.total > budget * _SLEEP_FROM
    why = [f"{name}: the strongest for {tier} that fits beside the others and reads fast enough"]
    why += _passed_over(tier, option, options, machine)
    if option.load.cache_type is not CacheType.F16:
        why.append(f"the cache is kept as {option.load.cache_type} to fit")
    if sleeps:
        why.append("it sleeps after a quarter of an hour without work, being most of memory")
    return TierPlan(
        tier=tier,
        model=name,
        path=here.get(name),
        place=mine.place,
        load=option.load,
        threads=1 if option.model is None else _threads(tier, machine, mine.place),
        need=option.need,
        reading=mine.reading,
        sleep_idle_seconds=_SLEEP_SECONDS if sleeps else None,
        why=tuple(why),
    )


def _passed_over(
    tier: TierName, option: _Option, options: Sequence[_Option], machine: Machine
) -> list[str]:
    """Why the next stronger model was not taken, in one sentence."""
    mine = option.model.strength or 0 if option.model is not None else 0
    stronger = [
        other.model
        for other in options
        if other.model is not None and (other.model.strength or 0) > mine
    ]
    if not stronger:
        return []
    model = min(stronger, key=lambda each: each.strength or 0)
    reading = reading_speed(machine, active=model.active or 1.0, on_gpu=False)
    if reading < _LEAST_READING[tier]:
        slow = f"{model.id} would read {reading:.0f} tokens a second on this processor"
        return [f"{slow}; {_LEAST_READING[tier]:.0f} are the least for {tier}"]
    return [f"{model.id} does not fit beside the others"]


def _threads(tier: TierName, machine: Machine, place: Place) -> int:
    """All three may think at once, and the host works too: trigger, which is busiest and smallest,
    gets a quarter of the cores, review half, meta all but one. A GPU only has to be fed."""
    cores = machine.processor.worth
    if place is Place.GPU:
        return max(1, min(4, cores // 2))
    shares = {
        TierName.TRIGGER: cores // 4,
        TierName.REVIEW: cores // 2,
        TierName.META: cores - 1 if cores > 2 else cores,
    }
    return max(1, shares[tier])

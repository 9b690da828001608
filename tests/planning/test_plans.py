"""What the planner chooses for recorded machines, as a table that a reader can agree with."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest
from planned_machines import GIB, MACHINES, machine

from daemon.config.settings import Settings
from tiers.hardware.facts import Machine
from tiers.models.catalogue import Catalogue, load_catalogue
from tiers.planning.choose import BUNDLED, make_plan
from tiers.planning.fit import Mark, catalogue_need, fit_of
from tiers.planning.memory import CacheType, Load, kv_bytes, memory_need
from tiers.planning.plan import Place, Plan
from tiers.planning.toml import missing, plan_as_toml
from tiers.runtime.model_shape import ModelShape
from tiers.vocabulary import TierName

TABLE = Path(__file__).with_name("plans.txt")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def table_of(catalogue: Catalogue) -> str:
    lines = []
    for name, found in MACHINES.items():
        plan = make_plan(found, catalogue.models)
        gpu = f", GPU {plan.gpu / 1e9:.1f} of {plan.gpu_budget / 1e9:.1f} GB" if plan.gpu else ""
        lines.append(f"{name}")
        lines.append(f"  memory {plan.memory / 1e9:.1f} of {plan.memory_budget / 1e9:.1f} GB{gpu}")
        for tier, chosen in plan.tiers.items():
            load = chosen.load
            lines.append(
                f"  {tier:8} {chosen.model:22} {chosen.place:18} {chosen.threads:2} threads "
                f"{load.parallel} x {load.context:5} tokens, cache {load.cache_type}"
            )
        lines += [f"  why: {tier}: {why}" for tier, c in plan.tiers.items() for why in c.why[1:]]
        lines += [f"  note: {note}" for note in plan.notes]
        lines.append("")
    return "\n".join(lines)


def test_the_choices_are_those_of_the_table(catalogue: Catalogue) -> None:
    """UPDATE_PLANS=1 writes the table anew; read what changed before it is committed."""
    found = table_of(catalogue)
    if os.environ.get("UPDATE_PLANS"):
        TABLE.write_text(found, encoding="utf-8")
    assert found == TABLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("found", MACHINES.values(), ids=list(MACHINES))
def test_a_plan_stays_within_what_it_gives_out(found: Machine, catalogue: Catalogue) -> None:
    plan = make_plan(found, catalogue.models)
    larger = [chosen for chosen in plan.tiers.values() if chosen.model != BUNDLED]
    if larger:
        assert plan.memory <= plan.memory_budget <= found.memory.usable
        assert plan.gpu <= plan.gpu_budget
    for chosen in plan.tiers.values():
        assert 1 <= chosen.threads <= found.processor.worth


def test_more_machine_is_never_a_weaker_plan(catalogue: Catalogue) -> None:
    def strength(plan: Plan, tier: TierName) -> int:
        name = plan.tiers[tier].model
        return 0 if name == BUNDLED else catalogue.find(name).strength or 0

    last = 0
    for usable in (1, 2, 4, 8, 16, 32, 64, 128):
        plan = make_plan(machine(cores=16, total=usable + 1, usable=usable), catalogue.models)
        now = sum(strength(plan, tier) for tier in TierName)
        assert now >= last, usable
        last = now


def test_a_plan_is_a_configuration_that_loads(catalogue: Catalogue, tmp_path: Path) -> None:
    found = MACHINES["laptop, 8 cores, 16 GB, GPU with 6 GB"]
    plan = make_plan(found, catalogue.models)
    wanted = missing(plan)
    assert wanted
    with pytest.raises(ValueError, match="pulled first"):
        plan_as_toml(plan)
    here = {name: tmp_path / f'{name} "quoted".gguf' for name in wanted}
    whole = make_plan(found, catalogue.models, here=here)
    assert missing(whole) == []
    settings = Settings.model_validate(tomllib.loads(plan_as_toml(whole)))
    assert settings.tiers.meta.model == str(here[whole.tiers[TierName.META].model])
    assert settings.tiers.meta.threads == whole.tiers[TierName.META].threads


def test_nothing_but_the_bundled_models_is_a_configuration_too(catalogue: Catalogue) -> None:
    plan = make_plan(MACHINES["Raspberry Pi 4, 4 cores, 2 GB"], ())
    assert {chosen.model for chosen in plan.tiers.values()} == {BUNDLED}
    assert any("endpoint" in note for note in plan.notes)
    settings = Settings.model_validate(tomllib.loads(plan_as_toml(plan)))
    assert settings.tiers.meta.bundled


def test_marks(catalogue: Catalogue) -> None:
    small = machine(cores=4, total=8, usable=6)
    assert fit_of(catalogue.find("qwen3-0.6b"), small).mark is Mark.FITS
    assert fit_of(catalogue.find("qwen3-8b"), small).mark is Mark.NO
    assert fit_of(catalogue.find("qwen3.8-27b"), small).why.startswith("needs")
    assert fit_of(catalogue.find("laya"), small).mark is Mark.UNKNOWN
    assert (
        fit_of(catalogue.find("qwen3.5-4b"), machine(cores=4, total=8, usable=5)).mark is Mark.TIGHT
    )
    on_gpu = fit_of(catalogue.find("qwen3-8b"), machine(cores=4, total=8, usable=6, gpus=(23,)))
    assert on_gpu.mark is Mark.FITS
    assert "CUDA0" in on_gpu.why


QWEN3_4B = ModelShape(
    layers=36,
    width=2560,
    feed_forward=9728,
    heads=32,
    kv_heads=(8,) * 36,
    key_length=128,
    value_length=128,
    vocabulary=151_936,
    window=0,
    sliding=(False,) * 36,
    recurrent_state=0,
)


def test_the_cache_is_what_the_form_says() -> None:
    load = Load(context=8192, parallel=2)
    assert kv_bytes(QWEN3_4B, load) == 147_456 * 8192 * 2
    quantised = Load(context=8192, parallel=2, cache_type=CacheType.Q8_0)
    assert kv_bytes(QWEN3_4B, quantised) == 147_456 * 8192 * 2 * 34 // 64


def test_the_catalogue_and_the_file_agree(catalogue: Catalogue) -> None:
    load = Load(context=8192, parallel=1)
    known = catalogue_need(catalogue.find("qwen3-4b"), load)
    assert known is not None
    read = memory_need(weights=known.weights, shape=QWEN3_4B, load=load)
    assert known.cache == read.cache
    assert abs(known.total - read.total) < 0.1 * GIB


def test_sliding_windows_and_recurrent_layers_need_less() -> None:
    load = Load(context=32768, parallel=1)
    whole = kv_bytes(QWEN3_4B, load)
    half = dataclasses.replace(
        QWEN3_4B, window=1024, sliding=tuple(layer % 2 == 0 for layer in range(36))
    )
    assert whole / 2 < kv_bytes(half, load) < whole * 0.53
    hybrid = dataclasses.replace(
        QWEN3_4B, kv_heads=(0,) * 32 + (8,) * 4, recurrent_state=128 * 5120
    )
    assert kv_bytes(hybrid, load) < whole / 5


def test_places(catalogue: Catalogue) -> None:
    plan = make_plan(MACHINES["server, 32 cores, 128 GB, two GPUs with 24 GB"], catalogue.models)
    assert plan.tiers[TierName.META].place is Place.GPU

"""Ends are measured."""

from __future__ import annotations

import dataclasses

from daemon.escalation.conditions import (
    MAX_SILENCE,
    MIN_SILENCE,
    Condition,
    PatternFacts,
    condition_for,
    why_gone,
)


@dataclasses.dataclass
class Facts:
    units: dict[str, float]
    alarms: dict[tuple[str, str], float]
    silent: float

    def unit_steady_for(self, unit: str) -> float | None:
        return self.units.get(unit)

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        return self.alarms.get((metric, target))

    def silent_for(self) -> float:
        return self.silent


def test_a_failed_unit_must_be_active_and_steady_whatever_the_log_says() -> None:
    condition = condition_for(
        [PatternFacts(unit="nginx", usual_gap=None, failed_unit="nginx.service")]
    )
    assert why_gone(condition, Facts({}, {}, 1e9), steady=120) is None
    assert why_gone(condition, Facts({"nginx.service": 30}, {}, 0), steady=120) is None
    why = why_gone(condition, Facts({"nginx.service": 300}, {}, 0), steady=120)
    assert why is not None
    assert "nginx.service" in why


def test_a_full_disk_must_have_room_again() -> None:
    condition = condition_for([PatternFacts(unit="metrics", usual_gap=10, metric=("disk", "/var"))])
    assert why_gone(condition, Facts({}, {}, 1e9), steady=120) is None
    assert why_gone(condition, Facts({}, {("disk", "/var"): 600}, 0), steady=120) is not None


def test_all_parts_must_be_gone() -> None:
    condition = Condition(units=("a.service", "b.service"))
    assert why_gone(condition, Facts({"a.service": 1e4}, {}, 0), steady=60) is None


def test_a_pattern_is_silent_after_its_usual_gap_within_bounds() -> None:
    assert condition_for([PatternFacts(unit="x", usual_gap=1.0)]).silence == MIN_SILENCE
    assert condition_for([PatternFacts(unit="x", usual_gap=1e7)]).silence == MAX_SILENCE
    hourly = condition_for([PatternFacts(unit="x", usual_gap=3600.0)])
    assert why_gone(hourly, Facts({}, {}, 4 * 3600.0), steady=0) is None
    assert why_gone(hourly, Facts({}, {}, 5 * 3600.0), steady=0) is not None


def test_a_condition_survives_the_database() -> None:
    condition = Condition(units=("a.service",), metrics=(("disk", "/"),), silence=1000.0)
    assert Condition.from_json(condition.to_json()) == condition
    assert Condition.from_json(None) == Condition()

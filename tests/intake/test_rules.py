"""Rules: samples are the specification; mistakes are told with file, rule and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.intake.rules import RuleError, built_in_rules, load_rules
from tiers.vocabulary import Severity


def test_every_built_in_rule_matches_its_samples_and_none_of_its_others() -> None:
    assert built_in_rules().check_samples() == []


@pytest.mark.parametrize(
    ("unit", "text", "rule"),
    [
        ("kernel", "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB", "oom-kill"),
        ("systemd", "nginx.service: Failed with result 'exit-code'.", "unit-failed"),
        ("sshd", "Failed password for root from 192.0.2.4 port 22 ssh2", "auth-burst"),
        (
            "smartd",
            "Device: /dev/sdb [SAT], 8 Currently unreadable (pending) sectors",
            "disk-failing",
        ),
    ],
)
def test_known_trouble_is_found(unit: str, text: str, rule: str) -> None:
    found = built_in_rules().find(unit=unit, text=text)
    assert found is not None
    assert found.name == rule


@pytest.mark.parametrize(
    "text",
    [
        "session opened for user root by (uid=0)",
        "Started Daily apt upgrade and clean activities.",
        "mounted filesystem with ordered data mode. Quota mode: none.",
        "0 errors, 0 warnings",
        "smartd: SMART overall-health self-assessment test result: PASSED",
        "error_log opened",
        "",
    ],
)
def test_routine_lines_have_no_rule(text: str) -> None:
    assert built_in_rules().find(unit="any", text=text) is None


def test_no_rule_takes_long_on_hostile_text() -> None:
    """Patterns must not backtrack: a crafted line is answered about as fast as any other."""
    for evil in (
        "a" * 4096,
        "failed " * 700,
        "error error " * 400,
        "certificate " * 340,
        "ext4-fs " * 500,
    ):
        built_in_rules().find(unit="kernel", text=evil)


def test_an_operators_rule_replaces_the_built_in_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[[rule]]\nname = "oom-kill"\nseverity = "warning"\ncategory = "memory"\n'
        'match = "Out of memory"\nsamples = ["Out of memory"]\n'
    )
    found = load_rules([file]).find(unit="kernel", text="Out of memory: Killed process 1 (x)")
    assert found is not None
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not valid TOML"),
        ("[[rule]]\nname = 'x'\n", "missing"),
        (
            "[[rule]]\nname='x'\nseverity='awful'\ncategory='memory'\nmatch='a'\nsamples=[]\n",
            "awful",
        ),
        (
            "[[rule]]\nname='x'\nseverity='info'\ncategory='memory'\nmatch='('\nsamples=[]\n",
            "rule 1",
        ),
        ("[[rule]]\nname='x'\nregex='a'\n", "unknown regex"),
        ("[other]\n", "only [[rule]]"),
    ],
)
def test_a_mistake_in_a_rule_file_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(RuleError, match=r".+") as caught:
        load_rules([file])
    assert str(file) in str(caught.value)
    assert words in str(caught.value)

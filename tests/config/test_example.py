"""The example is complete, up to date, and changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from daemon.config.example import example
from daemon.config.load import load_config
from daemon.config.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "triaged.example.toml"


def test_the_file_is_what_the_settings_say() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "daemon.config.example"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert written == example()
    assert FILE.read_text() == written, (
        "run: .venv/bin/python -m daemon.config.example > deploy/triaged.example.toml"
    )


def test_it_loads_to_the_defaults() -> None:
    assert load_config(given=FILE, environ={}).settings == Settings()


def test_it_loads_to_the_defaults_with_every_line_taken_in(tmp_path: Path) -> None:
    whole = re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", FILE.read_text())
    path = tmp_path / "whole.toml"
    path.write_text(whole)
    assert load_config(given=path, environ={}).settings == Settings()
    document = tomllib.loads(whole)
    assert document["api"]["port"] == 8083
    assert document["sources"]["metrics"]["limits"]["disk"]["warning"] == 90


def test_every_setting_is_in_it_and_explained() -> None:
    text = FILE.read_text()

    def check(model: type, section: str) -> None:
        body = text.partition(f"[{section}]\n")[2] if section else text
        body = re.split(r"(?m)^\[", body)[0] if section else body
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                check(inner, f"{section}.{name}".lstrip("."))
            elif not str(inner).startswith("dict"):
                assert re.search(rf"(?m)^#\s?{name} (=|is not set)", body), (section, name)
                assert field.description, f"{section}.{name} has no description"

    check(Settings, "")

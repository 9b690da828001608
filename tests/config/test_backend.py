"""`LLM_BACKEND` speaks for every tier that names no backend itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.load import ConfigError, load_config


def test_it_sets_the_backend_of_tiers_with_an_endpoint(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    endpoint = 'endpoint = "http://127.0.0.1:11434"\n'
    file.write_text(
        f"[tiers.trigger]\n{endpoint}[tiers.review]\n{endpoint}"
        f'[tiers.meta]\n{endpoint}backend = "openai"\n'
    )
    loaded = load_config(given=file, environ={"LLM_BACKEND": "ollama"})
    tiers = loaded.settings.tiers
    assert (tiers.trigger.backend, tiers.review.backend) == ("ollama", "ollama")
    assert tiers.meta.backend == "openai"
    assert "LLM_BACKEND" in loaded.overrides


@pytest.mark.parametrize(("value", "words"), [("ollama", "endpoint"), ("nonsense", "ollama")])
def test_a_backend_that_cannot_be_is_a_sentence(value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(environ={"LLM_BACKEND": value, "HOME": "/nonexistent"})
    assert "$LLM_BACKEND" in str(caught.value) or "tiers." in str(caught.value)


def test_llama_cpp_changes_nothing() -> None:
    loaded = load_config(environ={"LLM_BACKEND": "llama_cpp", "HOME": "/nonexistent"})
    assert loaded.settings.tiers.trigger.own_server

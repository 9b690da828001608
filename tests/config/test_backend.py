"""`LLM_BACKEND` speaks for every tier that names no backend itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config.load import ConfigError, load_config
from daemon.config.settings import TiersSettings


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


@pytest.mark.parametrize(
    ("value", "words"),
    [("ollama", "name one"), ("openai", "needs an endpoint"), ("nonsense", "ollama")],
)
def test_a_backend_that_cannot_be_is_a_sentence(value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(environ={"LLM_BACKEND": value, "HOME": "/nonexistent"})
    assert "$LLM_BACKEND" in str(caught.value) or "tiers." in str(caught.value)


def test_llama_cpp_changes_nothing() -> None:
    loaded = load_config(environ={"LLM_BACKEND": "llama_cpp", "HOME": "/nonexistent"})
    assert loaded.settings.tiers.trigger.own_server


def test_ollama_on_this_host_needs_only_a_model() -> None:
    environ = {"LLM_BACKEND": "ollama", "TRIAGED__TIERS__OLLAMA__MODEL": "qwen3:8b"}
    tiers = load_config(environ={**environ, "HOME": "/nonexistent"}).settings.tiers
    for tier in tiers.by_name().values():
        assert (tier.endpoint, tier.model) == ("http://127.0.0.1:11434", "qwen3:8b")
        assert tier.backend == "ollama"
        assert not tier.own_server


SWITCHED = """
[tiers.ollama]
model = "qwen3:8b"
trigger_model = "qwen3:0.6b"
[tiers.openai]
endpoint = "http://10.0.0.5:8000/v1"
model = "large"
api_key_file = "/etc/triaged/vllm.key"
[tiers.trigger]
api_key_file = "/etc/triaged/own.key"
[tiers.review]
model = "/models/review.gguf"
[tiers.meta]
endpoint = "http://10.0.0.7:8080"
backend = "llama_cpp"
[[tiers.meta.fallback]]
endpoint = "http://10.0.0.8:11434"
model = "qwen3:8b"
"""


def test_moving_to_another_backend_and_back_is_one_setting(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text(SWITCHED)

    def with_backend(name: str) -> TiersSettings:
        return load_config(given=file, environ={"LLM_BACKEND": name}).settings.tiers

    own = with_backend("llama_cpp")
    assert own == load_config(given=file, environ={}).settings.tiers.model_copy(
        update={"backend": "llama_cpp", "meta": own.meta}
    )
    assert own.trigger.bundled
    assert own.review.own_server
    assert own.review.model == "/models/review.gguf"

    ollama = with_backend("ollama")
    assert (ollama.trigger.model, ollama.review.model) == ("qwen3:0.6b", "qwen3:8b")
    assert ollama.trigger.endpoint == "http://127.0.0.1:11434"
    assert ollama.trigger.api_key_file is None, "the key of our own server goes to nobody else"
    assert ollama.meta.endpoint == "http://10.0.0.7:8080"
    assert [each.backend for each in ollama.meta.chain()] == ["llama_cpp", "ollama"]

    gateway = with_backend("openai")
    assert gateway.review.model == "large"
    assert gateway.review.endpoint == "http://10.0.0.5:8000/v1"
    assert gateway.trigger.api_key_file == Path("/etc/triaged/vllm.key")


def test_what_stands_behind_a_tier_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text('[[tiers.meta.fallback]]\nendpoint = "10.0.0.8"\n')
    with pytest.raises(ConfigError, match=r"triaged.toml:2: tiers.meta.fallback.*http://"):
        load_config(given=file, environ={})


def test_a_model_of_one_tier_may_be_named_there(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text('[tiers.meta]\nbackend = "ollama"\nmodel = "qwen3:32b"\n')
    tiers = load_config(given=file, environ={}).settings.tiers
    assert (tiers.meta.endpoint, tiers.meta.model) == ("http://127.0.0.1:11434", "qwen3:32b")
    assert tiers.trigger.bundled


DOCUMENTED = re.findall(
    r"```toml\n(.*?)```", Path("docs/backends.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.parametrize("example", DOCUMENTED)
def test_every_documented_example_is_accepted(example: str, tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text(example)
    load_config(given=file, environ={})


def test_an_address_with_a_password_in_it_is_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text('[tiers.meta]\nendpoint = "http://user:hunter2@host:1"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="api_key_file") as caught:
        load_config(given=file, environ={})
    assert "hunter2" not in str(caught.value)

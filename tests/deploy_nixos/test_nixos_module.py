"""services.triaged: what it makes of a configuration, and which mistakes it finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nix_kit import (
    FILES,
    OF_WHICH,
    SMALLEST,
    evaluated,
    every_example,
    host,
    mistakes,
    options,
    parsed,
    refused,
    triaged,
)

EVERYTHING = (
    "{ inherit (config) assertions warnings users networking environment systemd;"
    " inherit (config.security) polkit; inherit (config.services) postgresql triaged; }"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_nix(path: Path) -> None:
    parsed(path)


@pytest.mark.parametrize("loose", [False, True], ids=["typed", "loose"])
def test_the_smallest_configuration(loose: bool) -> None:
    found = host(what=EVERYTHING, loose=loose)
    assert [one["message"] for one in found["assertions"] if not one["assertion"]] == []
    assert found["warnings"] == []
    assert set(found["systemd"]["services"]) == {
        "triaged",
        "llama-trigger",
        "llama-review",
        "llama-meta",
    }
    assert found["postgresql"]["ensureDatabases"] == ["triaged"]
    assert found["users"]["users"]["triaged"]["isSystemUser"] is True
    assert found["networking"].get("firewall", {}).get("allowedTCPPorts", []) == []
    assert set(found["environment"]["etc"]) == {"triaged/triaged.toml"}
    assert found["triaged"]["settings"]["actions"]["autonomy"] == "suggest"


def test_nothing_happens_where_it_is_not_enabled() -> None:
    found = host("", what=EVERYTHING)
    assert found["systemd"]["services"] == {}
    assert found["assertions"] == []
    assert found["users"] == {"users": {}, "groups": {}}


# --- every option ---


def test_every_option_has_a_description_and_an_example() -> None:
    names = {option["name"] for option in options()}
    assert len(names) >= 50
    assert {
        "services.triaged.enable",
        "services.triaged.autonomy",
        "services.triaged.tiers.<name>.gpuLayers",
        "services.triaged.llama-cpp.models.<name>.hash",
        "services.triaged.notifications.channels.<name>.urlsFile",
    } <= names
    for option in options():
        assert re.search(r"[a-z].*\.$", option["description"].strip(), re.DOTALL), option["name"]
        assert option["example"]["text"].strip(), option["name"]


@pytest.mark.parametrize("loose", [False, True], ids=["typed", "loose"])
def test_every_option_set(loose: bool) -> None:
    found = host(every_example(), what=EVERYTHING, loose=loose)
    assert [one["message"] for one in found["assertions"] if not one["assertion"]] == []
    settings = found["triaged"]["settings"]
    assert settings["api"] == {
        "host": "0.0.0.0",  # noqa: S104 (it is what is refused without keys)
        "port": 9083,
        "keys_file": "/var/lib/triaged/keys.toml",
    }
    assert settings["tiers"]["review"] == {
        "api_key_file": "/run/credentials/triaged.service/tier-review",
        "context": 16384,
        "endpoint": "http://192.0.2.20:8000",
        "gpu_layers": 24,
        "model": "/srv/models/Qwen3-4B-Q4_K_M.gguf",
        "parallel": 2,
        "port": 9081,
        "threads": 8,
    }
    assert settings["store"] == {"dsn_file": "/run/credentials/triaged.service/dsn"}
    assert found["networking"]["firewall"]["allowedTCPPorts"] == [9083]


@pytest.mark.parametrize("name", OF_WHICH)
def test_examples_of_whole_options(name: str) -> None:
    (text,) = [option["example"]["text"] for option in options() if option["name"] == name]
    more = 'services.triaged.llama-cpp.models.qwen3-4b = { url = "u"; hash = "%s"; };' % ("0" * 64)
    more = "" if name.endswith("models") else more
    assert mistakes(f"{SMALLEST} {name} = {text}; {more}") == []


# --- mistakes ---

MISTAKES = {
    "a listener without keys": ('api.host = "0.0.0.0";', "there are no keys"),
    "a listener without keys, in settings": ('settings.api.host = "::";', "there are no keys"),
    "a port twice": ("api.port = 8080;", "api.port and tiers.trigger.port are both 8080"),
    "a port twice, in settings": (
        "settings.api.port = 8082;",
        "api.port and tiers.meta.port are both 8082",
    ),
    "a port twice, among tiers": (
        "tiers.review.port = 8082;",
        "tiers.meta.port and tiers.review.port are both 8082",
    ),
    "a tier without a model": ("tiers.review.model = null;", "tiers.review has no model"),
    "a model that nobody knows": ('tiers.meta.model = "qwen";', '"qwen" is not "bundled"'),
    "a tier that is none": ('tiers.reviewer.model = "bundled";', "there is no such tier"),
    "an endpoint that is no URL": ('tiers.meta.endpoint = "host:80";', "must be an http://"),
    "an endpoint with a password": (
        'tiers.meta.endpoint = "http://a:b@host";',
        "without a name or password",
    ),
    "a key without an endpoint": ('tiers.meta.apiKeyFile = "/k";', "is the key of an endpoint"),
    "a port that units do not follow": (
        "settings.tiers.meta.port = 9999;",
        "differs from services.triaged.tiers.meta.port",
    ),
    "an endpoint that units do not follow": (
        'settings.tiers.meta.endpoint = "http://h";',
        "differs from services.triaged.tiers.meta.endpoint",
    ),
    "a model's name": ('llama-cpp.models.Big = { url = "u"; hash = "%s"; };', "lower-case"),
    "a model without a hash": ('llama-cpp.models.m.url = "u";', "needs its hash"),
    "a model from nowhere": ('llama-cpp.models.m.hash = "%s";', "and a url or a repository"),
    "a download from nowhere": ('llama-cpp.models.m.fetch = "start";', "does not say from where"),
    "a channel to nowhere": ('notifications.channels.p.quiet = "22:00-07:00";', "goes nowhere"),
    "a secret in the store": (
        'database.dsnFile = "/nix/store/dsn"; database.createLocally = false;',
        "is in the store",
    ),
    "TimescaleDB in the daemon's own": (
        "database.createLocally = false; database.timescaledb = true;",
        "needs a PostgreSQL that can load it",
    ),
    "a password without a name": (
        'mqtt = { enable = true; passwordFile = "/p"; };',
        "a passwordFile and no username",
    ),
    "a flake without a helper": (
        'nixos.flake = "/etc/nixos#h"; helper.enable = false;',
        "building and switching need root",
    ),
    "a llama-server that is not there": (
        "llama-cpp.bundled = true; package = pkgs.llama-cpp // { bundledLlama = false; };",
        "has no llama-server",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_found_with_a_sentence(case: str) -> None:
    said, words = MISTAKES[case]
    said = said.replace("%s", "0" * 64)
    found = mistakes(triaged(said))
    assert len(found) == 1, found
    assert words in found[0]
    assert found[0].endswith(".")
    assert "  " not in found[0]


def test_each_assertion_has_a_mistake() -> None:
    """So that none is there that no test has seen fail."""
    text = (Path(FILES[0]).parent / "assertions.nix").read_text()
    declared = len(re.findall(r"^\s+(?:assertion =|\(same )", text, re.MULTILINE)) - 1
    seen = {words for _, words in MISTAKES.values()}
    assert declared == 17
    assert len(seen) >= declared


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('autonomy = "auto";', "one of"),
        ("tiers.meta.contextSize = 10;", "between 256"),
        ('llama-cpp.acceleration = "metal";', "one of"),
        ("settings.log.level = null;", "TOML value"),
        ('api.keysFile = "keys.toml";', "absolute path"),
        ("databse.createLocally = true;", "does not exist"),
    ],
)
def test_values_of_another_type_are_refused(said: str, words: str) -> None:
    expression = f"(harness {{}} {{ {triaged(said)} }}).config.services.triaged"
    assert words in refused(f"builtins.deepSeq ({expression}) null")


WARNINGS = {
    "api.openFirewall = true;": "only loopback is listened to",
    'database.dsnFile = "/run/secrets/dsn";': "both createLocally and dsnFile",
    'autonomy = "observe"; helper.verbs = [ "journal-vacuum" ];': "never asked",
    'llama-cpp.bundled = true; llama-cpp.acceleration = "cuda";': "processors only",
}


@pytest.mark.parametrize("said", WARNINGS)
def test_what_is_odd_is_said(said: str) -> None:
    (warning,) = host(triaged(said), what="config.warnings")
    assert WARNINGS[said] in " ".join(warning.split())


def test_options_mistakes_and_settings_need_no_packages() -> None:
    """A manual of the options is made without any, and mistakes are told before one is fetched."""
    found = evaluated(
        "let host = (harness { packages = false; } { services.triaged.enable = true; }); in {"
        " names = map (o: o.name) (lib.optionAttrSetToDocList host.options);"
        " mistakes = builtins.filter (a: !a.assertion) host.config.assertions;"
        " inherit (host.config.services.triaged) settings; }"
    )
    assert "services.triaged.llama-cpp.package" in found["names"]
    assert found["mistakes"] == []
    assert found["settings"]["api"]["port"] == 8083

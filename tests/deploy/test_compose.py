"""compose.yaml: safe by default, whole for every profile, and explained word for word."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from compose_kit import (
    DOCKER,
    PAGE,
    PROFILES,
    ROOT,
    family,
    load,
    mounted,
    quoted,
    resolved,
    rows,
    variables,
)

from daemon.config.load import load_config

COMPOSE = load("compose.yaml")
SERVICES = COMPOSE["services"]
TIERS = {"trigger": 8080, "review": 8081, "meta": 8082}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_has_no_rights_to_spare(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    for limit in ("mem_limit", "cpus", "pids_limit", "logging", "restart"):
        assert limit in service, limit
    # Open WebUI writes beside its code.
    assert service.get("read_only", False) or name == "open-webui"
    check = service.get("healthcheck", {})
    assert name in ("triaged", "models") or check["test"], "triaged's own is in its image"
    for port in service.get("ports", []):
        assert resolved(port).startswith("127.0.0.1:"), port
    image = resolved(service["image"])
    tag = image.rpartition(":")[2]
    assert tag != "latest" or image.startswith("triaged:"), image


def test_no_secret_is_written_down() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == COMPOSE["secrets"].keys()
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if any(word in variable for word in ("PASSWORD", "KEY", "SECRET", "TOKEN")):
                assert variable.endswith("_FILE"), variable
                assert value.startswith("/run/secrets/"), variable
    assert (DOCKER / ".gitignore").read_text().split() == ["/.env", "/secrets/"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_has_all_three_tiers(profile: str) -> None:
    config = tomllib.loads((DOCKER / "triaged.toml").read_text())
    for tier, port in TIERS.items():
        service = SERVICES[f"llama-{tier}-{profile}"]
        assert service["profiles"] == [profile]
        assert service["networks"] == {"back": {"aliases": [f"llama-{tier}"]}}
        assert f"--port={port}" in service["command"]
        assert "--api-key-file=/run/secrets/llama_key" in service["command"]
        assert config["tiers"][tier]["endpoint"] == f"http://llama-{tier}:{port}"
        assert f"--parallel={config['tiers'][tier]['parallel']}" in service["command"]
        assert f":{port}/health" in service["healthcheck"]["test"][-1]
        needed = SERVICES["triaged"]["depends_on"][f"llama-{tier}-{profile}"]
        assert needed == {"condition": "service_started", "required": False}
    assert profile in SERVICES["models"]["profiles"]
    named = resolved(SERVICES[f"llama-meta-{profile}"]["image"])
    assert named.removeprefix("ghcr.io/ggml-org/llama.cpp:server") == (
        "" if profile == "cpu" else f"-{profile}"
    )


def test_default_models_are_the_bundled_ones() -> None:
    defaults = variables("compose.yaml")
    for tier in TIERS:
        assert (ROOT / "tiers" / "nano" / defaults[f"{tier.upper()}_MODEL"]).is_file()


def test_starts_wait_for_health() -> None:
    def waits(name: str) -> set[str]:
        needed = SERVICES[name].get("depends_on", {})
        return {key for key, value in needed.items() if value["condition"] == "service_healthy"}

    assert waits("triaged") == {"timescaledb", "mosquitto"}
    assert waits("open-webui") == waits("prometheus") == {"triaged"}
    assert waits("grafana") == {"prometheus"}


def test_the_database_and_the_models_are_not_reached_from_outside() -> None:
    assert COMPOSE["networks"]["back"]["internal"] is True
    for name, service in SERVICES.items():
        if family(name) in ("llama-servers", "timescaledb"):
            assert "ports" not in service
            assert list(service["networks"]) == ["back"]


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for source, target, read_only in mounted(service):
            if source.startswith("."):
                assert (DOCKER / source).resolve().exists(), source
                assert read_only, f"{name}: {target}"
            else:
                assert source in COMPOSE["volumes"], source
    dashboards = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana/dashboards" / Path(dashboards).name).is_file()


def test_the_configuration_has_no_mistakes() -> None:
    given = SERVICES["triaged"]["environment"]
    environ = {name: resolved(value) for name, value in given.items()}
    loaded = load_config(given=DOCKER / "triaged.toml", environ=environ)
    assert len(loaded.overrides) == sum(name.startswith("TRIAGED__") for name in given)
    done = subprocess.run(
        [shutil.which("triaged", path=ROOT / ".venv/bin") or "triaged", "check-config",
         "--config", DOCKER / "triaged.toml"],
        env=os.environ | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    secrets = SERVICES["triaged"]["secrets"]
    settings = loaded.settings
    paths = [settings.store.dsn_file, settings.sources.mqtt.password_file]
    paths.append(settings.tiers.meta.api_key_file)
    assert sorted(f"{path}" for path in paths) == sorted(f"/run/secrets/{each}" for each in secrets)


def test_every_variable_is_explained() -> None:
    known = variables("compose.yaml", "compose.host-watch.yaml")
    table = {quoted(row[0])[0]: row for row in rows("| variable | default | is |")}
    profiles = table.pop("COMPOSE_PROFILES")
    assert set(quoted(profiles[2])) == set(PROFILES)
    assert table.keys() == known.keys()
    for name, row in table.items():
        assert "".join(quoted(row[1])) == known[name], name
    example = (DOCKER / ".env.example").read_text().splitlines()
    lines = [line.lstrip("#") for line in example if "=" in line]
    assert lines[0] == "COMPOSE_PROFILES=cpu"
    assert dict(line.split("=", 1) for line in lines[1:]) == known


def test_every_given_variable_is_explained() -> None:
    table = rows("| service | variable | is |")
    explained = {(row[0], name) for row in table for name in quoted(row[1])}
    given = {
        (name, variable)
        for name, service in SERVICES.items()
        for variable in service.get("environment", {})
        if variable != "TZ"
    }
    assert explained == given


def test_every_port_secret_and_mount_is_explained() -> None:
    ports = {
        (row[0], row[1], row[2]) for row in rows("| service | in the container | on the host |")
    }
    assert ports == {
        (name, port.rsplit(":", 2)[2], port.rsplit(":", 2)[1])
        for name, service in SERVICES.items()
        for port in service.get("ports", [])
    }
    secrets = {
        (secret, reader.strip())
        for row in rows("| file in `secrets/` | read by | is |")
        for secret in quoted(row[0])
        for reader in row[1].split(",")
    }
    assert secrets == {
        (secret, family(name))
        for name, service in SERVICES.items()
        for secret in service.get("secrets", [])
    }
    mounts = {
        (reader.strip(), *quoted(row[1]))
        for row in rows("| service | mount | is |")
        for reader in row[0].split(",")
    }
    assert mounts == {
        (family(name), source, target)
        for name, service in SERVICES.items()
        for source, target, _ in mounted(service)
    }


def test_what_watching_the_host_costs_is_told() -> None:
    (service,) = load("compose.host-watch.yaml")["services"].values()
    table = rows("| line | gives | costs |")
    told = " ".join(row[0] for row in table)
    for row in table:
        assert len(row) == 3
        assert all(row)
    for source, _, read_only in mounted(service):
        assert f"`{source}`" in told, source
        # A socket answers whoever reaches it, whatever the mount says.
        assert read_only or source.endswith("_socket"), source
    for key in ("pid", "cgroup"):
        assert f"`{key}: {service[key]}`" in told
    assert service["security_opt"] == ["apparmor=unconfined"]
    assert "`apparmor=unconfined`" in told
    assert "`JOURNAL_GID`" in told
    known = {"pid", "cgroup", "group_add", "security_opt", "volumes"}
    assert service.keys() == known, "a line that nobody explains"


def test_the_page_makes_every_secret() -> None:
    steps = PAGE.partition("## The whole set-up")[2].partition("### Models")[0]
    for secret in COMPOSE["secrets"]:
        assert secret in steps, secret


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("watching", [False, True])
def test_compose_agrees(profile: str, watching: bool) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose 2 is not installed")
    files = ["-f", "compose.yaml", *(["-f", "compose.host-watch.yaml"] if watching else [])]
    done = subprocess.run(
        [program, *files, "--profile", profile, "config", "--quiet"],
        cwd=DOCKER, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")

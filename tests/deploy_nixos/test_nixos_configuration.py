"""The configuration that services.triaged makes: the daemon itself finds no mistake in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nix_kit import SMALLEST, every_example, host, mistakes, toml, triaged

from tiers.models.catalogue import load_catalogue
from tiers.models.folder import place_of

TRIAGED = Path(sys.executable).with_name("triaged")

ANOTHER_HOST = """
services.triaged = {
  enable = true;
  autonomy = "auto-full";
  nixos.flake = "/etc/nixos#host";
  database = { createLocally = false; dsnFile = "/run/secrets/dsn"; };
  mqtt = { enable = true; host = "broker.example"; tls = true; };
  mqtt = { username = "triaged"; passwordFile = "/run/secrets/mqtt"; };
  notifications.channels.phone = { urlsFile = "/run/secrets/phone"; quiet = "22:00-07:00"; };
  llama-cpp.models.one = {
    repository = "unsloth/Qwen3-4B-GGUF";
    file = "Qwen3-4B-Q4_K_M.gguf";
    fetch = "start";
    hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  };
  tiers.review.model = "one";
  tiers.meta = { endpoint = "https://models.example/v1"; apiKeyFile = "/run/secrets/key"; };
  criticalUnits = [ "nginx" ];
  settings.log.level = "debug";
  settings.notify.wait_minutes = 2.5;
};
"""


def checked(settings: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "triaged.toml"
    path.write_text(toml(settings))
    return subprocess.run(
        [TRIAGED, "--config", path, "check-config"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "configuration",
    [
        SMALLEST,
        f"{SMALLEST} services.triaged.llama-cpp.enable = false;",
        f"{SMALLEST} services.triaged.database.createLocally = false;",
        ANOTHER_HOST,
    ],
    ids=["smallest", "daemon runs models", "own database", "another host"],
)
def test_the_daemon_finds_no_mistake_in_what_is_made(configuration: str, tmp_path: Path) -> None:
    assert mistakes(configuration) == []
    done = checked(host(configuration, what="config.services.triaged.settings"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no mistakes" in done.stdout


def test_nor_with_every_option_set(tmp_path: Path) -> None:
    settings = host(every_example(), what="config.services.triaged.settings")
    done = checked(settings, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("level", "code"), [("debug", 0), ("loud", 5)])
def test_the_build_runs_the_daemons_own_check(level: str, code: int, tmp_path: Path) -> None:
    """The commands of the build, run with the daemon that is here."""
    found = host(
        triaged(f'settings.log.level = "{level}";'),
        what='{ inherit (config.environment.etc."triaged/triaged.toml".source) command;'
        " inherit (config.services.triaged) settings; }",
    )
    written = tmp_path / "written.toml"
    written.write_text(toml(found["settings"]))
    command = re.sub(r"/nix/store/0+-triaged\.toml", str(written), found["command"])
    bash = shutil.which("bash")
    assert bash is not None
    made = tmp_path / "out"
    done = subprocess.run(
        [bash, "-ec", command],
        env={
            "PATH": f"{TRIAGED.parent}:/usr/bin:/bin",
            "TMPDIR": str(tmp_path),
            "out": str(made),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert "log.level" in done.stderr
        assert not made.exists()
    else:
        assert made.read_text() == written.read_text()


def test_what_the_operator_says_in_settings_goes_before() -> None:
    settings = host(
        f"{SMALLEST} services.triaged.settings.tiers.meta.context = 4096;"
        " services.triaged.tiers.meta.contextSize = 8192;",
        what="config.services.triaged.settings.tiers.meta",
    )
    assert settings["context"] == 4096


def test_paths_without_quotes_stay_where_they_are() -> None:
    """Neither a secret nor a model of gigabytes is copied into the store."""
    found = host(
        triaged(
            "api.keysFile = /run/secrets/keys; tiers.meta.model = /srv/models/large.gguf;"
            " llama-cpp.environmentFile = /run/secrets/hub;"
        ),
        what="{ inherit (config.services.triaged) settings;"
        " credentials = config.systemd.services.triaged.serviceConfig.LoadCredential; }",
    )
    assert found["settings"]["tiers"]["meta"]["model"] == "/srv/models/large.gguf"
    assert found["credentials"] == ["keys:/run/secrets/keys"]


def test_models_fetched_when_built_are_in_the_store() -> None:
    settings = host(
        f"{SMALLEST} services.triaged.llama-cpp.models.one = {{"
        ' repository = "a/b"; file = "c.gguf"; hash = "%s"; };'
        ' services.triaged.tiers.meta.model = "one";' % ("0" * 64),
        what="config.services.triaged.settings",
    )
    assert settings["tiers"]["meta"]["model"].startswith("/nix/store/")
    assert settings["tiers"]["meta"]["model"].endswith("-c.gguf")


def test_models_downloaded_at_a_start_are_in_a_catalogue(tmp_path: Path) -> None:
    """The daemon's own `models pull` gets them, to where the tier looks for them."""
    found = host(
        ANOTHER_HOST,
        what="{ inherit (config.services.triaged) settings;"
        ' catalogue = config.environment.etc."triaged/models.toml".source.value;'
        " units = config.systemd.services; }",
    )
    path = tmp_path / "models.toml"
    entries = "\n".join("[[model]]\n" + toml(entry) for entry in found["catalogue"]["model"])
    path.write_text(entries)
    model = load_catalogue([path]).find("one")
    # Of the empty file, which everybody knows.
    assert model.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    place = place_of(Path("/var/lib/triaged/models"), model.repository, model.file)
    assert found["settings"]["tiers"]["review"]["model"] == str(place)
    assert found["settings"]["models"]["catalogue"] == ["/etc/triaged/models.toml"]
    download = found["units"]["triaged-models"]["serviceConfig"]
    assert download["ExecStart"].endswith(" models pull one")
    review = found["units"]["llama-review"]
    assert "triaged-models.service" in review["after"]
    assert review["serviceConfig"]["RestartPreventExitStatus"] == "2"
    assert "llama-meta" not in found["units"]

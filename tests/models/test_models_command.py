"""`triaged models` as a person or a script uses it, and the catalogue's mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import REPOSITORY, LoopbackHub, Served

from tiers.models.catalogue import load_catalogue, named
from tiers.models.errors import CatalogueError

NAME = "model-Q4_K_M.gguf"
ENTRY = f"""
[[model]]
id = "mine"
repository = "{REPOSITORY}"
file = "Q4_K_M"
good_for = ["chat"]
tiers = ["review"]
"""


def triaged(
    folder: Path, *words: str, hub: LoopbackHub | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(ENTRY, encoding="utf-8")
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("triaged")),
            "--state-dir",
            str(folder / "state"),
            *words,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HF_ENDPOINT": hub.url if hub is not None else "http://127.0.0.1:9",
            "TRIAGED__MODELS__CATALOGUE": json.dumps([str(catalogue)]),
            **environ,
        },
    )


def test_pull_verify_list_and_remove(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files[NAME] = Served(os.urandom(50_000))
    pulled = triaged(tmp_path, "models", "pull", "mine", hub=hub_server)
    assert pulled.returncode == 0, pulled.stderr
    path = tmp_path / "state/models" / REPOSITORY / NAME
    assert str(path) in pulled.stdout
    assert "licence: apache-2.0" in pulled.stderr

    listed = json.loads(triaged(tmp_path, "models", "list", "--json").stdout)
    (mine,) = (model for model in listed["models"] if model["id"] == "mine")
    assert mine["files"] == [str(path)]

    assert triaged(tmp_path, "models", "verify").returncode == 0
    path.write_bytes(b"GGUF something else")
    changed = triaged(tmp_path, "models", "verify", "mine")
    assert changed.returncode == 6
    assert "pulled with 50000" in changed.stdout

    removed = triaged(tmp_path, "models", "remove", "mine")
    assert removed.returncode == 0, removed.stderr
    assert not path.exists()
    assert triaged(tmp_path, "models", "remove", "mine").returncode == 4


def test_a_repository_outside_of_the_catalogue(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files["other-Q8_0.gguf"] = Served(os.urandom(1000))
    pulled = triaged(tmp_path, "models", "pull", f"{REPOSITORY}:Q8_0", "--json", hub=hub_server)
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(pulled.stdout)["model-gguf"][0]["size"] == 1000


def test_an_unknown_name_asks_no_hub(hub_server: LoopbackHub, tmp_path: Path) -> None:
    ended = triaged(tmp_path, "models", "pull", "mine", "qwen3-4bb", hub=hub_server)
    assert ended.returncode == 4
    assert "did you mean qwen3-4b" in ended.stderr
    assert hub_server.asked == []


def test_a_broken_catalogue_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text('[[model]]\nid = "x"\n', encoding="utf-8")
    ended = triaged(
        tmp_path, "models", "list", TRIAGED__MODELS__CATALOGUE=json.dumps([str(broken)])
    )
    assert ended.returncode == 5
    assert "broken.toml: model x: repository must be like OWNER/NAME" in " ".join(
        ended.stderr.split()
    )


def test_the_built_in_catalogue_is_right() -> None:
    catalogue = load_catalogue()
    assert len(catalogue.models) >= 19
    assert catalogue.find("Qwen3-4B").licence == "apache-2.0"
    for model in catalogue.models:
        assert model.good_for, model.id
        assert bool(model.tiers) != ("embedding" in model.good_for), model.id
    assert named("unsloth/Qwen3-4B-GGUF", catalogue).id == "qwen3-4b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 3", "write each model"),
        ("[models]", "only \\[\\[model\\]\\] entries"),
        (ENTRY + "colour = 1", "no such field 'colour'"),
        (ENTRY + "size = 0", "above 0"),
        (ENTRY + 'size = "big"', "whole number"),
        (ENTRY + 'sha256 = "ABC"', "64 hexadecimal"),
        (ENTRY.replace("chat", "poetry"), "good_for must be a list out of"),
        (ENTRY.replace("Q4_K_M", "../../etc/passwd"), "file must be like"),
        (ENTRY.replace('"mine"', '"MINE!"'), "id must be like"),
        ("[[model]", "is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=words):
        load_catalogue([path])


def test_an_entry_replaces_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(ENTRY.replace('"mine"', '"qwen3-4b"'), encoding="utf-8")
    catalogue = load_catalogue([path])
    assert catalogue.find("qwen3-4b").repository == REPOSITORY
    with pytest.raises(CatalogueError, match="known are"):
        catalogue.find("zzzz")
    with pytest.raises(CatalogueError, match="say which file"):
        named("other/Repo", catalogue)

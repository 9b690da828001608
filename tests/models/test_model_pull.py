"""Downloads against a hub that cuts, stalls, lies and refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
from loopback_hub import REPOSITORY, REVISION, LoopbackHub, Served, wait_until

from tiers.models import pull as pulling
from tiers.models.catalogue import Model
from tiers.models.errors import HubError, MismatchError, ModelError, NoSpaceError
from tiers.models.folder import installed_in, place_of, verified
from tiers.models.hub import Hub, RemoteFile, chosen_files
from tiers.models.pull import pull

CONTENT = os.urandom(300_000)
NAME = "model-Q4_K_M.gguf"
PIECE = 10_000
MODEL = Model(id="model", repository=REPOSITORY, file="Q4_K_M")


class Told:
    """Counts what a puller says."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.bytes = 0
        self.checked = 0

    def begins(self, file: RemoteFile, *, done: int) -> None:
        self.begun.append((file.name, done))

    def moved(self, count: int) -> None:
        self.bytes += count

    def checks(self, file: RemoteFile) -> None:
        self.checked += 1


def hub_of(server: LoopbackHub, **environ: str) -> Hub:
    return Hub(environ={"HF_ENDPOINT": server.url, **environ})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits a second before it takes up a broken connection, ten for a stall, and hands
    over 10 MB at a time."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", PIECE)


def test_a_file_is_checked_and_put_in_place_with_its_origin(
    hub_server: LoopbackHub, tmp_path: Path
) -> None:
    hub_server.files[NAME] = Served(CONTENT)
    told = Told()
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=told)
    assert found.path == tmp_path / REPOSITORY / NAME
    assert found.path.read_bytes() == CONTENT
    assert found.origin is not None
    assert (found.origin.revision, found.origin.licence) == (REVISION, "apache-2.0")
    assert found.origin.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (told.begun, told.bytes, told.checked) == ([(NAME, 0)], len(CONTENT), 1)
    assert verified(found) == ""
    assert list(installed_in(tmp_path)) == [found]
    assert not list((tmp_path / ".partial").iterdir())
    # What is here is not fetched again.
    again = Told()
    pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=again)
    assert again.begun == []


def test_cuts_and_stalls_are_gone_on_from(hub_server: LoopbackHub, tmp_path: Path) -> None:
    file = Served(CONTENT, cuts=[100_000, 50_000], stall=2.0)
    hub_server.files[NAME] = file
    told = Told()
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=told)
    assert found.path.read_bytes() == CONTENT
    ranges = [wanted for _, path, wanted in hub_server.asked if "resolve" in path]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert told.bytes == len(CONTENT)


def test_a_hub_that_only_cuts_is_given_up_and_gone_on_from_later(
    hub_server: LoopbackHub, tmp_path: Path
) -> None:
    file = Served(CONTENT, cuts=[100_000] + [0] * 8)
    hub_server.files[NAME] = file
    with pytest.raises(HubError, match="What came so far is kept"):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    assert not list(installed_in(tmp_path))
    file.cuts.clear()
    told = Told()
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=told)
    assert told.begun == [(NAME, 100_000)]
    assert found.path.read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_begins_anew(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files[NAME] = Served(CONTENT, cuts=[100_000], ranges=False)
    told = Told()
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=told)
    assert found.path.read_bytes() == CONTENT
    assert told.bytes == len(CONTENT)


def test_a_killed_download_goes_on_where_it_was(hub_server: LoopbackHub, tmp_path: Path) -> None:
    file = Served(CONTENT, cuts=[200_000], stall=60)
    hub_server.files[NAME] = file
    script = (
        "import sys, pathlib, huggingface_hub.constants\n"
        f"huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = {PIECE}\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_model_pull import MODEL, Told\n"
        "from tiers.models.hub import Hub\n"
        "from tiers.models.pull import pull\n"
        "pull(MODEL, hub=Hub(), folder=pathlib.Path(sys.argv[1]), progress=Told())\n"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "HF_ENDPOINT": hub_server.url, "HF_HUB_DOWNLOAD_TIMEOUT": "60"},
    )
    partial = tmp_path / ".partial"

    def grew() -> bool:
        return any(path.stat().st_size > 0 for path in partial.glob("*.gguf"))

    try:
        wait_until(grew, seconds=30)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert not list(installed_in(tmp_path))
    told = Told()
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=told)
    assert told.begun[0][1] > 0
    assert found.path.read_bytes() == CONTENT


def test_a_wrong_file_is_kept_aside_and_never_used(hub_server: LoopbackHub, tmp_path: Path) -> None:
    promised = hashlib.sha256(CONTENT).hexdigest()
    hub_server.files[NAME] = Served(os.urandom(len(CONTENT)), sha256=promised)
    with pytest.raises(MismatchError, match="never used") as caught:
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    (kept,) = (tmp_path / ".rejected").iterdir()
    assert str(kept) in str(caught.value)
    assert not list(installed_in(tmp_path))
    # The next try begins anew, from another beginning.
    hub_server.files[NAME] = Served(CONTENT)
    assert pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())


@pytest.mark.parametrize("size", [len(CONTENT) - 1000, len(CONTENT) + 1000])
def test_a_lie_about_the_size_is_refused(
    hub_server: LoopbackHub, tmp_path: Path, size: int
) -> None:
    hub_server.files[NAME] = Served(CONTENT, size=size)
    with pytest.raises(ModelError, match="had promised"):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    assert not list(installed_in(tmp_path))


def test_a_listing_that_contradicts_the_catalogue_is_not_believed(
    hub_server: LoopbackHub, tmp_path: Path
) -> None:
    hub_server.files[NAME] = Served(CONTENT)
    known = Model(id="model", repository=REPOSITORY, file=NAME, sha256="0" * 64)
    with pytest.raises(MismatchError, match="another"):
        pull(known, hub=hub_of(hub_server), folder=tmp_path, progress=Told())


def test_without_any_sum_nothing_is_pulled(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files[NAME] = Served(CONTENT, sha256="none")
    with pytest.raises(HubError, match="nobody says the sha256"):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())


def test_the_sum_of_the_catalogue_does_where_the_listing_has_none(
    hub_server: LoopbackHub, tmp_path: Path
) -> None:
    hub_server.files[NAME] = Served(CONTENT, sha256="none")
    known = dataclasses.replace(MODEL, sha256=hashlib.sha256(CONTENT).hexdigest())
    (found,) = pull(known, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    assert not verified(found)
    hub_server.files[NAME] = Served(os.urandom(len(CONTENT)), sha256="none")
    with pytest.raises(MismatchError, match="promises"):
        pull(known, hub=hub_of(hub_server), folder=tmp_path / "other", progress=Told())


def test_a_split_model_is_pulled_whole(hub_server: LoopbackHub, tmp_path: Path) -> None:
    for part in (1, 2):
        hub_server.files[f"Q4_K_M/model-Q4_K_M-0000{part}-of-00002.gguf"] = Served(os.urandom(5000))
    found = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    endings = ["00001-of-00002", "00002-of-00002"]
    assert [each.path.stem[-14:] for each in found] == endings


def test_there_has_to_be_room(
    hub_server: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.files[NAME] = Served(CONTENT)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoSpaceError, match="make room"):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    assert not any("resolve" in path for _, path, _ in hub_server.asked)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "GatedRepo", "accept its licence"),
        (401, "", "has no repository|answers 401"),
        (404, "RepoNotFound", "has no repository"),
        (404, "EntryNotFound", "gone|answers 404"),
        (418, "", "answers 418"),
    ],
)
def test_refusals_say_what_to_do(
    hub_server: LoopbackHub, tmp_path: Path, status: int, code: str, words: str
) -> None:
    hub_server.status, hub_server.error_code = status, code
    with pytest.raises(HubError, match=words):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())


def test_a_file_that_is_not_there_names_those_that_are(
    hub_server: LoopbackHub, tmp_path: Path
) -> None:
    hub_server.files["model-Q8_0.gguf"] = Served(CONTENT)
    with pytest.raises(HubError, match=r"there is model-Q8_0\.gguf"):
        pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())


def test_nobody_answers(tmp_path: Path) -> None:
    hub = Hub(environ={"HF_ENDPOINT": "http://127.0.0.1:9"})
    with pytest.raises(HubError, match="cannot be reached"):
        pull(MODEL, hub=hub, folder=tmp_path, progress=Told())


def test_offline_asks_nobody(hub_server: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        pull(MODEL, hub=hub_of(hub_server, HF_HUB_OFFLINE="1"), folder=tmp_path, progress=Told())
    assert hub_server.asked == []


def test_the_token_is_ours_or_none(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files[NAME] = Served(CONTENT)
    pull(MODEL, hub=hub_of(hub_server), folder=tmp_path / "a", progress=Told())
    assert hub_server.tokens == set()
    hub = hub_of(hub_server, HF_TOKEN="hf_secret")
    pull(MODEL, hub=hub, folder=tmp_path / "b", progress=Told())
    assert hub_server.tokens == {"Bearer hf_secret"}


def test_names_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    for name in ("../x.gguf", "a/../../x.gguf", "/etc/x.gguf", ".hidden.gguf", "a\0b.gguf"):
        with pytest.raises(ModelError):
            place_of(tmp_path, REPOSITORY, name)


@pytest.mark.parametrize(
    ("wanted", "paths", "chosen"),
    [
        ("Q4_K_M", ["a-Q4_K_M.gguf", "a-Q4_K_S.gguf"], ["a-Q4_K_M.gguf"]),
        ("q8_0", ["m.Q8_0.gguf", "m.Q4_0.gguf"], ["m.Q8_0.gguf"]),
        ("Q4_K", ["a-Q4_K_M.gguf"], []),
        ("Q4_K_M", ["a-UD-Q4_K_M.gguf", "a-Q4_K_M.gguf"], ["a-Q4_K_M.gguf"]),
        ("Q8_0", ["mmproj-Q8_0.gguf"], []),
        ("b.gguf", ["a.gguf", "b.gguf"], ["b.gguf"]),
        ("Q8_0", ["x-Q8_0-00001-of-00002.gguf"], []),
    ],
)
def test_which_file_is_meant(wanted: str, paths: list[str], chosen: list[str]) -> None:
    assert chosen_files(paths, wanted) == chosen


def test_a_changed_file_is_found(hub_server: LoopbackHub, tmp_path: Path) -> None:
    hub_server.files[NAME] = Served(CONTENT)
    (found,) = pull(MODEL, hub=hub_of(hub_server), folder=tmp_path, progress=Told())
    damaged = bytearray(CONTENT)
    damaged[1000] ^= 1
    found.path.write_bytes(damaged)
    assert "sha256" in verified(found)
    found.path.write_bytes(CONTENT[:-1])
    (short,) = installed_in(tmp_path)
    assert "bytes" in verified(short)
    (tmp_path / "by-hand.gguf").write_bytes(b"GGUF")
    by_hand = next(each for each in installed_in(tmp_path) if each.origin is None)
    assert "nobody knows" in verified(by_hand)

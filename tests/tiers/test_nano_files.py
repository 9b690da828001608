"""The shipped model files and their manifest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tiers.nano import files
from tiers.vocabulary import TierName


@pytest.mark.parametrize("tier", list(TierName))
def test_every_tier_has_a_whole_file(tier: TierName) -> None:
    model = files.bundled_model(tier)
    assert model.path.read_bytes()[:4] == b"GGUF"
    files.verify(model)
    assert model.parameters <= 12_000_000


def test_together_they_are_small() -> None:
    assert sum(model.size for model in files.bundled_models()) <= 24_000_000


def test_the_manifest_says_what_made_them() -> None:
    for model in files.bundled_models():
        assert {"commit", "seed", "data_sha256", "date"} <= set(model.made)


def test_a_damaged_file_is_told_by_its_hash(tmp_path: Path) -> None:
    whole = files.bundled_models()[0]
    data = bytearray(whole.path.read_bytes())
    data[len(data) // 2] ^= 1
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(data)
    with pytest.raises(files.BundledModelError, match="install triaged again"):
        files.verify(dataclasses.replace(whole, path=copy))


def test_a_short_or_missing_file_is_told_without_reading_it(tmp_path: Path) -> None:
    whole = files.bundled_models()[0]
    short = tmp_path / "short.gguf"
    short.write_bytes(b"GGUF")
    for path in (short, tmp_path / "none.gguf"):
        with pytest.raises(files.BundledModelError, match="install triaged again"):
            files.verify(dataclasses.replace(whole, path=path))


def test_an_unreadable_manifest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "manifest.json"
    broken.write_text('{"models": [{"name": "x"}]}', encoding="utf-8")
    monkeypatch.setattr(files, "_MANIFEST", broken)
    files.bundled_models.cache_clear()
    try:
        with pytest.raises(files.BundledModelError, match="cannot be read"):
            files.bundled_model(TierName.TRIGGER)
    finally:
        files.bundled_models.cache_clear()

"""From the last checkpoint to the file that is shipped: calibrate, then export."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch

from training.calibrate import calibrate, calibration_lines
from training.export import Origin, export, origin_of
from training.model import Decoder
from training.recipes import Recipe
from training.shape import Shape
from training.tokenizer import load_tokenizer

SHIPPED = "q8_0"


def finish(recipe: Recipe, folder: Path, *, made_by: str | None = None) -> tuple[Path, Origin]:
    """Calibrate and export the last checkpoint; the file that is shipped, and what made it."""
    note = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    made_by = made_by or str(note["commit"])  # the generator's, not that of the day of export
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = Decoder(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    fitted = calibrate(model.eval(), tokenizer, calibration_lines())
    record = json.dumps(dataclasses.asdict(fitted))
    (folder / "calibration.json").write_text(record + "\n", encoding="utf-8")
    print(f"{recipe.name}: calibration {record}", flush=True)
    for kind in ("f16", SHIPPED):
        file = export(recipe, folder, kind=kind, temperature=fitted.temperature, made_by=made_by)
        print(f"{file} {file.stat().st_size:,} bytes", flush=True)
    return file, origin_of(recipe, state, commit=made_by)

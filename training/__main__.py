"""`python -m training`: data, tables, training, calibration, export, evaluation, shipped files.

Everything it makes on the way is under `training/out/`; started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch

from training.evaluate import measure
from training.export import Origin
from training.finish import finish
from training.judging.figures import markdown
from training.judging.tokens import different
from training.recipes import RECIPES, Recipe
from training.ship import ship
from training.tables import make_tables
from training.train import train

_HERE = Path(__file__).parent
_OUT = _HERE / "out"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--set", type=Path, default=Path("tests/evals"), help="folder of *.jsonl")
    parser.add_argument("--out", type=Path, default=_OUT, help="folder for everything it makes")
    parser.add_argument("--tokens", type=float, help="of each corpus; the recipes' when left out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-ship", action="store_true", help="leave tiers/nano/ as it is")
    given = parser.parse_args(argv)
    began = time.monotonic()
    if not given.no_ship:
        make_tables()
    models: list[tuple[Recipe, Path, Origin]] = []
    for recipe in RECIPES.values():
        folder = given.out / recipe.name
        tokens = int(given.tokens or recipe.tokens)
        train(recipe, folder, tokens=tokens, every=120.0, device=given.device)
        if recipe.second:
            seed = recipe.seed + 1
            following = dataclasses.replace(recipe, seed=seed)
            first, folder = folder, folder / "second"
            more = int(tokens * recipe.second / recipe.tokens)
            train(following, folder, tokens=more, every=120.0, device=given.device, after=first)
        file, origin = finish(recipe, folder)
        if wrong := different(file, folder / "tokenizer.json"):
            raise SystemExit(
                f"llama-server cuts {len(wrong)} texts otherwise, such as {wrong[0]!r}"
            )
        models.append((recipe, file, origin))
    files = {recipe.name: file for recipe, file, _ in models}
    figures, mistakes = measure(
        folder=given.set,
        trigger=files["triaged-nano-trigger"],
        general=files["triaged-nano"],
        parts=frozenset(("lines", "speed", "chat", "cases")),
    )
    print(markdown(figures), flush=True)
    record = {"figures": [each.as_json() for each in figures], "wrong": mistakes}
    (given.out / "evaluation.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    if not given.no_ship:
        scores = [each.as_json() for each in figures]
        print(f"wrote {ship(models, scores=scores)}", flush=True)
    print(f"all of it took {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()

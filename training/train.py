"""The trainer: one pass over a recipe's corpus, with checkpoints, resume and a progress line.

Run as `python -m training.train NAME --out FOLDER`. Killed and started again it goes on from the
last checkpoint; every checkpoint can be exported and evaluated while training goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from training.mix import Corpus, batches, padded, prepare
from training.model import Decoder
from training.muon import Muon
from training.progress import Progress
from training.recipes import RECIPES, Recipe

_WARM_UP = 0.02
_FLOOR = 0.02


def rate(done: float) -> float:
    """Share of the full learning rate after `done` (0 to 1) of the tokens: a short warm-up, a
    plateau, and a straight line down over the second half."""
    if done < _WARM_UP:
        return max(done / _WARM_UP, 0.05)
    if done < 0.4:
        return 1.0
    return max(_FLOOR, 1.0 - (done - 0.4) / 0.6)


class Trainer:
    """One model in training. `step` counts batches."""

    def __init__(self, recipe: Recipe, corpus: Corpus, *, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.corpus = corpus
        self.device = device
        self.model = Decoder(recipe.shape, dropout=recipe.dropout).to(device)
        layers = dict(self.model.layers.named_parameters())
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon([w for w in layers.values() if w.dim() == 2], lr=recipe.matrix_rate),
            torch.optim.AdamW(
                [
                    self.model.embedding.weight,
                    *(w for w in self.model.parameters() if w.dim() == 1),
                ],
                lr=recipe.embedding_rate,
                betas=(0.9, 0.98),
                weight_decay=0.0,
                fused=True,
            ),
        ]
        self.rates = [recipe.matrix_rate, recipe.embedding_rate]
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        self.history: list[tuple[str, int]] = []  # corpora before this one: digest, tokens learned

    @property
    def before(self) -> int:
        """Tokens learned from earlier corpora."""
        return sum(tokens for _, tokens in self.history)

    def learn(self, numbers: np.ndarray[Any, np.dtype[np.int64]], done: float) -> float:
        """One batch; its loss."""
        ids, weights = padded(self.corpus, numbers)
        tokens = torch.from_numpy(ids).to(self.device)
        weight = torch.from_numpy(weights).to(self.device)[:, 1:].flatten()
        for optimizer, full in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate(done)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            features = self.model(tokens[:, :-1]).flatten(0, 1)
            learned = weight.nonzero().squeeze(1)
            logits = self.model.logits(features[learned])
        targets = tokens[:, 1:].flatten()[learned]
        each = F.cross_entropy(logits.float(), targets, reduction="none")
        loss = (each * weight[learned]).sum() / weight.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += int((self.corpus.offsets[numbers + 1] - self.corpus.offsets[numbers]).sum())
        return float(loss.detach())

    def save(self, file: Path) -> None:
        """Write a checkpoint whole or not at all."""
        part = file.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "shape": dataclasses.asdict(self.recipe.shape),
            "digest": self.corpus.digest,
            "history": self.history,
            "chance": torch.get_rng_state(),
        }
        torch.save(state, part)
        part.replace(file)

    def load(self, file: Path) -> None:
        """Go on where `file` ends, in the same corpus."""
        state = torch.load(file, map_location=self.device, weights_only=True)
        if state["digest"] != self.corpus.digest:
            raise SystemExit(
                f"{file} was trained on other data than {file.parent / 'corpus.npz'}; remove the "
                f"folder to start from nothing"
            )
        self._take(state)
        self.history = [tuple(each) for each in state.get("history", [])]
        self.step, self.tokens = state["step"], state["tokens"]
        torch.set_rng_state(state["chance"].cpu())

    def follow(self, file: Path) -> None:
        """Start with what `file` learned from another corpus with the same tokenizer."""
        state = torch.load(file, map_location=self.device, weights_only=True)
        self._take(state)
        earlier = [tuple(each) for each in state.get("history", [])]
        self.history = [*earlier, (state["digest"], state["tokens"])]

    def _take(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.seconds = state["seconds"]


def train(
    recipe: Recipe,
    folder: Path,
    *,
    tokens: int,
    every: float,
    device: str,
    until: int | None = None,
    after: Path | None = None,
) -> Path:
    """Train to the end of the corpus, or to its first `until` tokens, from the last checkpoint if
    there is one; its file. `after` is the folder of a run on older data that this one follows."""
    if after is not None and not (folder / "tokenizer.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(after / "tokenizer.json", folder / "tokenizer.json")
    _, corpus = prepare(recipe, folder, tokens=tokens)
    plan = batches(corpus, batch_tokens=recipe.batch_tokens, seed=recipe.seed)
    trainer = Trainer(recipe, corpus, device=device)
    file = folder / "checkpoint.pt"
    if file.exists():
        trainer.load(file)
        print(f"{recipe.name}: going on after step {trainer.step} of {len(plan)}", flush=True)
    elif after is not None:
        trainer.follow(after / "checkpoint.pt")
        print(f"{recipe.name}: following {after}, {trainer.before:,} tokens", flush=True)
    total = min(len(corpus.tokens), until or len(corpus.tokens))
    print(
        f"{recipe.name}: {recipe.shape.parameters():,} parameters, {total:,} tokens, "
        f"{len(plan)} steps, {torch.get_num_threads()} threads on {device}",
        flush=True,
    )
    progress = Progress(total=total, done=trainer.tokens, out=sys.stderr)
    log = (folder / "loss.jsonl").open("a", encoding="utf-8")
    saved = began = time.monotonic()
    before = trainer.seconds
    with log:
        while trainer.step < len(plan) and trainer.tokens < total:
            done = (trainer.before + trainer.tokens) / (trainer.before + total)
            loss = trainer.learn(plan[trainer.step], done)
            trainer.seconds = before + time.monotonic() - began
            progress.show(trainer.tokens, f"loss {loss:.3f}")
            if trainer.step % 10 == 0:
                log.write(json.dumps({"step": trainer.step, "tokens": trainer.tokens,
                                      "loss": round(loss, 4)}) + "\n")  # fmt: skip
                log.flush()
            if time.monotonic() - saved > every:
                trainer.save(file)
                saved = time.monotonic()
    trainer.save(file)
    progress.end()
    return file


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="folder for everything it makes")
    parser.add_argument("--tokens", type=float, help="corpus size; the recipe's when left out")
    parser.add_argument("--until", type=float, help="end after so many tokens of the corpus")
    parser.add_argument("--after", type=Path, help="folder of a run on older data to go on from")
    parser.add_argument("--every", type=float, default=120.0, help="seconds between checkpoints")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(argv)
    torch.set_num_threads(given.threads)
    recipe = RECIPES[given.name]
    tokens = int(given.tokens or recipe.tokens)
    train(
        recipe,
        given.out,
        tokens=tokens,
        every=given.every,
        device=given.device,
        until=int(given.until) if given.until else None,
        after=given.after,
    )


if __name__ == "__main__":
    main()

"""Makes tiers/nano/demands.json, the tagger of words that address the reader of a line, from the
lines and the hostile words that the generator writes:

    python -m training.demands            # a minute on one core

Logistic regression over the features of each word, with dropped features, pruned and rounded.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from tiers.nano.demands import _WORD, WEIGHTS, features_of
from training.data.cases.evidence import by_hand, fill
from training.data.events import hostile
from training.data.events.generate import generate
from training.data.events.slots import pick
from training.linear import numbered, packed, write_table

_INJECTED = 0.5
_RARE = 8
_UNIT = 0.05
_LEAST = 5
# Costs in log-odds of beginning and ending a demand, and what a demand has to add up to: chosen on
# `calibration.tsv` (which nothing may be cut from) and `calibration_hostile.txt`.
_BEGINS, _ENDS, _STRONG = 2.5, 4.0, 3.0
_LEAN = 0.5
"""Added to the log-odds of every word: to read less of a line harms less than to obey it."""


def lines(rng: random.Random, n: int) -> list[tuple[list[str], list[int]]]:
    """Words of lines, and for each whether it belongs to a demand."""
    found = []
    wordings = [wording for group in by_hand().values() for wording in group]
    for sample in generate(rng, n):
        if "hostile" in sample.family:
            continue
        text = sample.text
        if rng.random() < 0.25:
            text = fill(rng, pick(rng, wordings), {}).text
        parts = (text, "", "")
        if rng.random() < _INJECTED:
            parts = hostile.injected(rng, text)
        words: list[str] = []
        labels: list[int] = []
        for part, demand in zip(parts, (0, 1, 0), strict=True):
            cut = [match.group() for match in _WORD.finditer(part)]
            words += cut
            labels += [demand] * len(cut)
        found.append((words, labels))
    return found


def fit(rows: torch.Tensor, labels: torch.Tensor, *, features: int, epochs: int, seed: int
        ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    torch.manual_seed(seed)
    bag = torch.nn.EmbeddingBag(features + 1, 1, mode="sum", padding_idx=0)
    torch.nn.init.zeros_(bag.weight)
    bias = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([bag.weight, bias], lr=0.02)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - epoch / epochs)
        order = torch.randperm(len(rows))
        total = 0.0
        for chunk in order.split(4096):
            row = rows[chunk].long()
            row = row * (torch.rand(row.shape) > 0.3)
            loss = F.binary_cross_entropy_with_logits(bag(row).squeeze(1) + bias, labels[chunk])
            total += float(loss.detach()) * len(chunk)
            (loss + 2e-6 * bag.weight.square().sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"epoch {epoch + 1}: loss {total / len(rows):.4f}", flush=True)
    return bag.weight.detach(), bias.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=24_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    make(given.out, count=given.lines, epochs=given.epochs, seed=given.seed)


def make(out: Path, *, count: int, epochs: int, seed: int) -> None:
    found = lines(random.Random(f"demands {seed}"), count)
    rows = [features for words, _ in found for features in features_of(words)]
    labels = torch.tensor([float(label) for _, marks in found for label in marks])
    numbers = numbered(rows, least=_RARE)
    weights, bias = fit(
        packed(rows, numbers), labels, features=len(numbers), epochs=epochs, seed=seed
    )
    write_table(
        out, made_by="python -m training.demands", outputs=("demand",), numbers=numbers,
        weights=weights, bias=bias + _LEAN, unit=_UNIT, least=_LEAST,
        more={"begins": _BEGINS, "ends": _ENDS, "least": _STRONG},
    )  # fmt: skip


if __name__ == "__main__":
    main()

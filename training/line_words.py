"""Makes tiers/nano/lines.json, the scorer of lines by their words, from the generated events:

    python -m training.line_words         # some minutes on one core

Two softmax regressions in one table: the severities, then the categories.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from tiers.nano import decisions
from tiers.nano.line_scores import WEIGHTS, features
from tiers.vocabulary import Category, Severity
from training.battering import batter
from training.data.events.generate import generate
from training.data.samples import DecisionSample
from training.linear import numbered, packed, write_table

_RARE = 6
_UNIT = 0.1
_LEAST = 3
_BATCH = 512
_DROPPED = 0.25
_DECAY = 6e-7
_LOST, _INSTRUCTED = 0.25, 0.05
_SHARE = 0.8
"""What the words' opinion weighs beside the model's; chosen on `calibration.tsv`."""


def sample_features(sample: DecisionSample) -> list[str]:
    often = decisions.how_often(count=sample.count, span_seconds=sample.span_seconds)
    return features(unit=sample.unit, text=sample.text, often=often)


def make(out: Path, *, count: int, epochs: int, seed: int) -> None:
    rng = random.Random(f"line words {seed}")
    samples = [
        batter(sample, rng, lost=_LOST, instructed=_INSTRUCTED) for sample in generate(rng, count)
    ]
    found = [sample_features(sample) for sample in samples]
    numbers = numbered(found, least=_RARE)
    rows = packed(found, numbers)
    lengths = torch.tensor([float(len(row)) for row in found])
    severities = torch.tensor([sample.severity.rank for sample in samples])
    categories = torch.tensor([list(Category).index(sample.category) for sample in samples])
    torch.manual_seed(seed)
    first = len(Severity)
    outputs = (*(str(each) for each in Severity), *(str(each) for each in Category))
    bag = torch.nn.EmbeddingBag(len(numbers) + 1, len(outputs), mode="sum", padding_idx=0)
    torch.nn.init.zeros_(bag.weight)
    bias = torch.nn.Parameter(torch.zeros(len(outputs)))
    optimizer = torch.optim.Adam([bag.weight, bias], lr=0.05)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - epoch / epochs)
        total = 0.0
        for chunk in torch.randperm(len(samples)).split(_BATCH):
            row = rows[chunk].long()
            row = row * (torch.rand(row.shape) > _DROPPED)
            scores = bag(row) * ((1 - _DROPPED) * lengths[chunk]).rsqrt()[:, None] + bias
            loss = F.cross_entropy(scores[:, :first], severities[chunk])
            loss = loss + F.cross_entropy(scores[:, first:], categories[chunk])
            (loss + _DECAY * bag.weight.square().sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach()) * len(chunk)
        print(f"epoch {epoch + 1}: loss {total / len(samples):.3f}", flush=True)
    write_table(
        out, made_by="python -m training.line_words", outputs=outputs, numbers=numbers,
        # Dropping makes sums of the rest; later nothing is dropped.
        weights=bag.weight.detach() * (1 - _DROPPED) ** 0.5, bias=bias.detach(), unit=_UNIT,
        least=_LEAST, more={"share": _SHARE},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=260_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    make(given.out, count=given.events, epochs=given.epochs, seed=given.seed)


if __name__ == "__main__":
    main()

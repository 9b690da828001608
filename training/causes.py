"""Makes tiers/nano/causes.json, the scorer of causes by the words of the evidence, from the cases
that the generator writes:

    python -m training.causes            # some minutes on one core

Softmax over the causes that fit a case's category. A cause's score in a case is the log-sum of
what its lines score, so that the learner finds out itself which line shows it.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from tiers.causes import all_causes, causes_for
from tiers.contracts import INSUFFICIENT_EVIDENCE
from tiers.nano.cause_scores import WEIGHTS, concern, features_of
from training.data.cases import generate
from training.data.samples import CaseSample
from training.linear import numbered, packed, write_table

_RARE = 6
_UNIT = 0.1
_LEAST = 4
_LINES = 8
_BATCH = 256
_DROPPED = 0.3
_CONCERNS = 5
_MUDDLED, _MUDDLED_BESIDE = 0.5, 0.1
_DECAY = 1e-6

# Chosen on `calibration_cases.tsv`. On evidence in words that nobody taught, a wrong cause costs
# more than an honest "not shown": what is added to its log-odds.
_LEANS = {INSUFFICIENT_EVIDENCE: 1.0}
_BESIDE = 1.0
"""The share of the likeliest cause's probability that another one has to have to be considered."""

CODES = tuple(cause.code for cause in all_causes())


class Scorer(torch.nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(features + 1, len(CODES), mode="sum", padding_idx=0)
        torch.nn.init.zeros_(self.bag.weight)
        self.concern = torch.nn.Embedding(_CONCERNS, len(CODES))
        torch.nn.init.zeros_(self.concern.weight)
        self.bias = torch.nn.Parameter(torch.zeros(len(CODES)))

    def forward(
        self, rows: torch.Tensor, scale: torch.Tensor, concerns: torch.Tensor, lines: torch.Tensor
    ) -> torch.Tensor:
        """`rows` [cases * lines, features], `scale` of each, `concerns` and `lines` [cases, lines],
        true where there is a line; scores [cases, causes]."""
        each = (self.bag(rows) * scale[:, None]).view(*lines.shape, -1) + self.concern(concerns)
        each = each.masked_fill(~lines[..., None], float("-inf"))
        return each.logsumexp(1) + self.bias


def fit(samples: list[CaseSample], *, epochs: int, seed: int, muddled: bool = True
        ) -> tuple[dict[str, int], torch.Tensor, torch.Tensor]:  # fmt: skip
    """Feature numbers, weights and bias. The last features are those of `concern`."""
    torch.manual_seed(seed)
    found = [[features_of(item) for item in sample.case.evidence[:_LINES]] for sample in samples]
    concerned = [
        [int(concern(item)[1:]) for item in sample.case.evidence[:_LINES]] for sample in samples
    ]
    if muddled:
        _muddle(found, concerned, samples, random.Random(f"muddle {seed}"))
    numbers = numbered((row for rows in found for row in rows), least=_RARE)
    padded = [row for rows in found for row in (*rows, *([[]] * (_LINES - len(rows))))]
    rows = packed(padded, numbers).view(len(samples), _LINES, -1)
    concerns = torch.tensor([row + [0] * (_LINES - len(row)) for row in concerned])
    lengths = torch.tensor([max(len(row), 1) for row in padded]).view(len(samples), _LINES)
    lines = torch.tensor([[i < len(rows) for i in range(_LINES)] for rows in found])
    wanted = torch.tensor([CODES.index(sample.cause) for sample in samples])
    offered = torch.stack([_offered(sample) for sample in samples])
    model = Scorer(len(numbers))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - epoch / epochs)
        right, total = 0, 0.0
        for chunk in torch.randperm(len(samples)).split(_BATCH):
            row = rows[chunk].flatten(0, 1).long()
            row = row * (torch.rand(row.shape) > _DROPPED)
            scale = ((1 - _DROPPED) * lengths[chunk].flatten()).rsqrt()
            scores = model(row, scale, concerns[chunk], lines[chunk]).masked_fill(
                ~offered[chunk], float("-inf")
            )
            loss = F.cross_entropy(scores, wanted[chunk], label_smoothing=0.0)
            (loss + _DECAY * model.bag.weight.square().sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
            total += float(loss.detach()) * len(chunk)
            right += int((scores.argmax(1) == wanted[chunk]).sum())
        n = len(samples)
        print(f"epoch {epoch + 1}: loss {total / n:.3f}, right {right / n:.3f}", flush=True)
    # Rows are scaled by their length before dropping in training, and by their whole length later.
    weights = torch.cat(
        [model.bag.weight.detach() * (1 - _DROPPED) ** 0.5, model.concern.weight.detach()]
    )
    first = len(numbers) + 1
    numbers = {**numbers, **{f"e{number}": first + number for number in range(_CONCERNS)}}
    return numbers, weights, model.bias.detach()


def _muddle(
    found: list[list[list[str]]],
    concerned: list[list[int]],
    samples: list[CaseSample],
    rng: random.Random,
) -> None:
    """Add a line of words that do not belong together: to many cases that show no cause, to some
    that show one. It shows nothing, so a few words alone must not be enough."""
    lines = [row for rows in found for row in rows]
    for rows, concerns, sample in zip(found, concerned, samples, strict=True):
        share = _MUDDLED if sample.cause == INSUFFICIENT_EVIDENCE else _MUDDLED_BESIDE
        if len(rows) >= _LINES or rng.random() >= share:
            continue
        words = [f for _ in range(6) for f in rng.choice(lines) if f[0] in "wb"]
        about = [f for f in rng.choice(lines) if f[0] in "psn" and " " not in f]
        picked = rng.sample(words, min(len(words), rng.randint(4, 12)))
        rows.append(list(dict.fromkeys([*about[:3], *picked])))
        concerns.append(rng.randint(1, 4))


def _offered(sample: CaseSample) -> torch.Tensor:
    codes = {cause.code for cause in causes_for(sample.case.category)} | {sample.cause}
    return torch.tensor([code in codes for code in CODES])


def make(out: Path, *, count: int, epochs: int, seed: int) -> None:
    samples = list(generate(random.Random(f"causes {seed}"), count))
    numbers, weights, bias = fit(samples, epochs=epochs, seed=seed)
    bias += torch.tensor([_LEANS.get(code, 0.0) for code in CODES])
    write_table(
        out, made_by="python -m training.causes", outputs=CODES, numbers=numbers, weights=weights,
        bias=bias, unit=_UNIT, least=_LEAST,
        more={"beside": _BESIDE},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=40_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    make(given.out, count=given.cases, epochs=given.epochs, seed=given.seed)


if __name__ == "__main__":
    main()

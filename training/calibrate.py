"""The temperature of a model's decisions: fitted on hand-written lines that no generator made,
with what the words of a line say (`tiers/nano/line_scores.py`) mixed in as it is when served.

Lines of the generator would not do: on its own kind of line a model is right nearly always and
rightly sure of it, on lines of programs that it never saw it is too sure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from tokenizers import Tokenizer

from tiers.nano import decisions
from tiers.nano.line_scores import lines_table, log_probabilities
from tiers.vocabulary import Category, Severity
from training.data.events.generate import SEVERITY_SHARES
from training.data.samples import DecisionSample
from training.line_words import sample_features
from training.model import Decoder
from training.render import decision

LINES = Path(__file__).with_name("calibration.tsv")
_LEAST, _MOST = 0.3, 5.0
_BAD = Severity.WARNING.rank


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`temperature` divides the logits; the rest is how good the decisions on the lines are."""

    temperature: float
    lines: int
    escalate: float
    severity: float
    category: float


def calibration_lines(file: Path = LINES) -> list[DecisionSample]:
    """Tab-separated: severity, category, unit, count, span in seconds, text."""
    samples = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        severity, category, unit, count, span, text = line.split("\t")
        samples.append(
            DecisionSample(
                unit=unit,
                text=text,
                count=int(count),
                span_seconds=float(span),
                severity=Severity(severity),
                category=Category(category),
                family="calibration",
            )
        )
    return samples


@torch.no_grad()
def letter_logits(
    model: Decoder, tokenizer: Tokenizer, samples: Sequence[DecisionSample]
) -> torch.Tensor:
    """Logits of the 52 letters, [samples, 52]."""
    letters = torch.tensor([tokenizer.token_to_id(letter) for letter in decisions.LETTERS])
    rows = []
    for sample in samples:
        prompt = tokenizer.encode(decision(sample)[0].text, add_special_tokens=False).ids
        last = model(torch.tensor([prompt]))[0, -1]
        rows.append(model.logits(last)[letters])
    return torch.stack(rows)


def word_logs(samples: Sequence[DecisionSample]) -> torch.Tensor:
    """Log-probabilities of the 52 options by the words alone, [samples, 52]."""
    rows = []
    for sample in samples:
        found = log_probabilities(sample_features(sample), lines_table())
        rows.append([found[pair] for pair in decisions.OPTIONS])
    return torch.tensor(rows)


def mixed(logits: torch.Tensor, words: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities as they are after serving and mixing, [samples, 52]."""
    share = float(lines_table().more["share"])
    model = (logits / temperature).log_softmax(-1)
    return ((1 - share) * model + share * words).softmax(-1)


def calibrate(
    model: Decoder, tokenizer: Tokenizer, samples: Sequence[DecisionSample]
) -> Calibration:
    """Fit the temperature that makes "escalate or not" most likely, by golden-section search."""
    logits, words = letter_logits(model, tokenizer, samples), word_logs(samples)
    ranks = torch.tensor([severity.rank for severity, _ in decisions.OPTIONS])
    bad = ranks >= _BAD
    truth = torch.tensor([float(sample.escalate) for sample in samples])
    # As many events deserve a look as in what the models learn from.
    wanted = sum(s for severity, s in SEVERITY_SHARES.items() if severity.rank >= _BAD)
    weight = torch.where(truth > 0, wanted / truth.mean(), (1 - wanted) / (1 - truth.mean()))

    def cost(temperature: float) -> float:
        yes = mixed(logits, words, temperature)[:, bad].sum(-1).clamp(1e-6, 1 - 1e-6)
        return float(F.binary_cross_entropy(yes, truth, weight=weight))

    temperature = _lowest(cost, _LEAST, _MOST)
    weights = mixed(logits, words, temperature)
    found = [
        decisions.judgement(dict(zip(decisions.OPTIONS, row.tolist(), strict=True)))
        for row in weights
    ]
    n = len(samples)
    pairs = list(zip(found, samples, strict=True))
    return Calibration(
        temperature=temperature,
        lines=n,
        escalate=sum((f.severity.rank >= Severity.WARNING.rank) == s.escalate for f, s in pairs)
        / n,
        severity=sum(f.severity == s.severity for f, s in pairs) / n,
        category=sum(f.category == s.category for f, s in pairs) / n,
    )


def _lowest(cost: Callable[[float], float], low: float, high: float) -> float:
    ratio = (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return (low + high) / 2

"""The decoder, its optimiser, checkpoints and export. Needs torch: `make models` installs it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is installed for training only")
gguf = pytest.importorskip("gguf", reason="gguf is installed for training only")

from training.export import export  # noqa: E402
from training.mix import batches, prepare  # noqa: E402
from training.model import Decoder, rotate  # noqa: E402
from training.muon import orthogonal  # noqa: E402
from training.recipes import RECIPES, TRIGGER  # noqa: E402
from training.shape import Shape  # noqa: E402
from training.train import Trainer, rate, train  # noqa: E402

SHAPE = Shape(vocabulary=700, width=64, layers=2, heads=2, feed_forward=96, context=256)
RECIPE = dataclasses.replace(TRIGGER, shape=SHAPE, batch_tokens=1_500)


def test_no_recipe_is_larger_than_allowed() -> None:
    assert all(recipe.shape.parameters() <= 12_000_000 for recipe in RECIPES.values())
    assert all(abs(sum(recipe.shares.values()) - 1) < 1e-9 for recipe in RECIPES.values())


def test_the_count_of_parameters_is_true() -> None:
    model = Decoder(SHAPE)
    assert sum(weight.numel() for weight in model.parameters()) == SHAPE.parameters()


def test_a_token_never_sees_the_next_one() -> None:
    model = Decoder(SHAPE).eval()
    tokens = torch.randint(0, 700, (1, 20))
    changed = tokens.clone()
    changed[0, 12:] = 5
    with torch.no_grad():
        assert torch.allclose(model(tokens)[0, :12], model(changed)[0, :12], atol=1e-6)


def test_half_of_the_first_heads_look_one_token_back_from_the_start() -> None:
    model = Decoder(Shape(vocabulary=512, width=256, layers=1, heads=8, feed_forward=64)).eval()
    attention = model.layers[0].attention
    x = model.layers[0].attention_norm(model.embedding(torch.randint(0, 512, (1, 30))))
    q, k = (
        rotate(p(x).view(1, 30, 8, 32).transpose(1, 2), model.cos[:30], model.sin[:30])
        for p in (attention.q, attention.k)
    )
    scores = (
        (q @ k.transpose(-1, -2) / 32**0.5)
        .tril()
        .masked_fill(~torch.ones(30, 30, dtype=torch.bool).tril(), float("-inf"))
    )
    looked = scores.softmax(-1)[0, :, 10:, :].argmax(-1) - torch.arange(10, 30)
    assert (looked[:4] == -1).float().mean() > 0.9


def test_the_step_of_muon_is_nearly_orthogonal() -> None:
    torch.manual_seed(1)
    for shape in ((64, 64), (96, 64), (64, 96)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert float(values.min()) > 0.5
        assert float(values.max()) < 1.4


def test_the_rate_warms_up_stays_and_falls() -> None:
    assert rate(0.0) < rate(0.01) < rate(0.1) == rate(0.3) == 1.0
    assert rate(0.6) > rate(0.9) > rate(1.0) > 0


def test_a_killed_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(RECIPE, whole, tokens=20_000, every=1e9, device="cpu")
    _, corpus = prepare(RECIPE, halves, tokens=20_000)
    plan = batches(corpus, batch_tokens=RECIPE.batch_tokens, seed=RECIPE.seed)
    first = Trainer(RECIPE, corpus, device="cpu")
    for numbers in plan[: len(plan) // 2]:
        first.learn(numbers, first.tokens / len(corpus.tokens))
    first.save(halves / "checkpoint.pt")
    train(RECIPE, halves, tokens=20_000, every=1e9, device="cpu")
    one, two = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, halves)
    )
    assert one["digest"] == two["digest"]
    assert one["step"] == two["step"] == len(plan)
    for name, weight in one["model"].items():
        assert torch.allclose(weight, two["model"][name], atol=2e-2), name


def test_the_exported_file_says_what_it_is(tmp_path: Path) -> None:
    train(RECIPE, tmp_path, tokens=8_000, every=1e9, device="cpu")
    file = export(RECIPE, tmp_path, kind="q8_0", temperature=1.5)
    fields = gguf.GGUFReader(file).fields
    for key in (
        "llama.decision.type",
        "tokenizer.chat_template",
        "tokenizer.chat_template.systemone",
        "general.sampling.temp",
        "triaged.commit",
        "triaged.data_sha256",
    ):
        assert key in fields, key
    assert fields["llama.decision.temperature.choice"].contents() == pytest.approx(1.5)

"""From a checkpoint to a GGUF file that an unmodified llama-server serves.

`python -m training.export NAME --out FOLDER` writes `NAME-q8_0.gguf` and `NAME-f16.gguf` beside the
checkpoint. The file carries the chat template, the decision template and its temperature, greedy
sampling as its default, and where it came from.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch

from training.commit import commit
from training.recipes import RECIPES, Recipe
from training.shape import Shape
from training.tokenizer import CONTROL, END, PAD, USER_DEFINED, load_tokenizer

_TEMPLATES = Path(__file__).with_name("templates")
_ARCH = "llama"
TYPES = {
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What made a file. `corpora` are SHA-256 and tokens learned of each corpus, in order."""

    commit: str
    seed: int
    corpora: tuple[tuple[str, int], ...]

    @property
    def tokens(self) -> int:
        return sum(tokens for _, tokens in self.corpora)


def export(
    recipe: Recipe,
    folder: Path,
    *,
    kind: str,
    temperature: float = 1.0,
    made_by: str | None = None,
) -> Path:
    """Write the GGUF of the last checkpoint in `folder`; its path. `made_by` is the commit that is
    named in it, this checkout's when left out."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    shape = Shape(**state["shape"])
    file = folder / f"{recipe.name}-{kind}.gguf"
    part = file.with_suffix(".part")
    writer = gguf.GGUFWriter(part, _ARCH)
    origin = origin_of(recipe, state, commit=made_by or commit())
    _describe(writer, recipe, shape, kind=kind, origin=origin)
    _write_vocabulary(writer, folder / "tokenizer.json", shape.vocabulary)
    writer.add_chat_template((_TEMPLATES / "chat.jinja").read_text(encoding="utf-8").strip())
    one = (_TEMPLATES / "systemone.jinja").read_text(encoding="utf-8").strip()
    writer.add_string("tokenizer.chat_template.systemone", one)
    writer.add_string(f"{_ARCH}.decision.type", "openjev")
    writer.add_float32(f"{_ARCH}.decision.temperature.choice", temperature)
    for name, weight in tensors(state["model"], shape):
        _add(writer, name, weight, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(file)
    return file


def origin_of(recipe: Recipe, state: dict[str, Any], *, commit: str) -> Origin:
    """Of a checkpoint."""
    corpora = [*state.get("history", []), (state["digest"], state["tokens"])]
    return Origin(
        commit=commit,
        seed=recipe.seed,
        corpora=tuple((str(digest), int(tokens)) for digest, tokens in corpora),
    )


def _describe(
    writer: gguf.GGUFWriter, recipe: Recipe, shape: Shape, *, kind: str, origin: Origin
) -> None:
    writer.add_name(recipe.name)
    writer.add_description(
        "Trained from scratch on generated data for the first run of triaged; not a general model"
    )
    writer.add_license("apache-2.0")
    writer.add_file_type(TYPES[kind][1])
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_float32("general.sampling.temp", 0.0)
    writer.add_int32("general.sampling.top_k", 1)
    writer.add_string("triaged.commit", origin.commit)
    writer.add_string("triaged.data_sha256", " ".join(digest for digest, _ in origin.corpora))
    writer.add_uint64("triaged.seed", origin.seed)
    writer.add_uint64("triaged.tokens", origin.tokens)


def _write_vocabulary(writer: gguf.GGUFWriter, file: Path, size: int) -> None:
    stored = json.loads(file.read_text(encoding="utf-8"))
    tokenizer = load_tokenizer(file)
    words = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    control = set(CONTROL)
    defined = set(USER_DEFINED)
    types = [
        gguf.TokenType.CONTROL
        if word in control
        else gguf.TokenType.USER_DEFINED
        if word in defined
        else gguf.TokenType.NORMAL
        for word in words
    ]
    for number in range(len(words), size):  # a small corpus yields fewer merges than asked for
        words.append(f"<|unused{number}|>")
        types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types(types)
    pairs = stored["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in pairs])
    writer.add_eos_token_id(words.index(END))
    writer.add_eot_token_id(words.index(END))
    writer.add_pad_token_id(words.index(PAD))
    writer.add_add_bos_token(value=False)
    writer.add_add_eos_token(value=False)


def tensors(
    state: dict[str, torch.Tensor], shape: Shape
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The weights under the names of llama.cpp. Tied: there is no output matrix."""

    def of(name: str) -> npt.NDArray[np.float32]:
        array: npt.NDArray[np.float32] = state[name].float().numpy()
        return array

    yield "token_embd.weight", of("embedding.weight")
    yield "output_norm.weight", of("norm.weight")
    for i in range(shape.layers):
        ours, theirs = f"layers.{i}", f"blk.{i}"
        yield f"{theirs}.attn_norm.weight", of(f"{ours}.attention_norm.weight")
        yield f"{theirs}.ffn_norm.weight", of(f"{ours}.feed_norm.weight")
        for a, b in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("out", "attn_output")):
            yield f"{theirs}.{b}.weight", of(f"{ours}.attention.{a}.weight")
        for a, b in (("gate", "ffn_gate"), ("up", "ffn_up"), ("down", "ffn_down")):
            yield f"{theirs}.{b}.weight", of(f"{ours}.{a}.weight")


def _add(writer: gguf.GGUFWriter, name: str, weight: npt.NDArray[np.float32], kind: str) -> None:
    if weight.ndim == 1:
        writer.add_tensor(name, weight)
        return
    quantised: npt.NDArray[Any] = gguf.quants.quantize(weight, TYPES[kind][0])
    writer.add_tensor(name, quantised, raw_dtype=TYPES[kind][0])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, required=True, help="the folder of the checkpoint")
    parser.add_argument("--temperature", type=float, default=1.0, help="of decisions")
    given = parser.parse_args(argv)
    for kind in TYPES:
        file = export(RECIPES[given.name], given.out, kind=kind, temperature=given.temperature)
        print(f"{file} {file.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()

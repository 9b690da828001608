"""How the bundled models are made from nothing: data, tokenizer, model, trainer, evaluator.

Not installed with the program. Read LABELS.md first, then `data/samples.py`, `render` (a sample as
tokens), `mix` (what is learned in which proportion), `tokenizer`, `model`, `train`, `export` (to
GGUF) and `evaluate`. `make models` does all of it.
"""

"""How the bundled models are made from nothing: data, tokenizer, model, trainer, exporter, evaluator.

Not installed with the program. Read LABELS.md first, then `data/samples.py`.
"""

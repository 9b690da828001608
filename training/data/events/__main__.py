"""`python -m training.data.events --preview 40`: labelled samples to look at."""

from __future__ import annotations

import argparse
import random
import sys

from training.data.events.generate import generate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.data.events", description=__doc__)
    parser.add_argument("--preview", type=int, default=40, help="how many samples (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (default: 1)")
    arguments = parser.parse_args()
    for sample in generate(random.Random(arguments.seed), arguments.preview):
        rate = f"{sample.count}x/{sample.span_seconds:g}s" if sample.count > 1 else ""
        sys.stdout.write(
            f"{sample.severity:8s} {sample.category:11s} {sample.family:16s} {rate:>12s} "
            f"{sample.unit}: {sample.text}\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

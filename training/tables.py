"""Makes the three linear tables in `tiers/nano/`, each from what the one before made:

python -m training.tables            # some minutes on one core
"""

from __future__ import annotations

from tiers.nano import cause_scores, demands, line_scores
from training import causes, line_words
from training import demands as demand_words
from training.linear import one_thread

_SEED = 1


def make_tables() -> None:
    """Demands first: the other two read lines without them; lines before causes, which read how
    bad a line is."""
    with one_thread():
        print("learning which words address the reader", flush=True)
        demand_words.make(demands.WEIGHTS, count=24_000, epochs=4, seed=_SEED)
        demands.demands_table.cache_clear()
        print("learning what the words of lines say", flush=True)
        line_words.make(line_scores.WEIGHTS, count=260_000, epochs=4, seed=_SEED)
        line_scores.lines_table.cache_clear()
        print("learning what shows which cause", flush=True)
        causes.make(cause_scores.WEIGHTS, count=40_000, epochs=5, seed=_SEED)
        cause_scores.causes_table.cache_clear()


if __name__ == "__main__":
    make_tables()

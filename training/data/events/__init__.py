"""Host events with labels: templates by family, a grammar, measures, decoration, hostile text.

Read in this order: lexicon, slots, template, families/*.txt, library, compose, measures,
decorate, hostile, generate. `python -m training.data.events --preview 40` shows some.
"""

"""The training data, written here: events (decisions), cases (review) and chat.

Read in this order: samples, events, cases, chat.
"""

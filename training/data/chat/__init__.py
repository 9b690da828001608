"""Conversations about a host: questions in many phrasings, tool calls, results and answers.

Read in this order: grammar, phrasings (with the folder phrasing/), style, results, offers, talk,
conversations, whose `generate` is what the trainer draws from.
"""

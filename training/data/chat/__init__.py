"""Conversations about a host: questions in many phrasings, tool calls, results and answers.

Read in this order: grammar, phrasings (with the folder phrasing/), style, results, conversations.
"""

from training.data.chat.conversations import generate as generate

"""Tool results as the tools' own code words them, in many dialects, each with the right answer.

Read in this order: outcome, dialect, then one file per family of tools, registry.
"""

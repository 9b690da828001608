"""The verbs, one file a verb or two that belong together; `table` lists them all."""

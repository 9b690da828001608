"""The bundled models, and how they are prompted.

Read in this order: `text` (bounds, and no control tokens from outside), `decisions` (one question
whose options are severity x category), `cases` (a case in the short form that the models know),
`demands`, `words`, `line_scores`, `cause_scores` (linear tables beside the models), `profile` (all
of it as a `PromptProfile`), `files` (the shipped files, checked). `training/` makes
the models from this very code: a change of a prompt here needs a new training run.
"""

"""What exit codes mean. Documented in docs/commands.md."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # it was tried and did not work; the sentence on stderr says why
    USAGE = 2  # the command line is wrong
    UNREACHABLE = 3  # no daemon answers
    NOT_FOUND = 4  # there is no such incident, file, ...
    CONFIG = 5  # the configuration has mistakes
    FINDINGS = 6  # the command worked and found problems (doctor)


class CommandError(Exception):
    """Ends a command: a sentence for stderr and an exit code."""

    def __init__(self, message: str, *, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code

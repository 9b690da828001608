"""What can go wrong with a source, named after what its supervisor does about it.

They stand beside the rooms because two of them raise these: the sources, and intake, whose code
for line headers the sources use.
"""

from __future__ import annotations


class SourceAbsentError(Exception):
    """This host lacks what the source reads (no journal, no system bus). Not a failure: the source
    is skipped, with this sentence."""


class SourceError(Exception):
    """A source failed in a way it expects. The sentence says what, why and what to do; the
    supervisor starts it again with backoff."""


class StartError(Exception):
    """The daemon cannot start. The sentence says what, why and what to do."""

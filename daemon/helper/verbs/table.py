"""Every verb by name."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.helper.context import Verb
from daemon.helper.verbs.hello import HELLO
from daemon.helper.verbs.journal_vacuum import JOURNAL_VACUUM
from daemon.helper.verbs.process_end import PROCESS_END
from daemon.helper.verbs.process_renice import PROCESS_RENICE

VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        HELLO,
        JOURNAL_VACUUM,
        PROCESS_END,
        PROCESS_RENICE,
    )
}

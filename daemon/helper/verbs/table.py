"""Every verb by name."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.helper.context import Verb
from daemon.helper.verbs.block import BLOCK, BLOCKED, UNBLOCK
from daemon.helper.verbs.container import CONTAINER_RESTART, CONTAINERS
from daemon.helper.verbs.hello import HELLO
from daemon.helper.verbs.journal_vacuum import JOURNAL_VACUUM
from daemon.helper.verbs.log_rotate import LOG_ROTATE
from daemon.helper.verbs.nixos import NIXOS
from daemon.helper.verbs.packages import (
    PACKAGE_CACHE_CLEAN,
    SECURITY_UPDATES,
    SECURITY_UPDATES_LIST,
)
from daemon.helper.verbs.process_end import PROCESS_END
from daemon.helper.verbs.process_renice import PROCESS_RENICE
from daemon.helper.verbs.remount import REMOUNT
from daemon.helper.verbs.restart_limit import RESTART_LIMIT
from daemon.helper.verbs.reversal import REVERSAL_ARM, REVERSAL_CANCEL
from daemon.helper.verbs.tmp_clean import TMP_CLEAN, TMP_LOOK
from daemon.helper.verbs.unit_file import UNIT_FILE

VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        HELLO,
        UNIT_FILE,
        RESTART_LIMIT,
        REVERSAL_ARM,
        REVERSAL_CANCEL,
        JOURNAL_VACUUM,
        TMP_CLEAN,
        TMP_LOOK,
        PACKAGE_CACHE_CLEAN,
        LOG_ROTATE,
        REMOUNT,
        PROCESS_END,
        PROCESS_RENICE,
        BLOCK,
        UNBLOCK,
        BLOCKED,
        SECURITY_UPDATES,
        SECURITY_UPDATES_LIST,
        CONTAINER_RESTART,
        CONTAINERS,
        NIXOS,
    )
}
